"""A folder of artifacts by their SHA-256, safe with several processes and bounded in bytes.

A finished artifact stands as `<digest>`; one that is being fetched as `<digest>.part`, beside
`<digest>.lock`, which its one fetcher holds and in which it says how many bytes it will need. Who
uses an artifact holds a shared lock on the file itself, and only files that nobody holds are
removed, the least recently used first. The system lets go of the locks of processes that end.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workers.runtimes.errors import ArtifactMissing, ArtifactTooLarge, DigestMismatch

Claim = Callable[[int], None]
"""Makes room for an artifact of so many bytes in all. Raises ArtifactTooLarge."""
Download = Callable[[BinaryIO, Claim], None]
"""Completes a file that is open for appending and perhaps holds the beginning already."""

_DIGEST_LENGTH = 64
_PIECE = 1 << 20


class Held:
    """An artifact in use: its file stays until `close`, or until this process ends."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Let it be removed when room is needed; once more does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the store: its size in bytes, when (s since the epoch) it was used last."""

    digest: str
    size: int
    used_at: float
    complete: bool
    held: bool


class Store:
    """Artifacts below `root`, of at most `limit` bytes together."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self._limit = limit

    def hold(self, digest: str) -> Held | None:
        """Return an artifact that is there, whole; None when it is not."""
        path = self.root / digest
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with ExitStack() as unless_held:
            unless_held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if os.fstat(descriptor).st_nlink == 0:
                return None
            with contextlib.suppress(
                PermissionError
            ):  # another user's: its age is not ours to tell
                os.utime(path)
            if _sha256_of(descriptor) != digest:
                path.unlink(missing_ok=True)
                return None
            unless_held.pop_all()
        return Held(path, descriptor)

    def fill(self, digest: str, download: Download) -> Held:
        """Return an artifact, downloaded unless it is there; who comes meanwhile waits for it.

        What was fetched of it before is kept and completed. Raises ArtifactTooLarge,
        DigestMismatch, ArtifactMissing and what `download` raises.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._fetching(digest) as claim:
                held = self.hold(digest)
                if held is None:
                    self._complete(digest, download, claim)
                    held = self.hold(digest)
        except OSError as error:
            place, why = error.filename or self.root, error.strerror or error
            raise ArtifactMissing(f"{place}: {why}; see WEIR_ARTIFACTS__CACHE") from error
        if held is None:
            raise ArtifactMissing(f"{self.root / digest} was removed while it was fetched")
        return held

    def entries(self) -> list[Entry]:
        """Return what is there, the least recently used first."""
        found = []
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                found.append(_entry(path))
        return sorted(found, key=lambda entry: (entry.used_at, entry.digest))

    def prune(self, limit: int) -> list[Entry]:
        """Remove what nobody holds, least recently used first, down to `limit` bytes."""
        if not self.root.is_dir():
            return []
        with self._alone():
            return self._evict(self.entries(), limit)

    def _complete(self, digest: str, download: Download, claim: Claim) -> None:
        """Fetch into the part, and give it its name once its content is what was asked for."""
        part = self.root / f"{digest}.part"
        if part.is_symlink():  # nothing is written to where it leads
            part.unlink()
        begun = part.exists() and part.stat().st_size > 0
        try:
            found = _fetched(part, download, claim)
            if found != digest and begun:  # the beginning was of something else: once more, whole
                os.truncate(part, 0)
                found = _fetched(part, download, claim)
        finally:
            if part.stat().st_size == 0:
                part.unlink()
        if found != digest:
            part.unlink()
            raise DigestMismatch(
                f"SHA-256 is {found[:12]}…, registered is {digest[:12]}…; "
                "register the service again or restore the file"
            )
        part.chmod(0o444)
        part.replace(self.root / digest)

    @contextmanager
    def _fetching(self, digest: str) -> Iterator[Claim]:
        """Be the one that fetches an artifact, and yield what claims room for it."""
        path = self.root / f"{digest}.lock"
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)

            def claim(size: int) -> None:
                with self._alone():
                    self._make_room(digest, size)
                    file.truncate(0)
                    file.write(str(size))
                    file.flush()

            try:
                yield claim
            finally:
                file.truncate(0)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the one that counts and removes."""
        with (self.root / "room.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_room(self, digest: str, size: int) -> None:
        """Remove what must go for an artifact of `size` bytes; nothing when that is too little."""
        others = [entry for entry in self.entries() if entry.digest != digest]
        busy = sum(entry.size for entry in others if entry.held)
        if busy + size > self._limit:
            raise ArtifactTooLarge(
                f"{size} bytes do not fit: {busy} of {self._limit} are in use; "
                "see WEIR_ARTIFACTS__CACHE_MIB"
            )
        self._evict(others, self._limit - size)

    def _evict(self, entries: Sequence[Entry], limit: int) -> list[Entry]:
        """Remove the first that nobody holds until the others have `limit` bytes."""
        removed = []
        used = sum(entry.size for entry in entries)
        for entry in entries:
            if used <= limit:
                break
            if self._remove(entry):
                used -= entry.size
                removed.append(entry)
        return removed

    def _remove(self, entry: Entry) -> bool:
        """Remove a file unless somebody holds it; a part is held through its lock."""
        path = self.root / (entry.digest if entry.complete else f"{entry.digest}.part")
        lock = path if entry.complete else path.with_suffix(".lock")
        try:
            with lock.open("rb") as file:
                if not _free(file.fileno()):
                    return False
                path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _files(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return [
            path
            for path in self.root.iterdir()
            if len(path.stem) == _DIGEST_LENGTH and path.suffix in ("", ".part")
        ]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return _sha256_of(file.fileno())


def _sha256_of(descriptor: int) -> str:
    """Return the SHA-256 of what an open file holds from where it stands, in hexadecimal."""
    found = hashlib.sha256()
    while piece := os.read(descriptor, _PIECE):
        found.update(piece)
    return found.hexdigest()


def _fetched(part: Path, download: Download, claim: Claim) -> str:
    """Complete a part, make it last, and return its SHA-256."""
    with part.open("ab") as file:
        download(file, claim)
        file.flush()
        os.fsync(file.fileno())
    return sha256(part)


def _entry(path: Path) -> Entry:
    """Return what a file is; one that is being fetched has the size that its fetcher claimed."""
    complete = path.suffix == ""
    status = path.stat()
    held, claimed = False, ""
    lock = path if complete else path.with_suffix(".lock")
    with contextlib.suppress(FileNotFoundError), lock.open("rb") as file:
        held = not _free(file.fileno())
        claimed = file.read().decode() if held and not complete else ""
    size = max(status.st_size, int(claimed or 0))
    return Entry(path.stem, size, status.st_mtime, complete, held)


def _free(descriptor: int) -> bool:
    """Tell whether nobody else has an open file locked; it is locked then, until it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

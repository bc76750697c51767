"""A folder of payloads by their SHA-256, bounded in bytes and in age, shared by processes.

A payload stands as `<two digits>/<digest>`; storing it again makes it young again. What is older
than its time goes, then the oldest until the rest fits. With a store far away the folder is where
this machine keeps what it put there or fetched. Whose inputs a payload was is told by
empty files `.users/<SHA-256 of user>/<digest>`, so that all that is kept of somebody can be found
without his name standing anywhere.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.payloads.far import Far
from workers.settings import Settings

SCHEME = "payload:"
"""A reference is this and the digest: where the store is, each process knows by its settings."""
USERS = ".users"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HINT = "see WEIR_PAYLOADS__FOLDER, which all processes must share"


@dataclass(frozen=True, slots=True)
class Kept:
    """One payload: its size in bytes and when it was stored last, s since the epoch."""

    digest: str
    size: int
    stored_at: float


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What went: payloads whose time was over, payloads for want of room, and bytes of both."""

    expired: int
    evicted: int
    size: int


class PayloadStore:
    """Payloads below `root`, at most `limit` bytes together, each for `ttl_s` seconds."""

    def __init__(self, root: Path, limit: int, ttl_s: float, far: Far | None = None) -> None:
        self.root, self.limit, self.ttl_s, self._far = root, limit, ttl_s, far
        self._added = 0
        self._next_look = 0.0

    def put(self, data: bytes, user: str = "") -> str:
        """Store bytes unless they are there, and return their SHA-256.

        Raises PayloadRefused.
        """
        if len(data) > self.limit:
            raise PayloadRefused(
                f"a payload of {len(data)} bytes is larger than the store, {self.limit}; "
                "raise WEIR_PAYLOADS__MAX_MIB"
            )
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        try:
            if user:
                self._mark(user, digest)
            if not self._stands(path, len(data)):
                self._make_room(len(data))
                _write(path, data)
                self._added += len(data)
                if user:
                    self._mark(user, digest)  # who made room forgot it: nothing stood there yet
                self._send(path)
        except OSError as error:
            raise PayloadRefused(f"{error.filename or path}: {error.strerror}; {_HINT}") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest. Raises PayloadLost."""
        if not _DIGEST.fullmatch(digest):
            raise PayloadLost(f"{digest!r:.80} is no SHA-256 in small hexadecimal digits")
        path = self._path(digest)
        if self._far is not None and not path.exists():
            self._fetch(digest, self._far)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise PayloadLost(
                f"payload {digest[:12]}… is not in {self.root}: its time was over, it had to make "
                f"room, or it never was there; {_HINT}"
            ) from error
        except OSError as error:
            raise PayloadLost(f"payload {digest[:12]}…: {error.strerror}; {_HINT}") from error
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            path.unlink(missing_ok=True)  # so that it can be stored again
            raise PayloadLost(
                f"payload {digest[:12]}… has SHA-256 {found[:12]}…: it was changed or damaged; "
                "send the input again"
            )
        return data

    def kept(self) -> list[Kept]:
        """Return what is there, oldest first."""
        found = []
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append(Kept(path.name, status.st_size, status.st_mtime))
        return sorted(found, key=lambda one: (one.stored_at, one.digest))

    def clean(self, now_s: float | None = None, room: int = 0) -> Cleaned:
        """Remove what is over and, until `room` bytes are free, the oldest."""
        now_s = time.time() if now_s is None else now_s
        kept = self.kept()
        expired = [one for one in kept if now_s - one.stored_at >= self.ttl_s]
        left = kept[len(expired) :]
        used = sum(one.size for one in left)
        evicted = []
        for one in left:
            if used + room <= self.limit:
                break
            used -= one.size
            evicted.append(one)
        for one in (*expired, *evicted):
            self._path(one.digest).unlink(missing_ok=True)
        self._added = used
        if expired or evicted:
            self._forget_marks()
        return Cleaned(len(expired), len(evicted), sum(o.size for o in (*expired, *evicted)))

    def erase(self, user: str, before_s: float) -> int:
        """Remove what was stored of a person before an instant, s since the epoch; return how much.

        The same content stored for somebody else stays. Raises PayloadRefused when something cannot
        be removed; it is tried again when this is asked again.
        """
        folder = self._folder(user)
        try:
            gone = sum(self._erased(mark, before_s) for mark in _listed(folder))
        except OSError as error:
            raise PayloadRefused(f"{error.filename or folder}: {error.strerror}") from error
        with contextlib.suppress(OSError):  # marks of later are there, or no folder ever was
            folder.rmdir()
        return gone

    def _erased(self, mark: Path, before_s: float) -> bool:
        """Remove what a mark names, then the mark; tell whether something was here."""
        path, here = self._path(mark.name), False
        with contextlib.suppress(FileNotFoundError):
            if mark.stat().st_mtime >= before_s:
                return False
            if not self._has_others(mark):
                if self._far is not None:
                    self._far.remove(mark.name)
                here = path.exists()
                path.unlink(missing_ok=True)
            mark.unlink()
        return here

    def _stands(self, path: Path, size: int) -> bool:
        """Tell whether a payload is here, and make it young again.

        With a store far away it grows old, and is put there again before it is half as old as may
        be: there it was not made young.
        """
        if self._far is None:
            return _touched(path, size)
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return status.st_size == size and time.time() - status.st_mtime < self.ttl_s / 2

    def _send(self, path: Path) -> None:
        """Put a payload into the store far away, or have it nowhere. Raises PayloadRefused."""
        if self._far is None:
            return
        try:
            self._far.put(path)
        except PayloadRefused:
            path.unlink(missing_ok=True)
            raise

    def _fetch(self, digest: str, far: Far) -> None:
        """Bring a payload here. Raises PayloadLost."""
        with tempfile.TemporaryFile() as file:
            far.get(digest, file, self.limit)
            file.seek(0)
            data = file.read()
        try:
            self._make_room(len(data))
            _write(self._path(digest), data)
        except OSError as error:
            raise PayloadLost(f"payload {digest[:12]}…: {error.strerror}; {_HINT}") from error
        self._added += len(data)

    def _make_room(self, size: int) -> None:
        """Look through the folder when the bound may be reached, and now and then for the old."""
        now = time.monotonic()
        if self._added + size > self.limit or now >= self._next_look:
            self.clean(room=size)
            self._next_look = now + min(60.0, self.ttl_s)

    def _path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest

    def _folder(self, user: str) -> Path:
        return self.root / USERS / hashlib.sha256(user.encode()).hexdigest()

    def _mark(self, user: str, digest: str) -> None:
        folder = self._folder(user)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / digest).touch()

    def _has_others(self, mark: Path) -> bool:
        folders = _listed(self.root / USERS)
        return any((each / mark.name).exists() for each in folders if each != mark.parent)

    def _forget_marks(self) -> None:
        for folder in _listed(self.root / USERS):
            for mark in _listed(folder):
                if not self._path(mark.name).exists():
                    mark.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        for folder in _listed(self.root):
            if len(folder.name) == 2:
                yield from (one for one in _listed(folder) if _DIGEST.fullmatch(one.name))


def store_of(settings: Settings) -> PayloadStore:
    """Return the store of a process's settings."""
    own = settings.payloads
    root = Path(own.folder) if own.folder else settings.data_dir / "payloads"
    far = Far(own.store, settings.artifacts) if own.store else None
    return PayloadStore(root, own.max_mib * 1_048_576, own.ttl_s, far)


def _touched(path: Path, size: int) -> bool:
    """Make a payload young again; False when it is not there, or not whole."""
    try:
        if path.stat().st_size != size:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:  # raised again: no half of a payload may stay
        os.unlink(name)
        raise


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []

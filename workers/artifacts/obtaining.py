"""From a URI and a digest to a file that is what it should be."""

import re
import stat
import time
from pathlib import Path

from workers.artifacts.locations import REMOTE, Location, parsed
from workers.artifacts.remote import Remote
from workers.artifacts.store import Held, Store, sha256
from workers.runtimes.errors import ArtifactMissing, DigestMismatch
from workers.settings import ArtifactSettings, Settings
from workers.telemetry import logger

MIB = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logger(__name__)


class Artifacts:
    """Files are taken where they stand; what is remote is fetched once and kept by its digest."""

    def __init__(self, settings: ArtifactSettings, store: Store) -> None:
        self._store = store
        self._remote = Remote(settings)

    @property
    def made(self) -> Path:
        """Return the folder for what runtimes make of models, such as engines for one GPU."""
        return self._store.root / "made"

    def obtain(self, uri: str, digest: str | None) -> tuple[Held, str]:
        """Return the file that a URI names and its SHA-256, verified where one is known.

        The digest is the one given, else the one that the URI carries; what is remote needs one.
        Raises ArtifactMissing, ArtifactTooLarge, DigestMismatch.
        """
        location = parsed(uri)
        expected = (digest or location.digest or "").lower()
        if location.scheme not in REMOTE:
            return _local(Path(location.path), expected)
        if not _DIGEST.fullmatch(expected):
            raise ArtifactMissing(
                f"{uri!r}: what is remote needs its SHA-256 (64 hexadecimal digits), registered or "
                f"behind '#sha256='; it has {expected[:80]!r}"
            )
        try:
            held = self._store.hold(expected)
        except OSError as error:
            raise ArtifactMissing(f"{error.filename}: {error.strerror or error}") from error
        return held or self._fetched(location, expected), expected

    def _fetched(self, location: Location, digest: str) -> Held:
        place = location.uri.partition("?")[0]
        began = time.monotonic()
        try:
            held = self._store.fill(
                digest, lambda file, claim: self._remote.download(location, file, claim)
            )
        except DigestMismatch as error:
            raise DigestMismatch(f"{place}: {error}") from error
        log.info(
            "artifact.fetched",
            uri=place,
            bytes=held.path.stat().st_size,
            seconds=round(time.monotonic() - began, 3),
        )
        return held


def artifacts_of(settings: Settings) -> Artifacts:
    """Return the artifacts of a process with these settings."""
    return Artifacts(settings.artifacts, store_of(settings))


def store_of(settings: Settings) -> Store:
    """Return the folder of fetched artifacts, which all processes of one data folder share."""
    own = settings.artifacts
    root = Path(own.cache) if own.cache else settings.data_dir / "artifacts"
    return Store(root, own.cache_mib * MIB)


def _local(path: Path, expected: str) -> tuple[Held, str]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe has no end
            raise ArtifactMissing(f"{path}: it is no file")
        digest = sha256(path)
    except OSError as error:
        why = f"{error.strerror or error}; name a file that can be read"
        raise ArtifactMissing(f"{path}: {why}") from error
    if expected and digest != expected:
        raise DigestMismatch(
            f"{path}: SHA-256 is {digest[:12]}…, registered is {expected[:12]}…; "
            "register the service again or restore the file"
        )
    return Held(path), digest

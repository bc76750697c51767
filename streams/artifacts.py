"""Model files: where they are, and that they are what a registration says."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from schemas.registrations import ServiceRegistered
from streams import registration
from streams.errors import RegistrationError
from workers.clock import wall_ms
from workers.runtimes.options import SERVED_ELSEWHERE

SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_BLOCK = 1 << 20


def built(plain: Mapping[str, Any], run: str) -> ServiceRegistered:
    """Return the registration of a service whose model file has been looked at.

    What others serve over HTTP has no file. Raises RegistrationError.
    """
    if plain.get("artifact") and plain.get("format") not in SERVED_ELSEWHERE:
        digest = plain.get("digest")
        if not isinstance(digest, str | None):
            raise RegistrationError(f"digest {digest!r:.80} is no text")
        uri, digest = located(str(plain["artifact"]), digest)
        plain = {**plain, "artifact": uri, "digest": digest}
    return registration.service(plain, run, wall_ms())


def located(artifact: str, digest: str | None) -> tuple[str, str]:
    """Return the URI and the SHA-256 of a model file.

    A path or file:// URI must be a file that is not empty; elsewhere the digest must be given, or
    stand behind the URI as `#sha256=`. Raises RegistrationError.
    """
    try:
        split = urlsplit(artifact)
    except ValueError as error:
        raise RegistrationError(f"artifact {artifact}: {error}") from error
    if split.scheme not in ("", "file"):
        digest = digest or split.fragment.removeprefix("sha256=")
        if not digest or not SHA256.fullmatch(digest):
            raise RegistrationError(
                f"artifact {artifact}: give its SHA-256, 64 hexadecimal digits, with --digest"
            )
        return artifact, digest.lower()
    path = Path(unquote(split.path) if split.scheme else artifact)
    try:
        if not path.is_file():
            raise RegistrationError(f"artifact {artifact}: there is no such file")
        found = sha256(path)
    except OSError as error:
        raise RegistrationError(f"artifact {artifact:.80}: {error.strerror}") from error
    if digest and digest.lower() != found:
        raise RegistrationError(f"artifact {artifact}: its SHA-256 is {found}, not {digest}")
    if path.stat().st_size == 0:
        raise RegistrationError(f"artifact {artifact}: the file is empty")
    return path.resolve().as_uri(), found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

"""From a registered service to the file that is loaded: location, digest, runtime."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from schemas.registrations import ServiceRegistered, Variant
from workers.runtimes.base import Runtime, Session
from workers.runtimes.errors import ArtifactMissing, BrokenModel, DigestMismatch


def load(
    runtimes: dict[str, Runtime], service: ServiceRegistered, variant: Variant
) -> tuple[Session, str]:
    """Load a service's model and return it with the SHA-256 of its file.

    The registered digest is verified, unless the variant has an artifact of its own. Raises
    ArtifactMissing, DigestMismatch, BrokenModel, ProviderMissing.
    """
    runtime = runtimes.get(service.format)
    if runtime is None:
        known = ", ".join(runtimes)
        raise BrokenModel(f"format {service.format!r} has no runtime here; known: {known}")
    path = local_path(variant.artifact or service.artifact)
    digest = _digest(path)
    if service.digest and not variant.artifact and digest != service.digest.lower():
        raise DigestMismatch(
            f"{path}: SHA-256 is {digest[:12]}…, registered is {service.digest[:12]}…; "
            "register the service again or restore the file"
        )
    return runtime.load(path, variant.device), digest


def local_path(uri: str) -> Path:
    """Return the path that a file:// URI or a plain path names.

    Raises ArtifactMissing for another scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme == "" and uri:
        return Path(uri)
    raise ArtifactMissing(f"{uri!r} cannot be fetched by this worker; give a file:// URI")


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactMissing(f"{path}: {error.strerror or error}") from error

"""From a registered service to a loaded model: its artifact, digest, runtime."""

import weakref
from collections.abc import Mapping

from schemas.registrations import ServiceRegistered, Variant
from workers.artifacts.obtaining import Artifacts
from workers.runtimes.base import Runtime, Session
from workers.runtimes.errors import BrokenModel


def load(
    runtimes: Mapping[str, Runtime],
    artifacts: Artifacts,
    service: ServiceRegistered,
    variant: Variant,
) -> tuple[Session, str]:
    """Load a service's model and return it with the SHA-256 of its file.

    The registered digest is verified; a variant with an artifact of its own has its digest in the
    URI, or none. A fetched file stays in the cache as long as the session lives. Raises
    ArtifactMissing, DigestMismatch, BrokenModel, ProviderMissing.
    """
    runtime = runtimes.get(service.format)
    if runtime is None:
        known = ", ".join(runtimes)
        raise BrokenModel(f"format {service.format!r} has no runtime here; known: {known}")
    registered = None if variant.artifact else service.digest
    held, digest = artifacts.obtain(variant.artifact or service.artifact, registered)
    try:
        session = runtime.load(held.path, variant.device)
    except BaseException:
        held.close()
        raise
    weakref.finalize(session, held.close)
    return session, digest

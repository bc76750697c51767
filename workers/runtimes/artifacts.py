"""From a registered service to a loaded model: its artifact, digest, runtime."""

import hashlib
import weakref
from collections.abc import Mapping

from schemas.registrations import ServiceRegistered, Variant
from workers.artifacts.obtaining import Artifacts
from workers.runtimes.base import Load, Runtime, Session
from workers.runtimes.errors import BrokenModel
from workers.runtimes.isolation import Assignment, IsolatedSession
from workers.runtimes.options import options_of


def load(
    runtimes: Mapping[str, Runtime],
    artifacts: Artifacts,
    service: ServiceRegistered,
    variant: Variant,
) -> tuple[Session, str]:
    """Load a service's model and return it with the SHA-256 of its file.

    The registered digest is verified; a variant with an artifact of its own has its digest in the
    URI, or none. A fetched file stays in the cache as long as the session lives. What is no file
    but a service somewhere has the digest of its URI. Raises RuntimeFailure.
    """
    runtime = runtimes.get(service.format)
    if runtime is None:
        known = ", ".join(runtimes)
        raise BrokenModel(f"format {service.format!r} has no runtime here; known: {known}")
    uri = variant.artifact or service.artifact
    terms = _terms(service, variant, artifacts)
    if not runtime.fetches:
        return runtime.load(uri, terms), hashlib.sha256(uri.encode()).hexdigest()
    held, digest = artifacts.obtain(uri, None if variant.artifact else service.digest)
    try:
        session: Session
        if options_of(service)[0].isolated:
            session = IsolatedSession(Assignment(service.format, held.path, terms))
        else:
            session = runtime.load(held.path, terms)
    except BaseException:
        held.close()
        raise
    weakref.finalize(session, held.close)
    return session, digest


def _terms(service: ServiceRegistered, variant: Variant, artifacts: Artifacts) -> Load:
    supervision, own = options_of(service)
    return Load(
        device=variant.device,
        deadline_ms=supervision.deadline_ms,
        load_ms=supervision.load_ms,
        options=own,
        made=artifacts.made,
    )

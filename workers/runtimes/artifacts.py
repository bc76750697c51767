"""From a registered service to a loaded model: its artifact, digest, runtime."""

import hashlib
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.registrations import ServiceRegistered
from schemas.resources import Variant
from workers.artifacts.obtaining import Artifacts
from workers.artifacts.store import Held
from workers.runtimes.base import Load, Runtime, Session
from workers.runtimes.errors import BrokenModel
from workers.runtimes.isolation import Assignment, IsolatedSession
from workers.runtimes.options import options_of


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a runtime is to load: a file that is held in the cache, or a URI as it stands."""

    runtime: Runtime
    artifact: Path | str
    digest: str
    held: Held | None


def load(
    runtimes: Mapping[str, Runtime],
    artifacts: Artifacts,
    service: ServiceRegistered,
    variant: Variant,
) -> tuple[Session, str]:
    """Fetch and start a service's model, and return it with the SHA-256 of its file.

    Raises RuntimeFailure.
    """
    terms = terms_of(service, variant, artifacts)
    fetched = fetch(runtimes, artifacts, service, variant)
    return start(fetched, service, terms), fetched.digest


def fetch(
    runtimes: Mapping[str, Runtime],
    artifacts: Artifacts,
    service: ServiceRegistered,
    variant: Variant,
) -> Fetched:
    """Return what is to be loaded for a service, here now and verified.

    The registered digest is verified; a variant with an artifact of its own has its digest in the
    URI, or none. What is no file but a service somewhere has the digest of its URI. Raises
    BrokenModel, ArtifactMissing, DigestMismatch.
    """
    runtime = runtimes.get(service.format)
    if runtime is None:
        known = ", ".join(runtimes)
        raise BrokenModel(f"format {service.format!r} has no runtime here; known: {known}")
    uri = variant.artifact or service.artifact
    if not runtime.fetches:
        return Fetched(runtime, uri, hashlib.sha256(uri.encode()).hexdigest(), None)
    held, digest = artifacts.obtain(uri, None if variant.artifact else service.digest)
    return Fetched(runtime, held.path, digest, held)


def start(fetched: Fetched, service: ServiceRegistered, terms: Load) -> Session:
    """Load what was fetched, here or in a process of its own.

    A fetched file stays in the cache as long as the session lives. Raises RuntimeFailure.
    """
    isolated = options_of(service)[0].isolated and fetched.held is not None
    session: Session
    try:
        if isolated:
            session = IsolatedSession(Assignment(service.format, fetched.artifact, terms))
        else:
            session = fetched.runtime.load(fetched.artifact, terms)
    except BaseException:
        if fetched.held is not None:
            fetched.held.close()
        raise
    if fetched.held is not None:
        weakref.finalize(session, fetched.held.close)
    return session


def terms_of(service: ServiceRegistered, variant: Variant, artifacts: Artifacts) -> Load:
    """Return how a service's model is to be loaded. Raises BrokenModel for a bad option."""
    supervision, own = options_of(service)
    return Load(
        device=variant.device,
        deadline_ms=supervision.deadline_ms,
        load_ms=supervision.load_ms,
        options=own,
        made=artifacts.made,
    )

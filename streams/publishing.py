"""What publishing a model does: the file is looked at, put where it shall stand, and described."""

import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.graphs import TensorSpec
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import ModelPublished
from streams.artifacts import SHA256
from streams.errors import RegistrationError
from streams.registration import NAME
from workers.artifacts.locations import REMOTE, Location, parsed
from workers.artifacts.obtaining import artifacts_of
from workers.artifacts.remote import Remote
from workers.runtimes.base import Port, Runtime, Signature
from workers.runtimes.errors import RuntimeFailure
from workers.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What somebody wants published; `store` is a folder or s3://bucket/prefix, or empty.

    Without a store the file stays where it is.
    """

    model: str
    version: str
    artifact: str
    digest: str | None
    format: str
    store: str
    provenance: Mapping[str, str]


def publish(
    wanted: Publication,
    known: ModelPublished | None,
    runtimes: Mapping[str, Runtime],
    settings: Settings,
    now_ms: int,
) -> ModelPublished:
    """Return the event of a model that its runtime could load, once its file is in place.

    `known` is what is published of this model now. Raises RegistrationError for a name, file,
    format or place that cannot be used, and for a version that was another file.
    """
    for field in ("model", "version"):
        if not NAME.fullmatch(getattr(wanted, field)):
            raise RegistrationError(
                f"{field} {getattr(wanted, field)!r}: use up to 63 letters, digits, '.', '_' and "
                "'-', with a letter or digit at both ends"
            )
    if wanted.digest is not None and not SHA256.fullmatch(wanted.digest):
        raise RegistrationError(
            f"digest {wanted.digest!r}: a SHA-256 is 64 hexadecimal digits; `sha256sum` says it"
        )
    runtime = runtimes.get(wanted.format)
    if runtime is None:
        raise RegistrationError(
            f"format {wanted.format!r} has no runtime here; known: {', '.join(runtimes)}"
        )
    if not runtime.fetches:
        raise RegistrationError(
            f"format {wanted.format!r} has no file to publish: register a service with its URL"
        )
    try:
        held, digest = artifacts_of(settings).obtain(wanted.artifact, wanted.digest)
        with closing(held):
            signature = runtime.load(held.path).signature
            _check_version(wanted, digest, known)
            uri = _placed(wanted, held.path, settings)
    except RuntimeFailure as error:
        raise RegistrationError(f"model {wanted.model}: {error}") from error
    return _event(wanted, uri, digest, signature, now_ms)


def _check_version(wanted: Publication, digest: str, known: ModelPublished | None) -> None:
    if known is not None and known.version == wanted.version and known.digest != digest:
        raise RegistrationError(
            f"model {wanted.model}: version {wanted.version} is published with SHA-256 "
            f"{known.digest[:12]}…, this file has {digest[:12]}…; give another --version"
        )


def _placed(wanted: Publication, path: Path, settings: Settings) -> str:
    """Return the URI at which the file stands now."""
    if not wanted.store:
        remote = parsed(wanted.artifact).scheme in REMOTE
        return parsed(wanted.artifact).uri if remote else path.resolve().as_uri()
    name = f"{wanted.model}/{wanted.version}.{wanted.format}"
    target = parsed(f"{wanted.store.rstrip('/')}/{name}")
    if target.scheme == "s3":
        Remote(settings.artifacts).upload(path, target)
        return target.uri
    if target.scheme != "file":
        raise RegistrationError(f"--to {wanted.store}: give a folder or s3://bucket/prefix")
    return _copied(path, target)


def _copied(path: Path, target: Location) -> str:
    final = Path(target.path)
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, temporary)
        temporary.replace(final)
    except OSError as error:
        raise RegistrationError(f"--to {final}: {error.strerror or error}") from error
    return final.resolve().as_uri()


def _event(
    wanted: Publication, uri: str, digest: str, signature: Signature, now_ms: int
) -> ModelPublished:
    made = ModelPublished(
        model=wanted.model,
        version=wanted.version,
        uri=uri,
        digest=digest,
        format=wanted.format,
        inputs=tuple(map(_spec, signature.inputs)),
        outputs=tuple(map(_spec, signature.outputs)),
        provenance=tuple(KeyValue(key=k, value=v) for k, v in sorted(wanted.provenance.items())),
        published_at=0,
        event_id="",
    )
    identity = stable_id("published", "ModelPublished", repr(made))
    return replace(made, event_id=identity, published_at=now_ms)


def _spec(port: Port) -> TensorSpec:
    shape = tuple(-1 if size is None else size for size in port.shape)
    return TensorSpec(name=port.name, dtype=port.dtype.name, shape=shape)

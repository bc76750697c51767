"""From the services of a run to loaded models that an engine can host."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from schemas.checks import INLINE_BYTES
from schemas.records import KeyValue
from schemas.registrations import ServiceRegistered
from schemas.resources import Variant
from workers.inference.loading import Loaded, Loader
from workers.inference.replicas import SERVE, Hosted, Wanted
from workers.runtimes.base import Array, Session, Signature
from workers.runtimes.errors import RuntimeFailure
from workers.runtimes.options import PREFIX, SERVED_ELSEWHERE
from workers.standalone.config import Files, Mode, Run, Service
from workers.standalone.errors import RunRefused


def load(run: Run, mode: Mode, folder: Path, loader: Loader, where: str) -> dict[str, Loaded]:
    """Return the models of all services by name, loaded one after the other.

    Raises RunRefused, naming file and field, for the first that cannot be used, and, in a mode of
    this device alone, for what is not of it.
    """
    wanted = []
    for place, service in enumerate(run.services):
        if mode.local:
            _be_local(service, f"{where}: services[{place}]")
        wanted.append((place, service, loader.load(_wanted(service, folder))))
    found = {}
    for place, service, loading in wanted:
        try:
            loaded = loading.result()
        except RuntimeFailure as error:
            raise RunRefused(f"{where}: services[{place}].model: {error}") from error
        found[service.name] = loaded
    return found


def summary(loaded: Mapping[str, Loaded]) -> dict[str, Any]:
    """Return what was loaded, as JSON can hold it."""
    return {name: _summary(one) for name, one in loaded.items()}


class Unread:
    """A session in whose outputs nobody is interested: those too large for an event are cut."""

    def __init__(self, inner: Session) -> None:
        self._inner = inner

    @property
    def signature(self) -> Signature:
        """Return what it takes and gives."""
        return self._inner.signature

    @property
    def provider(self) -> str:
        """Return the execution provider in force."""
        return self._inner.provider

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute, and return small outputs whole, large ones without columns."""
        return [output if _carried(output) else output[:, :0] for output in self._inner.run(inputs)]


def unread(one: Hosted) -> Hosted:
    """Return the same instance, its outputs unread."""
    return replace(one, session=Unread(one.session))


def _carried(output: Array) -> bool:
    """Tell whether an event could carry one row of an output."""
    rows = output.shape[0] if output.ndim else 1
    return output.ndim < 2 or output.nbytes <= INLINE_BYTES * max(rows, 1)


def _be_local(service: Service, where: str) -> None:
    scheme, colon, _ = service.model.artifact.partition("://")
    if service.model.format in SERVED_ELSEWHERE or (colon and scheme != "file"):
        raise RunRefused(
            f"{where}.model.artifact: this mode takes files of this device alone, and "
            f"{service.model.artifact} is not one"
        )
    if not isinstance(service.input, Files):
        raise RunRefused(
            f"{where}.input: this mode takes no drawn input; write kind = 'files' and a path"
        )


def _wanted(service: Service, folder: Path) -> Wanted:
    model = service.model
    variant = Variant(name=model.device, precision="", device=model.device)
    return Wanted(
        instance=service.name,
        name=service.name,
        app="",
        variant=variant,
        service=_registered(service, _uri(model.artifact, folder)),
    )


def _uri(artifact: str, folder: Path) -> str:
    """Return an artifact's URI, or its path from the folder of the run's file."""
    named = artifact.startswith("file:") or "://" in artifact
    return artifact if named else str(folder / artifact)


def _registered(service: Service, uri: str) -> ServiceRegistered:
    """Return a service as its registration would say it."""
    return ServiceRegistered(
        service=service.name,
        service_id=service.name,
        app="",
        stage="",
        model=service.name,
        image="",
        artifact=uri,
        digest=service.model.digest.lower() if service.model.digest else None,
        format=service.model.format,
        environment=tuple(_environment(service)),
        cpu_milli=0,
        memory_mib=0,
        priority=service.priority,
        latency_ms=service.declared_ms,
        registered_at=0,
        event_id=service.name,
    )


def _environment(service: Service) -> Iterable[KeyValue]:
    queue, batch = service.queue, service.batch
    terms = {
        "budget_ms": service.budget_ms,
        "period_ms": service.period_ms,
        "queue_tasks": queue.tasks,
        "queue_ms": queue.work_ms,
        "drop": queue.drop,
        "max_age_ms": queue.max_age_ms,
        "max_gap_ms": service.max_gap_ms,
        "max_batch": batch.max,
        "preferred": ",".join(map(str, batch.preferred)) or None,
    }
    for name, value in terms.items():
        if value is not None:
            yield KeyValue(key=f"{SERVE}{name}", value=str(value))
    for name, option in service.model.options.items():
        yield KeyValue(key=f"{PREFIX}{name}", value=option)


def _summary(one: Loaded) -> dict[str, Any]:
    signature = one.hosted.session.signature
    return {
        "artifact": one.hosted.service.artifact.partition("?")[0],
        "digest": one.hosted.digest,
        "format": one.hosted.service.format,
        "runtime": one.hosted.runtime,
        "provider": one.hosted.session.provider,
        "device": one.hosted.variant.device,
        "inputs": {port.name: _told(port.dtype, port.shape) for port in signature.inputs},
        "outputs": {port.name: _told(port.dtype, port.shape) for port in signature.outputs},
        "warm_ms": [round(took, 3) for took in one.warm_ms],
    }


def _told(dtype: np.dtype[Any], shape: Iterable[int | None]) -> str:
    return f"{dtype.name}:{'x'.join('?' if size is None else str(size) for size in shape)}"

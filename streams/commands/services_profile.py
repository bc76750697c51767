"""`weir services profile`: what a service takes of a machine, measured here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, check_service_owner, opened, send_changed

if TYPE_CHECKING:
    from schemas.registrations import ServiceRegistered
    from workers.profiling.judging import Profile
    from workers.profiling.measuring import Errand


def profile(
    service: Annotated[str, typer.Argument(help="A registered service; else --artifact.")] = "",
    *,
    artifact: Annotated[Path | None, typer.Option(help="A model file, not registered.")] = None,
    kind: Annotated[str, typer.Option("--format", help="Of the model file.")] = "onnx",
    device: Annotated[str, typer.Option(help="cpu, cuda or tensorrt.")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="Of each execution.")] = 1,
    cores: Annotated[int, typer.Option(min=1, help="So many cores are its own.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0.05, help="Of each of nine measurements, at most.")
    ] = 2.0,
    rate: Annotated[
        float | None, typer.Option(min=0, help="Executions a second to ask CPU for; else all.")
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Register what is proposed; else it is shown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a service alone, beside a busy neighbour, and with little way to memory.

    It runs in a process of its own on zeros as input. Told are CPU per core, memory, how much
    slower it is under contention of each kind, what it is bound by, and the demand to declare.
    """
    from workers.profiling.measuring import profile as measure

    if bool(service) == (artifact is not None):
        raise typer.BadParameter("name a registered service, or a model file with --artifact")
    if register and not service:
        raise typer.BadParameter("--register goes with a registered service")
    known = _registered(service) if service else None
    errand = _errand(known, artifact, kind, device, batch)
    found = measure(errand, seconds, cores)
    proposed = found.proposed(rate)
    changed = _register(known, proposed) if register and known is not None else False
    _show(service or f"{artifact}", found, proposed, changed, as_json=as_json)


def _registered(name: str) -> "ServiceRegistered":
    from schemas.registrations import ServiceRegistered
    from streams.registration import unknown

    with opened() as entries:
        known = entries.of(ServiceRegistered)
    if name not in known:
        raise unknown("service", name, known)
    return known[name]


def _errand(
    known: "ServiceRegistered | None", artifact: Path | None, kind: str, device: str, batch: int
) -> "Errand":
    """Return what to measure. Raises RegistrationError for a service that has no model here."""
    from urllib.parse import unquote, urlsplit

    from streams.errors import RegistrationError
    from workers.profiling.measuring import Errand
    from workers.runtimes.options import SERVED_ELSEWHERE, options_of

    if known is None:
        return Errand(f"{artifact}", kind, device, {}, batch)
    split = urlsplit(known.artifact)
    if known.format in SERVED_ELSEWHERE or split.scheme != "file":
        raise RegistrationError(
            f"service {known.service}: its model is no file of this machine but "
            f"{known.artifact or known.image}; measure a copy with --artifact"
        )
    _, options = options_of(known)
    return Errand(unquote(split.path), known.format, device, dict(options), batch)


def _register(known: "ServiceRegistered", proposed: dict[str, Any]) -> bool:
    from streams.registration import remeasured
    from workers.clock import wall_ms

    with opened() as entries:
        check_service_owner(entries, known.service, known.app)
        return bool(send_changed(entries, [remeasured(known, proposed, wall_ms())]))


def _show(
    name: str, found: "Profile", proposed: dict[str, Any], changed: bool, *, as_json: bool
) -> None:
    from dataclasses import asdict

    from streams.commands.output import show_outcome

    if found.disturbed:
        told = "others used its cores meanwhile; measure on a quiet machine"
        typer.echo(f"weir: warning: {told}", err=True)
    outcome = {
        "service": name,
        "provider": found.provider,
        "bound": found.bound,
        "alone": asdict(found.alone),
        "slower_under_cpu": found.under_cpu,
        "slower_under_memory": found.under_memory,
        "disturbed": found.disturbed,
        "proposed": proposed,
        "registered": changed,
    }
    lines = [
        f"{name}: {found.bound}-bound on {found.provider}, {found.alone.p50_ms:.3g} ms",
        f"under contention of CPU {_times(found.under_cpu)}, of memory "
        f"{_times(found.under_memory)}: sensitivity {found.sensitivity}",
        *(f"{key} = {value!r}" for key, value in proposed.items()),
        "registered" if changed else "nothing was registered",
    ]
    show_outcome(outcome, "\n".join(lines), as_json=as_json)


def _times(ratio: float | None) -> str:
    return "not measured" if ratio is None else f"{ratio:.2f} times as long"

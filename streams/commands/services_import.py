"""`weir services import-result` and `import-manifest`: what validation tools hand over."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    Strict,
    check_application,
    check_service_owner,
    given,
    opened,
    send_changed,
)

if TYPE_CHECKING:
    from schemas.registrations import ServiceRegistered
    from streams.entries import Entries
    from workers.handover.benchmarks import Benchmark

File = Annotated[Path, typer.Argument(help="A JSON file.")]
Name = Annotated[str, typer.Option("--service", help="The service; the file's agent by default.")]
App = Annotated[str, typer.Option("--app", help="Application it belongs to.")]
StageOf = Annotated[str, typer.Option("--stage", help="Stage it serves.")]
Artifact = Annotated[str, typer.Option(help="The model file, or its URI.")]
Digest = Annotated[str | None, typer.Option(help="SHA-256 of a remote artifact.")]
Run = Annotated[str, typer.Option(help="Run that its id belongs to.")]
Register = Annotated[bool, typer.Option("--register", help="Send it; else it is only shown.")]


def import_result(
    file: File,
    *,
    service: Name = "",
    field: Annotated[str, typer.Option(help="Take this one, such as runtime.summary.p99_ms.")] = "",
    multiplier: Annotated[float, typer.Option(help="From the time to the budget.")] = 1.5,
    app: App = "",
    stage: StageOf = "",
    artifact: Artifact = "",
    digest: Digest = None,
    run: Run = "default",
    register: Register = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a benchmark's result the declared time of a service and a budget for it.

    The first table counts that has expected_latency_ms, mean_latency_ms, p95_latency_ms or
    latency_ms; the budget is that time times 1.5, rounded up to a whole ms. A service that is
    registered keeps the rest of its registration; another one needs --app, --stage and --artifact.
    Exit code 4 for a file that cannot be used.
    """
    from workers.handover.benchmarks import benchmark_of

    found = benchmark_of(_read(file), f"{file}", field=field, multiplier=multiplier)
    name = service or found.agent
    plain = given(
        service=name or None,
        app=app or None,
        stage=stage or None,
        artifact=artifact or None,
        digest=digest,
        latency_ms=found.profile_ms,
        environment=found.serve,
    )
    told = f"{file}: {found.told}"
    outcome = {
        "field": found.field,
        "latency_ms": found.latency_ms,
        "multiplier": found.multiplier,
        "budget_ms": found.budget_ms,
        "batch": found.batch,
    }
    if not register:
        _show_plan(plain, outcome, told, as_json=as_json)
        return
    with opened() as entries:
        event = _with_benchmark(entries, name, found, plain, run)
        _send(entries, event, outcome, told, strict=strict, as_json=as_json)


def import_manifest(
    file: File,
    *,
    app: App = "",
    stage: StageOf = "",
    artifact: Annotated[
        str, typer.Option(help="In place of the manifest's; by default beside the manifest.")
    ] = "",
    digest: Digest = None,
    run: Run = "default",
    register: Register = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make an agent manifest the registration of a service.

    Name, priority, artifact, backend, device, precision, budget and what is done when there is no
    time are taken over. The `agent` of a runtime's result does as well. Exit code 4 for a file
    that cannot be used.
    """
    from streams.artifacts import built
    from workers.handover.manifests import manifest_of

    agent = manifest_of(_read(file), f"{file}")
    plain = agent.registration(app, stage)
    plain["artifact"] = artifact or _beside(file, agent.artifact)
    plain |= given(digest=digest)
    told = f"{file}: agent {agent.agent}"
    if not register:
        _show_plan(plain, {}, told, as_json=as_json)
        return
    event = built(plain, run)
    with opened() as entries:
        _send(entries, event, {}, told, strict=strict, as_json=as_json)


def _read(file: Path) -> Any:
    from streams import text_files
    from workers.handover.errors import DocumentRefused

    return text_files.content(file, DocumentRefused, "name a file of JSON")


def _with_benchmark(
    entries: "Entries", name: str, found: "Benchmark", plain: dict[str, Any], run: str
) -> "ServiceRegistered":
    from schemas.registrations import ServiceRegistered
    from streams import registration
    from streams.artifacts import built
    from streams.errors import RegistrationError
    from workers.clock import wall_ms

    if not name:
        raise RegistrationError("service is needed: name it with --service")
    known = entries.of(ServiceRegistered).get(name)
    if known is not None:
        return registration.measured(known, found.profile_ms, found.serve, wall_ms())
    lacking = [option for option in ("app", "stage", "artifact") if option not in plain]
    if lacking:
        wanted = ", ".join(f"--{option}" for option in lacking)
        raise RegistrationError(f"service {name} is not registered yet; give {wanted} too")
    event: ServiceRegistered = built(plain, run)
    return event


def _beside(file: Path, artifact: str) -> str:
    """Return a path of a manifest from where the manifest is, if it is there; else as it stands."""
    beside = file.parent / artifact
    return str(beside) if "://" not in artifact and beside.is_file() else artifact


def _show_plan(plain: dict[str, Any], outcome: dict[str, Any], told: str, *, as_json: bool) -> None:
    from streams.commands.output import show_outcome

    shown = "\n".join(f"{key} = {_toml(value)}" for key, value in plain.items())
    said = f"{told}\n{shown}\nnothing was sent; --register does"
    show_outcome({**outcome, "registration": plain, "registered": False}, said, as_json=as_json)


def _toml(value: Any) -> str:
    """Return a value as TOML writes it, so that what is shown can go into a file."""
    import json

    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value)


def _send(
    entries: "Entries",
    event: "ServiceRegistered",
    outcome: dict[str, Any],
    told: str,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    from streams.commands.output import show_outcome

    warnings = check_application(entries, "service", event.service, event.app, strict=strict)
    check_service_owner(entries, event.service, event.app, event.owner)
    changed = bool(send_changed(entries, [event]))
    found = {
        **outcome,
        "service": event.service,
        "service_id": event.service_id,
        "registered": True,
        "changed": changed,
        "warnings": warnings,
    }
    how = "registered" if changed else "already registered"
    said = f"{told}\n{how}: service {event.service} {event.service_id}"
    show_outcome(found, said, as_json=as_json)

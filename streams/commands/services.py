"""`weir services`: models and microservices that can be placed on nodes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.nouns import (
    AsJson,
    Strict,
    add_looking,
    add_removing,
    check_application,
    given,
    opened,
    send_changed,
    table_of,
)
from streams.commands.services_import import import_manifest, import_result

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("service", "app", "stage", "cpu m", "memory MiB", "accuracy", "latency ms", "artifact")


@app.command()
def register(
    service: Annotated[str | None, typer.Argument(help="Its name.")] = None,
    *,
    of: Annotated[str | None, typer.Option("--app", help="Application it belongs to.")] = None,
    stage: Annotated[str | None, typer.Option(help="Stage it serves.")] = None,
    artifact: Annotated[str | None, typer.Option(help="The model file, or its URI.")] = None,
    digest: Annotated[str | None, typer.Option(help="SHA-256 of a remote artifact.")] = None,
    run: Annotated[str, typer.Option(help="Run that its id belongs to.")] = "default",
    cpu_milli: Annotated[int | None, typer.Option(help="Thousandths of a core.")] = None,
    memory_mib: Annotated[int | None, typer.Option(help="Resident memory, MiB.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Declared time a request.")] = None,
    accuracy: Annotated[float | None, typer.Option(help="Declared share of right.")] = None,
    cost: Annotated[float | None, typer.Option(help="Cost of a request.")] = None,
    replicas: Annotated[int | None, typer.Option(help="Copies when in use.")] = None,
    file: Annotated[Path | None, typer.Option(help="The same as TOML; options win.")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Register a service: the model file must be there, its digest is computed.

    Every other field of a service (variants, GPU share, architectures, ...) goes into the file.
    """
    from streams.commands.output import show_outcome

    options = given(
        service=service,
        app=of,
        stage=stage,
        artifact=artifact,
        digest=digest,
        cpu_milli=cpu_milli,
        memory_mib=memory_mib,
        latency_ms=latency_ms,
        accuracy=accuracy,
        cost=cost,
        replicas=replicas,
    )
    event = built(table_of(file) | options, run)
    with opened() as entries:
        warnings = check_application(entries, "service", event.service, event.app, strict=strict)
        changed = bool(send_changed(entries, [event]))
    outcome = {
        "service": event.service,
        "service_id": event.service_id,
        "digest": event.digest,
        "changed": changed,
        "warnings": warnings,
    }
    told = "registered" if changed else "already registered"
    show_outcome(outcome, f"{told}: service {event.service} {event.service_id}", as_json=as_json)


def built(plain: dict[str, Any], run: str) -> Any:
    """Return the registration of a service whose model file has been looked at.

    What others serve over HTTP has no file.
    """
    from streams import registration
    from streams.artifacts import located
    from workers.clock import wall_ms
    from workers.runtimes.options import SERVED_ELSEWHERE

    if plain.get("artifact") and plain.get("format") not in SERVED_ELSEWHERE:
        uri, digest = located(str(plain["artifact"]), plain.get("digest"))
        plain = plain | {"artifact": uri, "digest": digest}
    return registration.service(plain, run, wall_ms())


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    return (
        entry.service,
        entry.app,
        entry.stage,
        entry.cpu_milli,
        entry.memory_mib,
        entry.accuracy,
        entry.latency_ms,
        entry.artifact,
    )


app.command("import-result")(import_result)
app.command("import-manifest")(import_manifest)
add_looking(app, "ServiceRegistered", "service", COLUMNS, _row)
add_removing(app, "ServiceRegistered", "service")

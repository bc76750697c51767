"""`weir services register`: one service by options or a file, or many by a file."""

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
    from streams.forms.files import Entry

File = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", help="TOML, JSON or YAML with one or many, or a testbed's; options win."
    ),
]
Schema = Annotated[
    bool, typer.Option("--schema", help="Print the JSON schema of such files, and end.")
]
_NAMES_ONE = ("service", "artifact", "digest")


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
    place: Annotated[
        bool, typer.Option("--place", help="Ask for its copies at once, without a selection.")
    ] = False,
    file: File = None,
    schema: Schema = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Register a service: the model file must be there, its digest is computed.

    Every other field of a service (variants, GPU share, architectures, ...) goes into the file;
    `weir services template` shows all. Of many, none is registered when one is wrong.
    """
    if schema:
        _print_schema()
        return
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
    found, events = _read(file, options, run)
    with opened() as entries:
        warnings = _checked(entries, events, strict=strict, needed=not place)
        changed = send_changed(entries, events)
        if place:
            _ask(entries, events)
    left = {entry.where: list(entry.left_out) for entry in found if entry.left_out}
    _show(events, changed, warnings, left, as_json=as_json)


def _print_schema() -> None:
    import json

    from streams.forms import schema as form_schema

    typer.echo(json.dumps(form_schema.schema(form_schema.SERVICE), indent=2))


def _read(
    file: Path | None, options: dict[str, Any], run: str
) -> "tuple[list[Entry], list[ServiceRegistered]]":
    """Return what a file and the options say. Raises DocumentRefused or RegistrationError."""
    from streams.artifacts import built
    from streams.forms import files as form_files
    from streams.forms import schema as form_schema

    if file is None:
        return [], [built(options, run)]
    found = form_files.entries(file, form_schema.SERVICE)
    alone = [name for name in _NAMES_ONE if name in options]
    if len(found) > 1 and alone:
        raise typer.BadParameter(f"{file} has {len(found)} services; {alone[0]} goes with one")

    def make(plain: dict[str, Any]) -> "ServiceRegistered":
        event: ServiceRegistered = built(plain | options, run)
        return event

    return found, form_files.built(found, form_schema.SERVICE, make)


def _checked(
    entries: "Entries", events: "list[ServiceRegistered]", *, strict: bool, needed: bool
) -> list[str]:
    """Check owners, and applications where they are needed or asked for; return warnings."""
    warnings: list[str] = []
    for event in events:
        name, app = event.service, event.app
        if strict or needed:
            warnings += check_application(entries, "service", name, app, strict=strict)
        check_service_owner(entries, name, app, event.owner)
    return warnings


def _ask(entries: "Entries", events: "list[ServiceRegistered]") -> None:
    from streams.placing.asking import requests
    from workers.clock import wall_ms

    wanted = {event.service: (event.app, event.replicas) for event in events}
    entries.send(requests(wanted, "its registration asks for it", wall_ms()))


def _show(
    events: "list[ServiceRegistered]",
    changed: list[str],
    warnings: list[str],
    left: dict[str, list[str]],
    *,
    as_json: bool,
) -> None:
    from streams.commands.output import show_outcome

    for where, names in left.items():
        typer.echo(f"weir: warning: {where}: not understood: {', '.join(names)}", err=True)
    each = [
        {
            "service": event.service,
            "service_id": event.service_id,
            "digest": event.digest,
            "changed": event.service in changed,
        }
        for event in events
    ]
    told = "\n".join(
        f"{'registered' if event.service in changed else 'already registered'}: "
        f"service {event.service} {event.service_id}"
        for event in events
    )
    common = {"warnings": warnings, "left_out": left}
    outcome = {**each[0], **common} if len(each) == 1 else {"services": each, **common}
    show_outcome(outcome, told, as_json=as_json)

"""`weir apps`: applications, from their registration to their end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.apps_graph import show, validate
from streams.commands.nouns import (
    AsJson,
    add_looking,
    check_contract_owner,
    check_owner,
    check_service_owner,
    given,
    opened,
    quiet_settings,
    send_changed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.base import Event
    from schemas.registrations import ApplicationRegistered
    from streams.entries import Entries
    from workers.settings import Identity, Settings

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("app", "run", "owner", "stages", "services", "id")
RETIRE_S = 8.0


app.command()(validate)
app.command()(show)


@app.command()
def register(
    name: Annotated[str | None, typer.Argument(help="The application's name.")] = None,
    *,
    run: Annotated[str | None, typer.Option(help="Run or experiment.")] = None,
    user: Annotated[str | None, typer.Option(help="On whose behalf it runs.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="stage=service,service in order; repeat.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="key=value; repeat.")] = None,
    instances: Annotated[int, typer.Option(min=1, help="Identities a service.")] = 1,
    output_dir: Annotated[
        Path | None, typer.Option(help="Write the configuration of each probe there.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="The same as TOML, JSON or YAML; options win."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register an application and give it, its stages, services and instances their ids.

    The ids depend on application and run alone: registering again changes nothing. The file may
    hold arrays of tables: stages and, to register them at once, services, contracts and consumers.
    """
    from streams import registration
    from streams.graphing import reading

    settings = quiet_settings()
    plain = reading.table(file) if file is not None else {}
    others = {kind: registration.tables(plain.pop(kind, []), kind) for kind in reading.OTHERS}
    stages = [
        {"stage": key, "services": [each for each in value.split(",") if each]}
        for key, value in registration.pairs(stage or (), "stage").items()
    ]
    told = given(app=name, run=run, user=user, owner=owner, stages=stages)
    if tag:
        told["tags"] = registration.pairs(tag, "tag")
    event, changed = _send(_identified(settings) | plain | told, others, settings)
    identities = registration.identities(event, instances)
    _show(event, changed, identities, _files(output_dir, identities, settings), as_json=as_json)


def _identified(settings: "Settings") -> dict[str, Any]:
    """Return what the settings, and so WEIR_IDENTITY__ variables, say of the application."""
    identity = settings.identity
    return {
        key: value
        for key, value in (("app", identity.app), ("run", identity.run), ("user", identity.user))
        if value
    }


def _send(
    plain: dict[str, Any], others: dict[str, list[dict[str, Any]]], settings: "Settings"
) -> tuple["ApplicationRegistered", list[str]]:
    """Check everything, then send what is new: services first, the application last."""
    from schemas.registrations import ApplicationRegistered, ContractRegistered, MetricDefined
    from streams import registration
    from streams.artifacts import built
    from streams.entries import Entries
    from workers.clock import wall_ms

    now_ms = wall_ms()
    event = registration.application(plain, now_ms)
    own = {"app": event.app}
    with Entries(settings) as entries:
        known = entries.catalogue(ContractRegistered, MetricDefined)
        events = [
            *(registration.consumer(each, now_ms) for each in others["consumers"]),
            *(built(own | each, event.run) for each in others["services"]),
            *(
                registration.next_contract(own | each, known, now_ms)
                for each in others["contracts"]
            ),
            event,
        ]
        standing = entries.of(ApplicationRegistered).get(event.app)
        if standing is not None:
            check_owner(entries, "application", event.app, standing.owner, event.owner)
        _check_owners(entries, events, event.owner)
        return event, send_changed(entries, events)


def _check_owners(entries: "Entries", events: "Sequence[Event]", owner: str) -> None:
    """Let nobody change services and contracts of others by the file of an application."""
    from schemas.registrations import ContractRegistered, ServiceRegistered

    for event in events:
        if isinstance(event, ServiceRegistered):
            check_service_owner(entries, event.service, event.app, event.owner or owner)
        elif isinstance(event, ContractRegistered):
            check_contract_owner(entries, event.contract, event.owner or owner)


def _files(folder: Path | None, identities: list["Identity"], settings: "Settings") -> list[str]:
    from streams import probe_files

    return [str(p) for p in probe_files.write(folder, identities, settings)] if folder else []


def _show(
    event: "ApplicationRegistered",
    changed: list[str],
    identities: list["Identity"],
    files: list[str],
    *,
    as_json: bool,
) -> None:
    from streams.commands.output import show_outcome

    instances = [identity.model_dump() for identity in identities]
    outcome = {
        "app": event.app,
        "app_id": event.app_id,
        "run": event.run,
        "stages": {stage.stage: stage.stage_id for stage in event.stages},
        "instances": instances,
        "changed": changed,
        "files": files,
    }
    done = "registered" if changed else "already registered"
    told = [
        f"{done}: application {event.app} {event.app_id}",
        *(f"  stage {stage.stage} {stage.stage_id}" for stage in event.stages),
        *(f"  instance {each.instance}" for each in identities if each.instance),
        *(f"  wrote {file}" for file in files),
    ]
    show_outcome(outcome, "\n".join(told), as_json=as_json)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The application's name.")]) -> None:
    """End an application and what is its: services, contracts, ensemble, placements, policies.

    Its workers are retired first; its history stays in SQL.
    """
    with opened() as entries:
        gone = ended(entries, name)
    typer.echo(f"removed application {name} and {gone - 1} entries of it")


def ended(entries: "Entries", name: str) -> int:
    """End an application and all that is its; return how many entries were removed.

    Raises RegistrationError for an unknown application, somebody else's, and while deeds are
    frozen.
    """
    from schemas.decisions import EnsembleSelected, PlacementDecided
    from schemas.registrations import (
        ApplicationRegistered,
        ContractRegistered,
        PolicySelected,
        ServiceRegistered,
    )
    from streams import registration
    from streams.commands.switching import refuse_frozen
    from workers.clock import wall_ms

    kinds = (
        ApplicationRegistered,
        ServiceRegistered,
        ContractRegistered,
        EnsembleSelected,
        PlacementDecided,
        PolicySelected,
    )
    with entries.follow(*kinds) as reader:
        known = reader.current()
        ending = registration.removal(name, known, wall_ms())
        check_owner(entries, "application", name, known.of(ApplicationRegistered)[name].owner)
        refuse_frozen(entries, known, "application.remove", name, name)
        entries.send([ending.request])
        _await_retired(reader, ending.services)
        for kind, key in ending.tombstones:
            entries.remove(kind, key)
        entries.flush()
    return len(ending.tombstones)


def _await_retired(reader: Any, services: tuple[str, ...]) -> None:
    """Wait until every placement is retired; without a planner there is nothing to wait for."""
    import time

    from schemas.decisions import PlacementDecided

    patience = time.monotonic() + RETIRE_S
    while time.monotonic() < patience:
        placed = reader.current().of(PlacementDecided)
        if all(placed[name].replicas == 0 for name in services if name in placed):
            return
        time.sleep(0.05)
    typer.echo("weir: placement did not answer; its decisions are removed as they are", err=True)


def _row(entry: Any, _: int) -> tuple[Any, ...]:
    services = [name for stage in entry.stages for name in stage.services]
    stages = [stage.stage for stage in entry.stages]
    return (entry.app, entry.run, entry.owner, stages, services, entry.app_id)


add_looking(app, "ApplicationRegistered", "application", COLUMNS, _row)

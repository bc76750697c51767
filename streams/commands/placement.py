"""`weir placement`: modes, recommendations, what waits, and what was decided."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, check_service_owner, check_steering, opened
from streams.commands.placement_explain import explain
from streams.commands.placement_plan import plan
from streams.commands.placement_policy import canary, policy

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.decisions import PlacementDecided
    from streams.entries import Entries

app = typer.Typer(add_completion=False, no_args_is_help=True)
Service = Annotated[str, typer.Argument(help="Name of the service.")]
Reason = Annotated[str, typer.Option(help="Why; it is told.")]
QUEUE = ("service", "app", "copies", "priority", "sensitivity", "since", "why")
HISTORY = (
    *("generation", "at", "status", "copies", "nodes", "score", "algorithm", "mode", "reason"),
    "deeds",
)
app.command()(plan)
app.command()(explain)
app.command()(policy)
app.command()(canary)


@app.command()
def mode(
    chosen: Annotated[
        str, typer.Argument(metavar="[observe|recommend|act]", help="Shown when it is not given.")
    ] = "",
    *,
    of: Annotated[str, typer.Option("--app", help="Of one application alone.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show or choose the mode: observe decides nothing, recommend does nothing, act does it.

    What runs, and what was decided in mode act, stays when the mode becomes more careful.
    """
    from schemas.authority import MODES
    from schemas.decisions import PlacementDecided
    from schemas.registrations import ApplicationRegistered, PolicySelected

    if chosen and chosen not in MODES:
        raise typer.BadParameter(f"{chosen!r} is none of {', '.join(MODES)}")
    with opened() as entries:
        known = entries.catalogue(PolicySelected, ApplicationRegistered, PlacementDecided)
        check_steering(entries, known, of, change=bool(chosen))
        if not chosen:
            _show_modes(known, of, as_json=as_json)
            return
        _choose(entries, known, chosen, of, as_json=as_json)


def _show_modes(known: "Catalogue", of: str, *, as_json: bool) -> None:
    from placement.authority import PLACE
    from schemas.authority import mode_of
    from schemas.registrations import ApplicationRegistered
    from streams.commands.output import show_rows

    apps = [of] if of else ["", *sorted(known.of(ApplicationRegistered))]
    rows = [(name or "(others)", mode_of(known, PLACE, name)) for name in apps]
    show_rows(("app", "mode"), rows, as_json=as_json)


def _choose(entries: "Entries", known: "Catalogue", chosen: str, of: str, *, as_json: bool) -> None:
    from placement.authority import PLACE
    from schemas.authority import ACT, INSTALLATION
    from schemas.registrations import PolicySelected
    from streams import authorizing
    from streams.commands.output import show_outcome
    from workers.clock import wall_ms

    policies = known.of(PolicySelected)
    scopes = [f"{PLACE}/{of}"] if of else [INSTALLATION, *({PLACE} & policies.keys())]
    now_ms, by = wall_ms(), entries.settings.identity.user
    changed = [
        authorizing.mode(scope, chosen, policies.get(scope), now_ms)
        for scope in scopes
        if scope not in policies or policies[scope].mode != chosen
    ]
    whose = of or "all applications that have none of their own"
    told = f"the mode of {whose} is {chosen}"
    deed = authorizing.deed("mode.selected", of or "*", "done", told, now_ms, told={"by": by})
    stay = [] if chosen == ACT else authorizing.staying(known, of, by, now_ms)
    entries.send([*stay, *changed, deed] if changed else [])
    show_outcome({"app": of, "mode": chosen, "changed": bool(changed)}, told, as_json=as_json)


@app.command()
def apply(
    service: Service,
    *,
    generation: Annotated[
        int | None, typer.Option(help="Only this one; else the newest, whichever it is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a recommendation carried out as it stands; what is recommended later waits again."""
    from placement.authority import in_force
    from schemas.decisions import PlacementDecided
    from schemas.registrations import PolicySelected
    from streams import authorizing
    from streams.commands.output import show_outcome
    from streams.commands.switching import refuse_frozen
    from streams.errors import RegistrationError
    from streams.registration import unknown
    from workers.clock import wall_ms

    with opened() as entries:
        known = entries.catalogue(PlacementDecided, PolicySelected)
        told = known.get(PlacementDecided, service)
        if told is None:
            raise unknown("decision on service", service, known.of(PlacementDecided))
        if generation not in (None, told.generation):
            raise RegistrationError(
                f"the newest decision on {service} is generation {told.generation}; "
                "`weir placement history` shows what it says"
            )
        check_service_owner(entries, service, told.app)
        refuse_frozen(entries, known, "placement.apply", service, told.app, (told.event_id,))
        applied = in_force(told, known) != told
        now_ms, by = wall_ms(), entries.settings.identity.user
        if applied:
            policy = authorizing.approval(told, by, now_ms)
            who = {"generation": str(told.generation), "by": by}
            causes = (told.event_id, policy.event_id)
            reason = "the recommendation was let happen"
            deed = authorizing.deed(
                "placement.apply", service, "done", reason, now_ms, told=who, causes=causes
            )
            entries.send([policy, deed])
    outcome = {"service": service, "generation": told.generation, "changed": applied}
    words = f"generation {told.generation} of {service}"
    said = f"{words} is carried out" if applied else f"{words} is in force already"
    show_outcome(outcome, said, as_json=as_json)


@app.command()
def pause(*, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let requests wait: nothing is decided until `resume`; what was decided is carried out."""
    _pause(True, reason, as_json=as_json)


@app.command()
def resume(*, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a pause: what waits is decided now."""
    _pause(False, reason, as_json=as_json)


def _pause(on: bool, reason: str, *, as_json: bool) -> None:
    from schemas.authority import PAUSE
    from streams.commands.switching import switched

    kind = "placement.pause" if on else "placement.resume"
    told = "placement is paused" if on else "placement goes on"
    with opened() as entries:
        switched(entries, PAUSE, kind, "*", told, reason, on=on, as_json=as_json)


@app.command()
def queue(
    *,
    order: Annotated[str, typer.Option(help="priority, sensitivity or age.")] = "priority",
    as_json: AsJson = False,
) -> None:
    """Show what waits for a place: how many copies, why, and since when."""
    from dataclasses import astuple

    from schemas.decisions import PlacementDecided, PlacementRequested
    from schemas.registrations import PolicySelected, ServiceRegistered
    from streams.commands.output import show_rows, since
    from streams.placing.queued import ORDERS, waiting
    from workers.clock import wall_ms

    if order not in ORDERS:
        raise typer.BadParameter(f"--order is {order!r}; it must be {', '.join(ORDERS)}")
    now_ms = wall_ms()
    with opened() as entries:
        known = entries.catalogue(PlacementDecided, ServiceRegistered, PolicySelected)
        asked = [
            event
            for event in entries.events("weir.control")
            if isinstance(event, PlacementRequested)
        ]
    rows = [list(astuple(one)) for one in waiting(known, asked, order)]
    if not as_json:
        rows = [[*row[:5], since(row[5], now_ms), row[6]] for row in rows]
    show_rows(QUEUE, rows, as_json=as_json)


@app.command()
def history(
    service: Service,
    *,
    last: Annotated[int, typer.Option(min=1, help="So many at most, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what was decided on a service, and what came of it, oldest first.

    Read from Kafka, which keeps the newest decision, and older ones until it compacts; ClickHouse
    keeps all: `weir sql "SELECT * FROM placements"`.
    """
    from schemas.decisions import ActionTaken, PlacementDecided
    from streams.commands.output import show_rows
    from streams.errors import RegistrationError

    with opened() as entries:
        found = [
            event
            for event in entries.events("weir.placements", service)
            if isinstance(event, PlacementDecided)
        ][-last:]
        if not found:
            raise RegistrationError(f"nothing was decided on service {service!r}")
        ids = [one.event_id for one in found]
        deeds = [
            event
            for event in entries.events("weir.actions", naming=ids)
            if isinstance(event, ActionTaken)
        ]
    done = [
        (deed.causes, f"{deed.kind} {deed.target} {deed.status}: {deed.reason}") for deed in deeds
    ]
    rows = [_decided(one, done, as_json=as_json) for one in found]
    show_rows(HISTORY, rows, as_json=as_json)


def _decided(
    decided: "PlacementDecided", done: list[tuple[tuple[str, ...], str]], *, as_json: bool
) -> tuple[Any, ...]:
    from datetime import datetime, timezone

    from streams.placing.queued import deeds_of

    at = datetime.fromtimestamp(decided.decided_at / 1000, timezone.utc)
    return (
        decided.generation,
        decided.decided_at if as_json else f"{at:%Y-%m-%d %H:%M:%S} UTC",
        decided.status,
        f"{len(decided.assignments)} of {decided.replicas}",
        [assignment.node for assignment in decided.assignments],
        decided.score,
        decided.algorithm,
        decided.mode,
        decided.reason,
        deeds_of(decided, done),
    )

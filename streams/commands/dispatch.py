"""`weir dispatch`: which other worker would be asked for a task, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson

if TYPE_CHECKING:
    from workers.dispatching.attempts import Dispatch, Patience
    from workers.dispatching.choosing import Errand
    from workers.dispatching.peers import Peer

app = typer.Typer(add_completion=False, no_args_is_help=True)
COLUMNS = ("worker", "asked", "expected ms", "why")
ATTEMPTS = ("attempt", "worker", "kind", "at ms", "until ms")


@app.callback()
def dispatch() -> None:
    """Send tasks from one worker to another."""


@app.command()
def plan(
    service: Annotated[
        str, typer.Argument(help="What is wanted; a request file says it too.")
    ] = "",
    *,
    budget_ms: Annotated[float, typer.Option(help="Time from now to the deadline, ms.")] = 100.0,
    own: Annotated[str, typer.Option("--from", help="The worker that sends it.")] = "",
    backend: Annotated[str, typer.Option(help="Runtime or provider that is needed.")] = "",
    device: Annotated[str, typer.Option(help="Device that is needed.")] = "",
    registry: Annotated[
        Path | None, typer.Option(help="Workers of this file in place of the catalogue's.")
    ] = None,
    request: Annotated[Path | None, typer.Option(help="The task, as a request file.")] = None,
    at: Annotated[
        str, typer.Option(help="Decide as of then: an ISO time, or 2h for 2 h ago; now by default.")
    ] = "",
    way_ms: Annotated[float, typer.Option(min=0, help="Time there and back, ms.")] = 0.0,
    timeout_ms: Annotated[float, typer.Option(help="Longest wait for one answer, ms.")] = 500.0,
    attempts: Annotated[
        int | None, typer.Option(min=1, help="Most that are made; the request's, or 3.")
    ] = None,
    hedge_ms: Annotated[
        float | None, typer.Option(help="Ask another one too after so long, ms.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would be done with a task that goes to another worker; nobody is asked.

    Every worker with the reason for or against it, and the attempts that would be made if none
    answered. Workers come from the catalogue, or from a registry file; where they are is never
    taken from a request. Exit code 3 when no worker can be asked, 4 for a file that is unusable.
    """
    now = _instant(at)
    errand, most = _errand(request, service, budget_ms, now)
    errand = _needing(errand, backend, device)
    patience = _patience(timeout_ms, attempts or most, hedge_ms)
    found = _rehearsed(errand, _peers(registry, errand, own, now), patience, now, way_ms)
    _show(found, as_json=as_json)
    if not found.choice.order:
        raise typer.Exit(3)


def _instant(at: str) -> float:
    from streams.instants import instant_ms
    from workers.clock import fine_ms

    now = fine_ms()
    return float(instant_ms(at, int(now))) if at else now


def _errand(
    request: Path | None, service: str, budget_ms: float, now: float
) -> "tuple[Errand, int]":
    from dataclasses import replace

    from streams import text_files
    from workers.dispatching.choosing import Errand
    from workers.handover.errors import DocumentRefused
    from workers.handover.registries import errand_of

    if request is not None:
        told = text_files.content(request, DocumentRefused, "name a file of JSON")
        errand, attempts = errand_of(told, f"{request}", now)
        return (replace(errand, service=service) if service else errand), attempts
    if not service:
        raise typer.BadParameter("name a service, or give --request")
    if not 0 < budget_ms < float("inf"):
        raise typer.BadParameter("--budget-ms must be above 0 and finite")
    return Errand(task="planned", service=service, deadline=now + budget_ms), 3


def _needing(errand: "Errand", backend: str, device: str) -> "Errand":
    from dataclasses import replace

    return replace(errand, backend=backend or errand.backend, device=device or errand.device)


def _patience(timeout_ms: float, attempts: int, hedge_ms: float | None) -> "Patience":
    from workers.dispatching.attempts import Patience

    try:
        return Patience(timeout_ms=timeout_ms, attempts=attempts, hedge_ms=hedge_ms)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _peers(registry: Path | None, errand: "Errand", own: str, now: float) -> "list[Peer]":
    from schemas.registrations import InstanceReported, NodeReported, ServiceRegistered
    from streams import text_files
    from streams.commands.nouns import opened
    from workers.dispatching.peers import peers_of
    from workers.handover.errors import DocumentRefused
    from workers.handover.registries import peers_in

    if registry is not None:
        told = text_files.content(registry, DocumentRefused, "name a file of JSON")
        return [peer for peer in peers_in(told, f"{registry}", now) if peer.worker != own]
    with opened() as entries:
        known = entries.catalogue(InstanceReported, NodeReported, ServiceRegistered)
    return peers_of(known, errand.service, own)


def _rehearsed(
    errand: "Errand", peers: "list[Peer]", patience: "Patience", now: float, way_ms: float
) -> "Dispatch":
    from workers.dispatching.attempts import Dispatch, rehearsed
    from workers.dispatching.choosing import choose

    choice = choose(errand, peers, now, way_ms=way_ms)
    return rehearsed(Dispatch(errand, choice, patience, now))


def _show(found: "Dispatch", *, as_json: bool) -> None:
    import json

    from streams.commands.output import show_rows

    told = found.record()
    plan: dict[str, Any] = {
        "task": told["task"],
        "service": told["service"],
        "selected": told["order"][0] if told["order"] else None,
        "reason": found.choice.why,
        "fallback": told["order"][1:],
        "evaluations": told["evaluations"],
        "attempts": [
            {key: one[key] for key in ("worker", "kind", "at_ms", "until_ms")}
            for one in told["attempts"]
        ],
    }
    if as_json:
        typer.echo(json.dumps(plan, indent=2))
        return
    rows = [
        (one["worker"], "yes" if one["eligible"] else "no", one["predicted_ms"], one["reason"])
        for one in plan["evaluations"]
    ]
    show_rows(COLUMNS, rows, as_json=False)
    if plan["selected"] is None:
        typer.echo(f"nobody is asked: {plan['reason']}")
        return
    typer.echo(f"{plan['selected']} is asked first; if nobody answers:")
    steps = [
        (number, one["worker"], one["kind"], one["at_ms"], one["until_ms"])
        for number, one in enumerate(plan["attempts"], 1)
    ]
    show_rows(ATTEMPTS, steps, as_json=False)

"""`weir placement explain`: why a service runs where it does, node by node."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.nouns import AsJson, opened

if TYPE_CHECKING:
    from schemas.decisions import PlacementDecided
    from streams.placing.explaining import Explained

COLUMNS = ("node", "verdict", "score", "ruled out by", "needed", "there was")


def explain(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    *,
    generation: Annotated[
        int | None, typer.Option(min=1, help="This decision; else the newest one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute every node's reason again, from the inputs that a decision recorded.

    The catalogue is read up to the offsets of the decision. Where the log has lost some of it by
    compaction, the outcome may differ from what was decided, and says so.
    """
    from placement.algorithms.names import maker
    from schemas.decisions import PlacementDecided
    from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered
    from streams.errors import RegistrationError
    from streams.placing.explaining import explained
    from workers import placement_plugins

    with opened() as entries:
        every = [
            event
            for event in entries.events("weir.placements")
            if isinstance(event, PlacementDecided)
        ]
        decided = _chosen(every, service, generation)
        then = entries.catalogue_at(
            decided.catalogue, NodeReported, ServiceRegistered, PlacementDecided, PolicySelected
        )
    others = [
        one for one in every if one.service != service and one.decided_at <= decided.decided_at
    ]
    try:
        make = maker(decided.algorithm, placement_plugins.installed())
    except ValueError as error:
        raise RegistrationError(f"generation {decided.generation} of {service}: {error}") from None
    found = explained(decided, then, others, make, placement_plugins.filters())
    _show(decided, found, as_json=as_json)


def _chosen(
    every: "list[PlacementDecided]", service: str, generation: int | None
) -> "PlacementDecided":
    from streams.errors import RegistrationError

    known = {one.generation: one for one in every if one.service == service}
    if not known:
        raise RegistrationError(f"nothing was decided on service {service!r}")
    wanted = max(known) if generation is None else generation
    if wanted not in known:
        listed = ", ".join(map(str, sorted(known)))
        raise RegistrationError(
            f"the log holds no generation {wanted} of {service}; it holds {listed}"
        )
    return known[wanted]


def _show(decided: "PlacementDecided", found: "Explained", *, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from streams.commands.output import show_rows

    chosen = {one.node for one in decided.assignments}
    nodes = [asdict(one) | {"chosen": one.node in chosen} for one in found.nodes]
    if as_json:
        told = {
            "service": decided.service,
            "generation": decided.generation,
            "status": decided.status,
            "algorithm": decided.algorithm,
            "reason": decided.reason,
            "agrees": found.agrees,
            "nodes": nodes,
        }
        typer.echo(json.dumps(told, indent=2))
        return
    show_rows(COLUMNS, [_row(one) for one in nodes], as_json=False)
    words = f"generation {decided.generation} of {decided.service}: {decided.reason}"
    typer.echo(f"{words}; by {decided.algorithm}")
    if not found.agrees:
        typer.echo(
            "weir: warning: the decision ruled out other numbers of nodes; the log has lost some "
            "of what it was made on, or copies that were placed with it",
            err=True,
        )


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    if one["chosen"]:
        verdict = "chosen"
    elif one["present"]:
        verdict = "holds a copy"
    else:
        verdict = "ruled out" if one["constraint"] else "fits"
    if not one["constraint"]:
        return one["node"], verdict, one["score"], "", "", ""
    return one["node"], verdict, "", one["constraint"], one["needed"], one["available"]

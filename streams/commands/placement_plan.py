"""`weir placement plan`: what place would decide, before anybody asks for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from streams.commands.nouns import AsJson, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.catalogue import Catalogue
    from schemas.decisions import PlacementDecided
    from streams.forms.schema import Form
    from streams.placing.planning import Supposed

T = TypeVar("T")
COLUMNS = ("service", "status", "copies", "nodes", "score", "why", "ruled out", "would do as well")


def plan(
    services: Annotated[
        list[str] | None, typer.Argument(help="Services; else all that lack a place.")
    ] = None,
    *,
    nodes: Annotated[
        Path | None, typer.Option(help="Suppose these nodes, too: a file as of `nodes register`.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--services", help="Suppose these services: a file as of its `register`."),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--offline", help="Suppose nothing else: without Kafka.")
    ] = False,
    replicas: Annotated[
        int | None, typer.Option(min=0, help="So many copies of each, not as registered.")
    ] = None,
    algorithm: Annotated[str, typer.Option(help="By this algorithm, not the one in force.")] = "",
    picture: Annotated[Path | None, typer.Option(help="Draw it there, a file *.svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show where copies would run, and why, and decide nothing.

    The processor that places is asked itself, in a world where nothing forbids to decide. With
    both files and --offline it needs no broker.
    """
    from placement.errors import PlacementError
    from schemas.catalogue import Catalogue
    from schemas.decisions import PlacementDecided
    from schemas.registrations import NodeReported, ServiceRegistered
    from streams.placing import planning
    from workers.clock import wall_ms

    if picture is not None and picture.suffix != ".svg":
        raise typer.BadParameter(f"--picture is {picture}; its name must end in .svg")
    now_ms = wall_ms()
    more = _supposed(nodes, file, algorithm, now_ms)
    known = planning.supposed(Catalogue() if alone else _known(), more)
    registered = known.of(ServiceRegistered)
    names = services or [one.service for one in more.services] or planning.not_placed(known)
    wanted = {
        name: _registered(known, name).replicas if replicas is None else replicas for name in names
    }
    try:
        decided = planning.planned(known, wanted, now_ms, algorithm=algorithm, **_plugins())
    except PlacementError as error:
        raise typer.BadParameter(str(error)) from None
    if picture is not None:
        from streams.placing.picture import svg

        drawn = svg(known.of(NodeReported), known.of(PlacementDecided), decided)
        picture.write_text(drawn, "utf-8")
    _show(decided, len(registered), picture, as_json=as_json)


def _known() -> "Catalogue":
    from schemas.decisions import PlacementDecided
    from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered

    with opened() as entries:
        return entries.catalogue(NodeReported, ServiceRegistered, PlacementDecided, PolicySelected)


def _registered(known: "Catalogue", name: str) -> Any:
    from schemas.registrations import ServiceRegistered
    from streams.registration import unknown

    registered = known.of(ServiceRegistered)
    if name not in registered:
        raise unknown("service", name, registered)
    return registered[name]


def _supposed(nodes: Path | None, services: Path | None, algorithm: str, now_ms: int) -> "Supposed":
    """Return what the files say. Raises DocumentRefused."""
    from streams import registration
    from streams.forms import files as form_files
    from streams.forms import nodes as node_forms
    from streams.forms import schema as form_schema
    from streams.placing.planning import Supposed

    def made(
        file: Path | None, form: "Form", make: "Callable[[dict[str, Any]], T]"
    ) -> tuple[T, ...]:
        found = form_files.entries(file, form) if file is not None else []
        return tuple(form_files.built(found, form, make))

    return Supposed(
        made(nodes, form_schema.NODE, lambda plain: node_forms.node(plain, now_ms)),
        made(
            services,
            form_schema.SERVICE,
            lambda plain: registration.service(plain, "plan", now_ms),
        ),
        algorithm,
    )


def _plugins() -> dict[str, Any]:
    from workers import placement_plugins

    return {"plugins": placement_plugins.installed(), "filters": placement_plugins.filters()}


def _show(
    decided: "list[PlacementDecided]", known: int, picture: Path | None, *, as_json: bool
) -> None:
    import json

    from schemas.decisions import PlacementDecided
    from schemas.introspect import to_plain
    from streams.commands.output import show_rows

    if as_json:
        plain = to_plain(PlacementDecided)
        typer.echo(json.dumps([plain(one) for one in decided], indent=2))
        return
    show_rows(COLUMNS, [_row(one) for one in decided], as_json=False)
    placed = sum(len(one.assignments) for one in decided)
    wanted = sum(one.replicas for one in decided)
    where = f"; drawn in {picture}" if picture is not None else ""
    typer.echo(
        f"{placed} of {wanted} copies of {len(decided)} services have a place; "
        f"{known} services are known{where}; nothing was decided"
    )


def _row(decided: "PlacementDecided") -> tuple[Any, ...]:
    return (
        decided.service,
        decided.status,
        f"{len(decided.assignments)} of {decided.replicas}",
        [assignment.node for assignment in decided.assignments],
        decided.score,
        decided.reason,
        [f"{one.constraint} {one.nodes}" for one in decided.rejections],
        [f"{one.node} {one.score:.3g}" for one in decided.alternatives[:3]],
    )

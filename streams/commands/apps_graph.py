"""`weir apps validate` and `weir apps show`: the graph of an application, checked and drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.nouns import AsJson, opened
from streams.exits import BAD_DATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processors.graphs.problems import Problem
    from schemas.catalogue import Catalogue
    from schemas.registrations import ApplicationRegistered

FromFile = Annotated[
    Path, typer.Option("--file", "-f", help="The application in TOML, JSON or YAML.")
]


def validate(
    *,
    file: FromFile,
    offline: Annotated[
        bool, typer.Option("--offline", help="Compare it with nothing that is registered.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what is only doubtful, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the graph of an application: each mistake with its place and what to do.

    Cycles, inputs that are missing, conditions on later stages, shares that do not add up, tensors
    of other types, services and combiners that nobody has. Exit code 4 when there is one.
    """
    from streams.graphing import reading
    from workers.clock import wall_ms

    app, beside = reading.application(file, wall_ms())
    found = reading.found_wrong(app, None if offline else _catalogue(), beside)
    show_problems(app, found, as_json=as_json)
    if any(strict or not one.mild for one in found):
        raise typer.Exit(BAD_DATA)


def _catalogue() -> "Catalogue":
    from schemas.registrations import ModelPublished, ServiceRegistered

    with opened() as entries:
        return entries.catalogue(ServiceRegistered, ModelPublished)


def show_problems(
    app: "ApplicationRegistered", found: "Sequence[Problem]", *, as_json: bool
) -> None:
    """Show what was found wrong with a graph, or that nothing was."""
    from streams.commands.output import show_outcome

    told = [
        {"where": one.where, "what": one.what, "remedy": one.remedy, "mild": one.mild}
        for one in found
    ]
    grave = sum(not one.mild for one in found)
    lines = [f"{'doubtful' if one.mild else 'wrong'}: {one}" for one in found]
    lines.append(
        f"application {app.app}: {len(app.stages)} stages, {grave} mistakes, "
        f"{len(found) - grave} doubts"
    )
    outcome = {"app": app.app, "valid": grave == 0, "problems": told}
    show_outcome(outcome, "\n".join(lines), as_json=as_json)


def show(
    name: Annotated[str, typer.Argument(help="A registered application.")] = "",
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="One in a file instead.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the graph there, as SVG.")] = None,
) -> None:
    """Show the graph of an application: its stages, who serves them, what they wait for."""
    from streams.graphing import picture as drawing

    if bool(name) == (file is not None):
        raise typer.BadParameter("name an application, or a file with --file")
    app = _registered(name) if file is None else _of_file(file)
    typer.echo(drawing.text(app))
    if picture is not None:
        picture.write_text(drawing.svg(app), "utf-8")
        typer.echo(f"\nwrote {picture}")


def _of_file(file: Path) -> "ApplicationRegistered":
    from streams.graphing import reading
    from workers.clock import wall_ms

    return reading.application(file, wall_ms())[0]


def _registered(name: str) -> "ApplicationRegistered":
    from schemas.registrations import ApplicationRegistered
    from streams.registration import unknown

    with opened() as entries:
        found = entries.catalogue(ApplicationRegistered).of(ApplicationRegistered)
    if name not in found:
        raise unknown("application", name, found)
    return found[name]

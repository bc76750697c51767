"""`weir plugins`: what others have added, and whether it keeps the laws."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.output import show_rows
from streams.exits import BAD_DATA

if TYPE_CHECKING:
    from workers.plugin_points import Found

app = typer.Typer(add_completion=False, no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback()
def plugins() -> None:
    """Plug-ins: what installed distributions name under the entry point groups of Weir."""


@app.command("list")
def list_all(
    *,
    groups: Annotated[
        bool, typer.Option("--groups", help="Show what groups there are instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the plug-ins that are installed, with why one cannot be used."""
    from streams.plugins.groups import GROUPS, surveyed

    if groups:
        named = [(name, group.what) for name, group in GROUPS.items()]
        show_rows(("group", "what"), named, as_json=as_json)
        return
    columns = ("group", "name", "from", "distribution", "version", "state")
    rows = [
        (group, it.name, it.target, it.distribution, it.version, it.reason or "usable")
        for group, it in surveyed()
    ]
    show_rows(columns, rows, as_json=as_json)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A plug-in; all of this name are checked.")] = "",
    *,
    group: Annotated[str, typer.Option(help="Of this group alone.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="What a function of metrics is called with; may be repeated."),
    ] = None,
    artifact: Annotated[
        Path | None, typer.Option(help="A model for a runtime to load and execute.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold plug-ins to the laws of their group, and say what each breaks; without a name all.

    Exit code 4 when one breaks a law or cannot be used, or is not there.
    """
    from streams.plugins.groups import GROUPS, Given, broken, surveyed

    if group and group not in GROUPS:
        raise typer.BadParameter(f"--group: {group!r} is none of {', '.join(GROUPS)}")
    if artifact is not None and not artifact.exists():
        raise typer.BadParameter(f"--artifact: {artifact} is not there")
    chosen = [each for each in surveyed() if name in ("", each[1].name) and group in ("", each[0])]
    if name and not chosen:
        typer.echo(f"no plug-in is named {name!r}; `weir plugins list` shows all", err=True)
        raise typer.Exit(BAD_DATA)
    given = Given(tuple(_literal(each) for each in parameter or ()), artifact)
    found = [(kind, it, broken(kind, it, given)) for kind, it in chosen]
    _show(found, as_json=as_json)
    if any(laws for _, _, laws in found):
        raise typer.Exit(BAD_DATA)


def _show(found: "list[tuple[str, Found[Any], list[str]]]", *, as_json: bool) -> None:
    columns = ("group", "name", "breaks")
    rows = [(kind, it.name, law) for kind, it, laws in found for law in laws or [""]]
    if as_json:
        show_rows(columns, rows, as_json=True)
        return
    for kind, it, laws in found:
        typer.echo(f"{kind} {it.name}: {'; '.join(laws) if laws else 'it keeps the laws'}")


def _literal(told: str) -> float | str:
    try:
        return float(told)
    except ValueError:
        return told

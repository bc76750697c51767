"""`weir status`: what runs out of a data directory, and how it is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.running import State


def status(
    *,
    data_dir: Annotated[Path | None, typer.Option(help="That of `weir up`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show processes, endpoints, memory and readiness of the stack on this machine.

    Exit code 3 when none runs, or when a part of it is not ready.
    """
    from streams.running import find
    from streams.settings import load

    where = data_dir or load().data_dir
    state = find(where)
    if state is None:
        typer.echo(f"weir: nothing runs out of {where}; `weir up` starts it", err=True)
        raise typer.Exit(3)
    if as_json:
        typer.echo(json.dumps(asdict(state), indent=2))
    else:
        _show(state)
    if not state.ready:
        raise typer.Exit(3)


def _show(state: "State") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("process", "pid", "state", "restarts", "MiB", "log"):
        table.add_column(name, justify="right" if name in ("pid", "restarts", "MiB") else "left")
    for part in state.parts:
        how = "ready" if part.ready else "starting" if part.alive else "ended"
        colour = "green" if part.ready else "yellow" if part.alive else "red"
        memory = f"{part.memory_mib:.0f}"
        if part.name == "broker":
            memory += f" of {state.limit_mib}"
        table.add_row(
            part.name,
            str(part.pid),
            f"[{colour}]{how}[/]",
            str(part.restarts),
            memory,
            part.log,
        )
    console = Console()
    console.print(table)
    for part in state.parts:
        if part.refusal:
            console.print(f"{part.name} refuses to start: {part.refusal}", markup=False)
    console.print(f"kafka {state.bootstrap}  registry {state.registry}", highlight=False)
    console.print(f"clickhouse http://{state.clickhouse_host}:{state.clickhouse_port}")

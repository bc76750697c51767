"""`weir bench`: what a whole stack does on this machine, and what its failures cost."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.clusters import BrokerKind

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def bench() -> None:
    """Measure a whole stack on this machine, and what its failures cost."""


@app.command()
def faults(
    *,
    broker: BrokerKind = "apache",
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--fault", help="Inflict this one alone; may be repeated.", show_default="all"
        ),
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each fault comes.")] = 2,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the moments.", show_default="a new one")
    ] = None,
    surge: Annotated[float, typer.Option(min=1, help="Seconds of ten times the load.")] = 20.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data and logs stay; a temporary folder by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Break everything in turn, and count what was lost and what counted twice: nothing may be.

    Recovery is told in seconds from the end of a fault (a kill is over at once) until metrics are
    observed, requests answered and SQL shows new rows again. Ends with 1 when anything was lost
    or doubled.
    """
    from streams.bench.faulting import TITLES, run_faults
    from streams.commands.output import show_rows
    from workers import telemetry
    from workers.clock import wall_ms

    telemetry.configure("CRITICAL", json=False)  # what clients say while Kafka is away is no news
    seed = wall_ms() % 1_000_000 if seed is None else seed
    typer.echo(f"seed {seed}", err=True)
    with tempfile.TemporaryDirectory(prefix="weir-faults-") as scratch:
        rows = run_faults(
            "embedded" if broker == "embedded" else "kafka",
            (data_dir or Path(scratch)).absolute(),
            seed=seed,
            times=times,
            names=names,
            surge_s=surge,
            say=lambda text: typer.echo(text, err=True),
        )
    if as_json:
        typer.echo(json.dumps([row.record() for row in rows], indent=2))
    else:
        cells = [[*list(row.record().values())[:-1], *row.recovery.values()] for row in rows]
        show_rows((*TITLES[:-1], "recovery p50, s", "max"), cells, as_json=False)
    if any(row.lost or row.doubled for row in rows):
        raise typer.Exit(1)

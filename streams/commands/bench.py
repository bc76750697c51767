"""`weir bench`: what a whole stack does on this machine, and what its failures cost."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.bench_agent import agent
from streams.commands.bench_end_to_end import end_to_end
from streams.commands.bench_ensemble import ensemble
from streams.commands.bench_observe import observe, saying
from streams.commands.bench_placement import placement
from streams.commands.bench_quality import quality
from streams.commands.bench_worker import worker
from streams.commands.clusters import BrokerKind

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command("end-to-end")(end_to_end)
app.command()(observe)
app.command()(agent)
app.command()(worker)
app.command()(placement)
app.command()(quality)
app.command()(ensemble)


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
    surge: Annotated[float, typer.Option(min=1, help="Seconds of ten times the load.")] = 60.0,
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
        found = run_faults(
            "embedded" if broker == "embedded" else "kafka",
            (data_dir or Path(scratch)).absolute(),
            seed=seed,
            times=times,
            names=names,
            surge_s=surge,
            say=lambda text: typer.echo(text, err=True),
        )
        rows = list(found)
    if as_json:
        typer.echo(json.dumps([row.record() for row in rows], indent=2))
    else:
        cells = [[*list(row.record().values())[:-1], *row.recovery.values()] for row in rows]
        show_rows((*TITLES[:-1], "recovery p50, s", "max"), cells, as_json=False)
    if any(row.lost or row.doubled for row in rows):
        raise typer.Exit(1)


@app.command("control-plane")
def control_plane(
    *,
    apps: Annotated[
        int, typer.Option(min=10, help="Applications, each with a contract and four services.")
    ] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure how select and place grow: with a fifth, half, and all of the applications.

    There is one node for five applications. Start-up until ready, until everything is selected
    and placed, and again with all that in the catalogue; decisions after a drift; memory; the
    share of a core that is used at rest.
    """
    from streams.bench.growth import measure
    from streams.commands.output import show_rows
    from streams.settings import load
    from workers import telemetry

    telemetry.configure("CRITICAL", json=False)
    sizes = sorted({max(1, apps // 5), max(1, apps // 2), apps})
    rows = measure(load(), sizes, saying(time.monotonic()))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        flat = [dict(_flat(row)) for row in rows]
        cells = [[name, *(str(row[name]) for row in flat)] for name in flat[0]]
        show_rows(["", *(str(size) for size in sizes)], cells, as_json=False)


def _flat(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", part) for inner, part in value.items())
        else:
            yield name, value

"""`weir bench agent`: what probes and node agents cost, and what sampling does to estimates."""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.bench_observe import saying


def agent(
    *,
    seconds: Annotated[float, typer.Option(min=2, help="How long each rate is measured.")] = 15.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is sampled.")] = 1,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer rates, 3 s each, and a quarter of the calls."),
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where logs stay; a temporary folder by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what probes and node agents cost, and what sampling does to estimates.

    How long `report` holds its caller up, alone and among threads, with and without a broker; CPU
    and bytes of a probe at several rates and of an agent at several periods, each in a process of
    its own; errors of counts, sums, means and quantiles at several sampling rates.
    """
    from streams.bench.agent_cost import QUICK, Extent, lines, measure
    from streams.commands.output import show_rows
    from streams.settings import load
    from workers import telemetry

    telemetry.configure("CRITICAL", json=False)  # brokers that are away are part of it
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
        home = (data_dir or Path(scratch)).absolute()
        extent = QUICK if quick else Extent(seconds)
        found = measure(load(), home, extent, seed, saying(time.monotonic()))
    found["measured"] = extent._asdict()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_rows(("", ""), lines(found), as_json=False)

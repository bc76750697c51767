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
    from streams.bench.agent_cost import lines, measure
    from streams.commands.output import show_rows
    from streams.settings import load
    from workers import telemetry

    telemetry.configure("CRITICAL", json=False)  # brokers that are away are part of it
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
        home = (data_dir or Path(scratch)).absolute()
        found = measure(load(), home, seconds, seed, saying(time.monotonic()))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_rows(("", ""), lines(found), as_json=False)

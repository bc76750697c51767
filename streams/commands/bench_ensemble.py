"""`weir bench ensemble`: what selecting ensembles and routing requests is worth, and costs."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.bench_observe import saying


def ensemble(
    *,
    parts: Annotated[
        list[str] | None, typer.Option("--part", help="This part alone; may be repeated.")
    ] = None,
    profiles: Annotated[
        Path | None,
        typer.Option(help="A folder of the OCAD form; without it that part is null."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all draws.")] = 1,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            help="Route on the Kafka at HOST:PORT as well, which no Weir uses; not on its own."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure how well and how fast ensembles are selected and requests are routed.

    Each part is measured by itself; every algorithm of a part meets the same draws.
    """
    from streams.bench.ensemble import PARTS, Given, measure
    from streams.errors import ProfilesError

    if strangers := [name for name in parts or () if name not in PARTS]:
        raise typer.BadParameter(f"{strangers[0]!r} is none of {', '.join(PARTS)}")
    try:
        found = measure(parts or (), Given(profiles, seed, saying(time.monotonic()), bootstrap))
    except ProfilesError as error:
        raise typer.BadParameter(str(error), param_hint="--profiles") from error
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        typer.echo(f"{name}: {json.dumps(figures)}")

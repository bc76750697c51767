"""`weir bench worker`: what the worker's decisions are worth and cost, and how it works live."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from streams.commands.bench_observe import saying


def worker(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="This one alone; may be repeated.", show_default="all"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Search for the optimum of each part of a scenario.")
    ] = 8.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of that search.")] = 2,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Seeds of each scenario; the first is its own.")
    ] = 1,
    drawn: Annotated[
        int,
        typer.Option(
            min=0, help="Scenarios drawn by chance: the default order beside the baselines."
        ),
    ] = 0,
    frames: Annotated[
        int, typer.Option(min=1_000, help="Frames of the run whose memory is measured.")
    ] = 1_000_000,
    live: Annotated[
        bool,
        typer.Option("--live/--no-live", help="Run real models, too; needs the extra `demo`."),
    ] = True,
    live_seconds: Annotated[
        float, typer.Option(min=1.0, help="Length of the live overload.")
    ] = 20.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short searches and runs: rough figures, in a minute.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 when a goal is missed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure the worker's orders on the shipped scenarios, beside what could have been had.

    Shares of value answered in time for every order; the optimum with all arrivals known, found
    by CP-SAT, or a bound of it; microseconds per decision with up to 1,000 services and deep
    queues; memory over a million frames. Then live, on ONNX Runtime and this machine's processor:
    twice the load that the worker can do, what the simulator predicts of it, the rate when
    saturated, and what one request costs at idle. Other programs that run meanwhile are in these
    figures. Ends with 3 when OR-Tools, which searches for the optimum, is not installed: bounds
    are then null.
    """
    say = saying(time.monotonic())
    extent = _Extent(seconds, threads, seeds, drawn, frames, live_seconds if live else None)
    found, missed = _measured(only or [], _shortened(extent) if quick else extent, say, quick=quick)
    _show(found, as_json=as_json)
    for word in missed:
        say(f"BELOW ITS GOAL: {word}")
    if strict and missed:
        raise typer.Exit(1)
    if found["mean_of_bound"] is None:
        say("NO OPTIMUM WAS SEARCHED FOR: install OR-Tools, `pip install weir[exact]`")
        raise typer.Exit(3)


class _Extent(NamedTuple):
    """How long and how often; `live_s` is None when nothing is to run live."""

    search_s: float
    threads: int
    seeds: int
    drawn: int
    frames: int
    live_s: float | None


def _shortened(extent: _Extent) -> _Extent:
    return extent._replace(
        search_s=min(extent.search_s, 1.0),
        frames=min(extent.frames, 20_000),
        live_s=extent.live_s and min(extent.live_s, 5.0),
    )


def _measured(
    only: list[str], extent: _Extent, say: Callable[[str], None], *, quick: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return all figures, and in words the goals that were missed."""
    from streams import scenario_files
    from streams.bench import worker_deciding, worker_overload
    from workers.scheduling.orders.names import DEFAULT

    shipped = scenario_files.shipped()
    if unknown := sorted(set(only) - set(shipped)):
        raise typer.BadParameter(f"--scenario is one of {', '.join(shipped)}, not {unknown[0]}")
    if extent.live_s is not None:
        from streams.bench import worker_alive
        from streams.demo.contending import build
    found = worker_overload.measure(
        only or shipped, extent.search_s, extent.threads, extent.seeds, say
    )
    if extent.drawn:
        found["drawn"] = worker_overload.drawn(extent.drawn, say)
    found |= worker_deciding.measure(DEFAULT, extent.frames, say)
    missed = list(worker_overload.missed(found))
    if extent.live_s is not None:
        found |= worker_alive.measure(build, extent.live_s, say, quick=quick)
        missed += worker_alive.missed(found)
    return found, missed


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.bench.worker_overload import TITLES, rows
    from streams.commands.output import show_rows

    show_rows(TITLES, rows(found), as_json=False)
    for name, told in found.items():
        if name != "overload":
            typer.echo(f"{name}: {told}")

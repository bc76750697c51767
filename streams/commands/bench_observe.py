"""`weir bench observe`: Weir and others over the same metrics, measured side by side."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.clusters import BrokerKind


def observe(
    *,
    broker: BrokerKind = "apache",
    only: Annotated[
        list[str] | None,
        typer.Option(help="peers, series or memory; may be repeated.", show_default="all"),
    ] = None,
    events: Annotated[int, typer.Option(min=100_000, help="Events on the topic.")] = 4_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also tell where Weir's CPU time goes.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short runs of fewer series: rough figures, in minutes.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data and logs stay; a temporary folder by default.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 when a goal is missed, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure observing: Weir, a raw consumer, Bytewax, Quix Streams and Faust on the same events.

    Events per second of the wall's clock and of CPU, each system in a process of its own; then
    Weir with 10 and 100,000 series, what an observation costs, and memory with a million series.
    The others are installed into an environment of their own the first time. Ends with 1 when
    Weir's windows do not add up to the events; with 3 when a system could not be measured: its
    part is then null, and the reason is told.
    """
    from streams.bench import observing, observing_words
    from streams.settings import load
    from workers import telemetry

    parts = tuple(only or observing.PARTS)
    if unknown := sorted(set(parts) - set(observing.PARTS)):
        raise typer.BadParameter(f"--only is one of {', '.join(observing.PARTS)}, not {unknown[0]}")
    telemetry.configure("CRITICAL", json=False)  # what clients say as brokers end is no news
    say = saying(time.monotonic())
    plan = observing.Plan(broker, events, rounds, parts=parts, profile=profile)
    plan = observing.quick(plan) if quick else plan
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
        found = observing.measure(load(), (data_dir or Path(scratch)).absolute(), plan, say)
    _show(found, as_json=as_json)
    for name, word in observing_words.wrong(found):
        say(f"{name} LOST OR DOUBLED EVENTS: {word}")
    missed = observing_words.missed(found)
    for word in missed:
        say(f"BELOW ITS GOAL: {word}")
    if (found["weir"] and found["weir"]["wrong"]) or (strict and missed):
        raise typer.Exit(1)
    if found["absent"]:
        raise typer.Exit(3)


def saying(begun: float) -> Callable[[str], None]:
    """Return what tells progress on stderr, with the seconds since `begun`, as monotonic() says."""

    def say(text: str) -> None:
        typer.echo(f"{time.monotonic() - begun:7.1f} s  {text}", err=True)

    return say


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.bench.observing_words import further, lines
    from streams.commands.output import show_rows

    titles = ("", "events", "events/s", "events per CPU s", "Weir is so many times that")
    show_rows(titles, list(lines(found)), as_json=False)
    for line in further(found):
        typer.echo(line)

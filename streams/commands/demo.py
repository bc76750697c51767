"""`weir demo`: the whole loop on this machine, on handwritten digits."""

import json
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.clusters import Bootstrap, BrokerKind

if TYPE_CHECKING:
    from rich.console import Console

    from streams.demo.scenario import Built, Options, Outcome
    from streams.embedded.stack import Stack
    from workers.settings import Settings

SECONDS = (
    "Seconds of traffic; up to three times as many until what answers the corruption was judged."
)
KINDS = ("rotation", "blur", "occlusion", "noise")
TRY_NEXT = (
    "select * from latency_by_service",
    "select * from accuracy_by_ensemble",
    "select * from contract_compliance",
    "select depth, kind, summary from decision_lineage order by decided_at desc, depth limit 30",
)


def demo(
    *,
    seconds: Annotated[float, typer.Option(min=10, help=SECONDS)] = 45.0,
    rate: Annotated[float, typer.Option(min=1, max=500, help="Requests per second.")] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data split, models and requests.")] = 1,
    no_drift: Annotated[bool, typer.Option("--no-drift", help="Corrupt nothing.")] = False,
    corruption: Annotated[
        str, typer.Option(help=f"What goes wrong partway: {', '.join(KINDS)}.")
    ] = "rotation",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary alone, as JSON.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data, logs and state are kept.")
    ] = None,
    bootstrap: Bootstrap = None,
    broker: BrokerKind = "embedded",
    report: Annotated[
        Path | None, typer.Option(help="The report's file; in the data directory by default.")
    ] = None,
) -> None:
    """Run the whole loop on this machine: real models, real requests, a corruption partway.

    Drift is detected, the contract is broken, another ensemble is tried and selected, worker
    processes start and stop, accuracy recovers: or not, as the models and the seed have it.
    """
    if corruption not in KINDS:
        raise typer.BadParameter(f"{corruption!r} is none of {', '.join(KINDS)}")
    from rich.console import Console

    from streams.demo.scenario import Options, build
    from streams.embedded.choice import chosen
    from streams.embedded.stack import Stack

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C: everything is stopped
    started = time.monotonic()
    console = Console(stderr=True, quiet=as_json)
    options = Options(
        seed=seed, seconds=seconds, rate=rate, corruption=None if no_drift else corruption
    )
    settings = _settings(data_dir)
    built = build(options, settings, console.print)
    cluster = chosen(settings, broker, bootstrap)
    with Stack(settings, broker=cluster, say=console.print) as stack:
        outcome = _carry_out(stack, options, built, console)
        outcome.summary["seconds"] = round(time.monotonic() - started, 1)
        place = report or stack.settings.data_dir / f"demo-seed-{seed}.html"
        _write_report(outcome, place)
        if as_json:
            typer.echo(json.dumps(outcome.summary, indent=2))
        else:
            _tell(outcome, place, console)
        if keep:
            _wait(stack, console)


def _settings(data_dir: Path | None) -> "Settings":
    from streams.demo.application import NODES
    from streams.settings import load

    settings = load()
    update: dict[str, object] = {"local": settings.local.model_copy(update={"nodes": NODES})}
    if data_dir is not None:
        update["data_dir"] = data_dir
    return settings.model_copy(update=update)


def _carry_out(stack: "Stack", options: "Options", built: "Built", console: "Console") -> "Outcome":
    from streams.demo.live import Screen
    from streams.demo.scenario import run

    live = console.is_terminal and not console.quiet
    screen = partial(Screen, console, seconds=options.seconds) if live else None
    return run(stack, options, built, console.print, screen)


def _write_report(outcome: "Outcome", place: Path) -> None:
    from streams.demo.report import write

    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(write(outcome), encoding="utf-8")


def _tell(outcome: "Outcome", place: Path, console: "Console") -> None:
    from rich.table import Table

    table = Table("summary", "", title_justify="left")
    for name, value in outcome.summary.items():
        pairs = value.items() if isinstance(value, dict) else [("", value)]
        for part, inner in pairs:
            table.add_row(f"{name} {part}".strip().replace("_", " "), _shown(inner))
    console.print(table)
    console.print(f"report: {place}")
    console.print(
        "SQL to try next, with `weir demo --keep` here and `weir sql` in another terminal:"
    )
    for query in TRY_NEXT:
        console.print(f'  weir sql "{query}"', highlight=False, soft_wrap=True)


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _wait(stack: "Stack", console: "Console") -> None:
    house = stack.settings.clickhouse
    console.print(f"still running, ClickHouse at http://{house.host}:{house.port}; Ctrl-C stops it")
    with suppress(KeyboardInterrupt):
        while True:
            stack.wait(3600)

"""`weir bench`: what a whole stack does on this machine, and what its failures cost."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.bench_agent import agent
from streams.commands.bench_ensemble import ensemble
from streams.commands.bench_observe import observe, saying
from streams.commands.bench_placement import placement
from streams.commands.bench_quality import quality
from streams.commands.bench_worker import worker
from streams.commands.clusters import Bootstrap, BrokerKind

if TYPE_CHECKING:
    from streams.bench.endtoend import Plan

app = typer.Typer(no_args_is_help=True, add_completion=False)
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


@app.command("end-to-end")
def end_to_end(
    *,
    seconds: Annotated[
        float, typer.Option(min=5, help="How long a rate of metrics must be held.")
    ] = 60.0,
    only: Annotated[
        str | None, typer.Option(help="kafka or embedded.", show_default="both")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of arrivals, pauses and faults.")] = 1,
    faults: Annotated[
        bool, typer.Option(help="All faults; without, kill -9 of each process alone.")
    ] = True,
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each fault comes.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short runs: rough figures, in minutes.")
    ] = False,
    bootstrap: Bootstrap = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data and logs stay; a temporary folder by default.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 when a budget of time is missed, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure a whole stack, on Apache Kafka and on the embedded broker.

    Metrics a second held without growing lag; metric to decision; request to response at 10, 50
    and 90 % of capacity; ready after start; recovery after kill -9 of each kind of process; and
    the fault table. A cluster at --bootstrap takes the place of Apache Kafka and is not broken.
    Ends with 1 when anything was lost or doubled, with 3 when a broker could not be measured: its
    part is then null, and the reason is told.
    """
    from streams.bench.endtoend import EMBEDDED, KAFKA, Plan, missed
    from streams.bench.endtoend import quick as shortened
    from workers import telemetry

    if only not in (None, KAFKA, EMBEDDED):
        raise typer.BadParameter(f"--only is {KAFKA} or {EMBEDDED}, not {only!r}")
    telemetry.configure("CRITICAL", json=False)  # what clients say while Kafka is away is no news
    plan = Plan(seconds=seconds, times=times, faults=faults, seed=seed)
    say = saying(time.monotonic())
    plan = shortened(plan) if quick else plan
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
        home = (data_dir or Path(scratch)).absolute()
        found, absent = _on_each(only, plan, home, bootstrap, say)
    _show(found, as_json=as_json)
    words = {kind: missed(part) for kind, part in found.items() if part is not None}
    for kind, each in words.items():
        for word in each:
            say(f"{kind}: BELOW ITS BUDGET: {word}")
    wrong = any(part["lost"] or part["doubled"] for part in found.values() if part)
    if wrong or (strict and any(words.values())):
        raise typer.Exit(1)
    if absent:
        raise typer.Exit(3)


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


def _on_each(
    only: str | None, plan: "Plan", home: Path, bootstrap: str | None, say: Callable[[str], None]
) -> tuple[dict[str, Any], bool]:
    """Return the report by kind of broker, None where it failed, and whether any did."""
    from streams.bench.endtoend import EMBEDDED, KAFKA, measure
    from streams.embedded.jars import jars, needed
    from streams.errors import StackError, StreamsError
    from streams.settings import load
    from workers.errors import WorkerError

    found: dict[str, Any] = {}
    absent = False
    for kind in (KAFKA, EMBEDDED):
        if only not in (None, kind):
            continue
        on = bootstrap if kind == KAFKA else None
        try:
            if kind == KAFKA and on is None:
                needed("java")
                jars()
        except StackError as error:
            say(f"NOTHING WAS MEASURED ON APACHE KAFKA: {error}")
            found[kind], absent = None, True
            continue
        say(f"on {kind}")
        try:
            found[kind] = measure(kind, load(), home / kind, plan, say, on)
        except (StreamsError, WorkerError) as error:
            say(f"{kind} WAS NOT MEASURED: {error}")
            found[kind], absent = None, True
    return found, absent


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.bench.endtoend import lines
    from streams.commands.output import show_rows

    kinds = [kind for kind, part in found.items() if part is not None]
    rows: dict[str, list[str]] = {}
    for place, kind in enumerate(kinds):
        for name, value in lines(found[kind]):
            rows.setdefault(name, [""] * len(kinds))[place] = value
    cells = [[name, *values] for name, values in rows.items()]
    show_rows(["", *kinds], cells, as_json=False)

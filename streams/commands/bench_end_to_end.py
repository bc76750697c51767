"""`weir bench end-to-end`: a whole stack on Apache Kafka and on the embedded broker."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.bench_observe import saying
from streams.commands.clusters import Bootstrap

if TYPE_CHECKING:
    from streams.bench.endtoend import Plan

Seconds = Annotated[float, typer.Option(min=5, help="How long a rate of metrics must be held.")]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        "--part",
        help="decisions, answers, metrics or faults alone; may be repeated.",
        show_default="all",
    ),
]
Into = Annotated[
    Path | None,
    typer.Option(
        help="Keep the report in this file, part by part, beside what earlier runs left there."
    ),
]
Found = dict[str, dict[str, Any] | None]
"""The report by kind of broker; None where nothing was measured."""


def end_to_end(
    *,
    seconds: Seconds = 60.0,
    only: Annotated[
        str | None, typer.Option(help="kafka or embedded.", show_default="both")
    ] = None,
    parts: Parts = None,
    into: Into = None,
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
    Ends with 1 when anything was lost or doubled, with 3 when a part that was asked for could not
    be measured: its figures are then null, unless an earlier run left some, or the rows of the
    fault table that were known by then; and the reason is told.
    """
    from streams.bench.endtoend import KINDS, PARTS, Plan, missed
    from streams.bench.endtoend import quick as shortened
    from workers import telemetry

    if only not in (None, *KINDS):
        raise typer.BadParameter(f"--only is {' or '.join(KINDS)}, not {only!r}")
    if strangers := [name for name in parts or () if name not in PARTS]:
        raise typer.BadParameter(f"--part is one of {', '.join(PARTS)}, not {strangers[0]!r}")
    telemetry.configure("CRITICAL", json=False)  # what clients say while Kafka is away is no news
    plan = Plan(seconds=seconds, times=times, faults=faults, seed=seed, parts=parts or PARTS)
    plan = shortened(plan) if quick else plan
    found, say = _kept(into), saying(time.monotonic())
    report = _Report(found, into, plan, say)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as scratch:
        home = (data_dir or Path(scratch)).absolute()
        for kind in KINDS if only is None else (only,):
            report.measure(kind, home / kind, bootstrap)
    _show(found, as_json=as_json)
    misses = [f"{kind}: {word}" for kind, part in found.items() for word in missed(part or {})]
    for words in misses:
        say(f"BELOW ITS BUDGET: {words}")
    wrong = any(part["lost"] or part["doubled"] for part in found.values() if part)
    if wrong or (strict and misses):
        raise typer.Exit(1)
    if report.absent:
        raise typer.Exit(3)


def _kept(into: Path | None) -> Found:
    if into is None or not into.exists():
        return {}
    try:
        found = json.loads(into.read_text("utf-8"))
    except ValueError as error:
        raise typer.BadParameter(f"{into} is no report: {error}", param_hint="--into") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{into} is no report", param_hint="--into")
    return found


class _Report:
    """What is known by kind of broker, growing part by part; `absent` when something failed."""

    def __init__(
        self, found: Found, into: Path | None, plan: "Plan", say: Callable[[str], None]
    ) -> None:
        self._found = found
        self._into = into
        self._plan = plan
        self._say = say
        self.absent = False

    def measure(self, kind: str, home: Path, bootstrap: str | None) -> None:
        """Measure on one kind of broker; what cannot be measured is told."""
        from streams.bench.endtoend import KAFKA, figures_of, measure
        from streams.errors import StreamsError
        from streams.settings import load
        from workers.errors import WorkerError

        on = bootstrap if kind == KAFKA else None
        self._found.setdefault(kind, None)
        missing = set(figures_of(self._plan.parts))
        self._say(f"on {kind}")
        try:
            if kind == KAFKA and on is None:
                _needed()
            for known in measure(kind, load(), home, self._plan, self._say, on):
                missing -= known.keys()
                self._take(kind, known)
        except (StreamsError, WorkerError) as error:
            self._say(f"{kind}: NOTHING MORE WAS MEASURED: {error}")
            self.absent = True
        self.absent = self.absent or bool(missing)

    def _take(self, kind: str, known: dict[str, Any]) -> None:
        from streams.bench.endtoend import merged

        self._found[kind] = merged(self._found[kind], known)
        if self._into is not None:
            self._into.write_text(json.dumps(self._found, indent=2) + "\n", "utf-8")


def _needed() -> None:
    """Raise StackError when Apache Kafka cannot be started here."""
    from streams.embedded.jars import jars, needed

    needed("java")
    jars()


def _show(found: Found, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from streams.bench.endtoend import lines
    from streams.commands.output import show_rows

    known = {kind: part for kind, part in found.items() if part is not None}
    rows: dict[str, list[str]] = {}
    for place, part in enumerate(known.values()):
        for name, value in lines(part):
            rows.setdefault(name, [""] * len(known))[place] = value
    cells = [[name, *values] for name, values in rows.items()]
    show_rows(["", *known], cells, as_json=False)

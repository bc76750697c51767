"""`weir bench observe`: Weir and four others over the same metrics on the same broker, in turn.

One process at a time reads the same pre-filled topic: 1,000 series, 100 events a second of each,
windows of a second. Then Weir alone, with 10 and with 100,000 series, with narrow windows, and with
a million series open at once. Rates count from the first message to the last, by the wall's clock
and by the CPU time of the process, all its threads; each is the median of the rounds.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from schemas.topics import PARTITIONS
from streams.bench import observing_children as children
from streams.bench.observing_bed import Bed, bed
from streams.bench.observing_children import NotMeasured, Took
from streams.bench.observing_environment import interpreter
from streams.bench.observing_load import RATE, SECOND_MS, Load, load
from streams.bench.observing_machine import machine
from streams.errors import StackError
from workers.clock import wall_ms
from workers.settings import Settings

Say = Callable[[str], None]
WEIR, RAW = "weir", "raw"
OTHERS = ("bytewax", "quix", "faust")
PEERS_PART, SERIES_PART, MEMORY_PART = "peers", "series", "memory"
PARTS = (PEERS_PART, SERIES_PART, MEMORY_PART)
SERIES = 1_000
MILLION = 1_000_000
NARROW_MS = 100
"""Windows of this size against those of a second tell what an observation costs."""
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
SHARES = {WEIR: 1.0, RAW: 1.0, "bytewax": 0.3, "quix": 0.08, "faust": 0.03}
"""Of the events on the topic: what each system reads in about a quarter of a minute."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many events and rounds, on which broker, with how many series, and which parts."""

    broker: str = "apache"
    events: int = 4_000_000
    rounds: int = 3
    few: int = 10
    many: int = 100_000
    open_series: int = MILLION
    parts: Sequence[str] = PARTS
    profile: bool = False

    @property
    def sweep_events(self) -> int:
        """How many events the runs with few series have; those with many have a second's."""
        return max(self.few * RATE, self.events // 2)


def quick(plan: Plan) -> Plan:
    """Return a plan of the same parts that takes two minutes; its figures are rough."""
    return Plan(
        broker=plan.broker,
        events=min(plan.events, 400_000),
        rounds=1,
        many=10_000,
        open_series=100_000,
        parts=plan.parts,
        profile=plan.profile,
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """What the parts share."""

    plan: Plan
    settings: Settings
    home: Path
    say: Say

    @contextmanager
    def on(self, name: str, made: Load) -> Iterator[Bed]:
        """Start a broker that holds a load."""
        self.say(f"{name}: {made.events:,} events of {made.series:,} series")
        with bed(self.settings, self.plan.broker, made, self.home / name) as ready:
            yield ready

    def run(self, name: str, call: Callable[[], Took]) -> Took:
        """Let one process run, and tell what it did."""
        took = call()
        self.say(f"{name}: {took.per_s:,.0f}/s, {took.per_cpu_s:,.0f} a CPU second {took.wrong}")
        return took


def measure(settings: Settings, home: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """Return the report; what could not be measured is None, and `absent` says why.

    Data and logs stay below `home`. Raises StackError, NotFilled, NotMeasured when Weir itself or
    the broker fails.
    """
    bench = Bench(plan, settings, home, say)
    found: dict[str, Any] = dict.fromkeys((WEIR, RAW, *OTHERS))
    found |= {"ratios": {}, "series": {}, "emission_us": None, "memory_mb_million_series": None}
    found |= {"absent": {}, "profile_us": None}
    before = machine()
    if PEERS_PART in plan.parts or SERIES_PART in plan.parts:
        _on_main(bench, found)
    if SERIES_PART in plan.parts:
        _swept(bench, found)
    if MEMORY_PART in plan.parts:
        _opened(bench, found)
    return found | {"method": _method(plan), "machine": before}


def _on_main(bench: Bench, found: dict[str, Any]) -> None:
    """Measure what runs on the load of 1,000 series."""
    plan = bench.plan
    with bench.on("main", load(SERIES, plan.events, wall_ms())) as ready:
        if PEERS_PART in plan.parts:
            runs = _compared(bench, ready, found)
            found["ratios"] = ratios(found)
        else:
            runs = _weir_alone(bench, ready, found)
        if SERIES_PART in plan.parts:
            found["series"][str(SERIES)] = found[WEIR]["events_per_cpu_s"]
            narrow = bench.run("weir, narrow", lambda: children.observe(ready, size_ms=NARROW_MS))
            found["emission_us"] = emission_us(middle(runs), narrow)
        if plan.profile:
            took = bench.run("weir, profiled", lambda: children.observe(ready, profile=True))
            found["profile_us"] = took.told["profile_us"]


def _weir_alone(bench: Bench, ready: Bed, found: dict[str, Any]) -> list[Took]:
    runs = [bench.run(WEIR, lambda: children.observe(ready)) for _ in range(bench.plan.rounds)]
    found[WEIR] = figures(runs)
    return runs


def _compared(bench: Bench, ready: Bed, found: dict[str, Any]) -> list[Took]:
    """Measure Weir and the others in turn, round after round; return Weir's runs."""
    python = _environment(bench, found["absent"])
    runs: dict[str, list[Took]] = {name: [] for name in SHARES}
    for _ in range(bench.plan.rounds):
        for name, share in SHARES.items():
            if name in found["absent"]:
                continue
            events = int(bench.plan.events * share)
            try:
                runs[name].append(_one(bench, ready, name, python, events))
            except NotMeasured as error:
                if name == WEIR:
                    raise
                bench.say(f"{name} WAS NOT MEASURED: {error}")
                found["absent"][name] = str(error)
    for name, taken in runs.items():
        found[name] = figures(taken) if taken and name not in found["absent"] else None
    return runs[WEIR]


def _one(bench: Bench, ready: Bed, name: str, python: Path | None, events: int) -> Took:
    if name == WEIR:
        return bench.run(name, lambda: children.observe(ready))
    own = Path(sys.executable) if name == RAW or python is None else python
    return bench.run(name, lambda: children.peer(name, own, ready, events))


def _environment(bench: Bench, absent: dict[str, str]) -> Path | None:
    try:
        return interpreter(bench.say)
    except StackError as error:
        bench.say(f"THE PEERS ARE NOT MEASURED: {error}")
        absent |= dict.fromkeys(OTHERS, str(error))
        return None


def _swept(bench: Bench, found: dict[str, Any]) -> None:
    """Measure Weir with few and with many series."""
    plan = bench.plan
    for series, events in ((plan.few, plan.sweep_events), (plan.many, plan.many * RATE)):
        with bench.on(f"series-{series}", load(series, events, wall_ms())) as ready:
            took = bench.run(f"weir, {series:,} series", partial(children.observe, ready))
            found["series"][str(series)] = round(took.per_cpu_s)
            if took.wrong:
                found[WEIR]["wrong"].append(f"{series:,} series: {took.wrong}")


def _opened(bench: Bench, found: dict[str, Any]) -> None:
    """Measure the memory of a host with a million series open, two events of each."""
    series = bench.plan.open_series
    midday = wall_ms() // HOUR_MS * HOUR_MS - HOUR_MS // 2  # no day ends between two ticks
    with bench.on("memory", load(series, 2 * series, midday, rate=1)) as ready:
        took = bench.run(
            f"weir, {series:,} series open",
            lambda: children.observe(ready, size_ms=DAY_MS, closing=False),
        )
    peak = took.told["memory_mib"]["peak"]
    found["memory"] = {"series": series, "events": took.events} | took.told["memory_mib"]
    if series == MILLION:
        found["memory_mb_million_series"] = round(peak * 1.048576)


def middle(runs: Sequence[Took]) -> Took:
    """Return the run whose rate per CPU second is the median, the lower of two."""
    return sorted(runs, key=lambda run: run.per_cpu_s)[(len(runs) - 1) // 2]


def figures(runs: Sequence[Took]) -> dict[str, Any]:
    """Return a system's part of the report: medians, and what each run did."""
    return {
        "events_per_s": round(median(run.per_s for run in runs)),
        "events_per_cpu_s": round(median(run.per_cpu_s for run in runs)),
        "events": runs[0].events,
        "windows": runs[0].windows,
        "wrong": [run.wrong for run in runs if run.wrong],
        "versions": runs[0].versions,
        "runs": [
            {"events_per_s": round(run.per_s), "events_per_cpu_s": round(run.per_cpu_s)}
            for run in runs
        ],
    }


def ratios(found: Mapping[str, Any]) -> dict[str, float | None]:
    """Return how many times another's events per CPU second Weir's are."""
    ours = found[WEIR]["events_per_cpu_s"]
    return {
        name: round(ours / found[name]["events_per_cpu_s"], 3) if found[name] else None
        for name in (RAW, *OTHERS)
    }


def emission_us(wide: Took, narrow: Took) -> float | None:
    """Return µs of CPU per observation, from two runs over the same events."""
    more = narrow.windows - wide.windows
    return round((narrow.cpu_s - wide.cpu_s) / more * 1e6, 2) if more > 0 else None


def _method(plan: Plan) -> dict[str, Any]:
    return {
        "broker": plan.broker,
        "partitions": PARTITIONS,
        "series": SERIES,
        "events_per_s_and_series": RATE,
        "window_ms": SECOND_MS,
        "rounds": plan.rounds,
        "statistic": "median",
        "memory": "a pre-filled topic with two events of each series, in windows of a day",
    }

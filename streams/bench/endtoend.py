"""`weir bench end-to-end`: a stack is started on a broker and measured, part by part.

Ready after start, decisions, answers, metrics a second, in this order on one stack; then the
faults, each on stacks of their own. See the module of each part for what a figure is. A part that
fails leaves its figures out, and no other's.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from streams.bench import answers, throughput
from streams.bench.decisions import Decisions
from streams.bench.faulting import FaultRow, run_faults
from streams.bench.faults import FAULTS
from streams.bench.faults_world import SURGE_S, Where
from streams.embedded.choice import chosen
from streams.embedded.stack import Stack
from streams.errors import StreamsError
from workers.errors import WorkerError
from workers.settings import LocalSettings, NodeSection, Settings

Say = Callable[[str], None]
KAFKA, EMBEDDED = "kafka", "embedded"
KINDS = (KAFKA, EMBEDDED)
PARTS = ("decisions", "answers", "metrics", "faults")
"""What may be measured by itself; all but the faults share one stack, in this order."""
FIGURES = (
    "metrics_per_s",
    "metrics",
    "decision_ms",
    "response_ms",
    "requests_per_s",
    "requests",
    "ready_s",
    "recovery_s",
    "faults",
)
"""What a broker's part of the report has, beside the sums."""
SUMS = ("lost", "doubled")
LIMIT_MIB = 8_192
"""The embedded broker keeps everything; a minute of load is more than it holds by default."""
DECISION_MS, RECOVERY_S = 250.0, 15.0
"""Budgets: p99 of metric to decision, and the recovery of a killed stream process."""
KILL = "kill-"
NOT_PROCESSES = (f"{KILL}broker",)
NODES = tuple(
    NodeSection(name=f"bench-{number}", cpu_milli=1_000, memory_mib=512) for number in (1, 2)
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often: the hold, one step of a search (s), decisions, repeats of a fault.

    `parts` are those of PARTS to measure.
    """

    seconds: float = 60.0
    try_s: float = 8.0
    decisions: int = 100
    times: int = 3
    surge_s: float = SURGE_S
    faults: bool = True
    seed: int = 1
    parts: Collection[str] = PARTS

    @property
    def share_s(self) -> float:
        """The length of a run at a share of the capacity of requests."""
        return max(5.0, self.seconds / 3)


def quick(plan: Plan) -> Plan:
    """Return a plan of the same parts that takes a minute or two instead; its figures are rough."""
    return replace(
        plan,
        seconds=min(plan.seconds, 10.0),
        try_s=4.0,
        decisions=16,
        times=1,
        surge_s=5.0,
    )


def measure(
    kind: str, settings: Settings, home: Path, plan: Plan, say: Say, bootstrap: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the figures of one kind of broker, those of each part as soon as they are known.

    Data and logs stay below `home`. With `bootstrap` the stack uses the cluster there, which is
    not broken: no faults then. A part that fails says why and yields nothing; the faults, which
    come last, yield what is known with each row. Raises StackError when no stack can be had, and
    what the faults raise.
    """
    if any(part in plan.parts for part in PARTS[:-1]):
        yield from _on_a_stack(kind, settings, home / "stack", plan, say, bootstrap)
    if PARTS[-1] in plan.parts:
        yield from _broken(kind, home / "faults", plan, say, bootstrap)


def _on_a_stack(
    kind: str, settings: Settings, home: Path, plan: Plan, say: Say, bootstrap: str | None
) -> Iterator[dict[str, Any]]:
    own = settings.model_copy(update={"data_dir": home, "local": LocalSettings(nodes=NODES)})
    cluster = chosen(
        own, "embedded" if kind == EMBEDDED else "apache", bootstrap, limit_mib=LIMIT_MIB
    )
    begun = time.monotonic()
    with Stack(own, broker=cluster, say=lambda _: None) as stack:
        ready_s = round(time.monotonic() - begun, 2)
        say(f"ready after {ready_s} s")
        yield {"ready_s": ready_s}
        ways = {"decisions": _decisions, "answers": _answers, "metrics": _metrics}
        for name, way in ways.items():
            if name in plan.parts:
                yield from _tried(name, partial(way, stack, plan, say), say)
        stack.check()


def _tried(name: str, way: Callable[[], dict[str, Any]], say: Say) -> Iterator[dict[str, Any]]:
    try:
        yield way()
    except (StreamsError, WorkerError) as error:
        say(f"{name} WERE NOT MEASURED: {error}")


def _decisions(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    decided = Decisions(stack.settings, plan.seed, say).measure(plan.decisions)
    say(f"decisions: {decided['p50']} ms, p99 {decided['p99']} ms")
    return {"decision_ms": decided}


def _answers(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    asked = answers.measure(stack, plan.share_s, plan.try_s, plan.seed, say)
    requests = {name: asked[name] for name in SUMS}
    return {name: asked[name] for name in asked if name not in SUMS} | {"requests": requests}


def _metrics(stack: Stack, plan: Plan, say: Say) -> dict[str, Any]:
    held = throughput.measure(stack.settings, plan.seconds, plan.try_s, say)
    told = asdict(held)
    return {"metrics_per_s": round(told.pop("per_s")), "metrics": told}


def _broken(
    kind: str, folder: Path, plan: Plan, say: Say, bootstrap: str | None
) -> Iterator[dict[str, Any]]:
    if bootstrap is not None:
        yield _table([])
        return
    rows: list[FaultRow] = []
    for row in _faults(kind, folder, plan, say):
        rows.append(row)
        yield _table(rows)


def _table(rows: Sequence[FaultRow]) -> dict[str, Any]:
    return {"recovery_s": recoveries(rows), "faults": [row.record() for row in rows]}


def merged(earlier: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return one broker's part of the report: what is known now, and else what was known earlier.

    What neither knows is None; `lost` and `doubled` are the sums of all parts. Pure.
    """
    before = earlier or {}
    found = {name: before.get(name) if now.get(name) is None else now[name] for name in FIGURES}
    counted = [found["metrics"], found["requests"], *(found["faults"] or ())]
    return found | {name: sum(int(part[name]) for part in counted if part) for name in SUMS}


def figures_of(parts: Collection[str]) -> list[str]:
    """Return which figures some parts have."""
    of = {
        "decisions": ("ready_s", "decision_ms"),
        "answers": ("ready_s", "response_ms", "requests_per_s", "requests"),
        "metrics": ("ready_s", "metrics_per_s", "metrics"),
        "faults": ("recovery_s", "faults"),
    }
    wanted = {name for part in parts for name in of[part]}
    return [name for name in FIGURES if name in wanted]


def _faults(kind: str, folder: Path, plan: Plan, say: Say) -> Iterator[FaultRow]:
    names = None if plan.faults else kills(kind)
    return run_faults(
        kind,
        folder,
        seed=plan.seed,
        times=plan.times,
        names=names,
        surge_s=plan.surge_s,
        say=say,
    )


def kills(kind: str) -> list[str]:
    """Return the faults that kill a process which is not a broker."""
    where = Where.EMBEDDED if kind == EMBEDDED else Where.APACHE
    return [
        fault.name
        for fault in FAULTS
        if where in fault.where and fault.name.startswith(KILL) and fault.name not in NOT_PROCESSES
    ]


def recoveries(rows: Sequence[FaultRow]) -> dict[str, float]:
    """Return the longest recovery (s) per kind of process that was killed."""
    return {
        row.fault.removeprefix(KILL): round(max(row.recovery_s), 2)
        for row in rows
        if row.fault.startswith(KILL) and row.recovery_s
    }


def missed(found: Mapping[str, Any]) -> list[str]:
    """Return which budgets a broker's part of the report misses, in words."""
    words = [f"{found[name]} events {name}" for name in SUMS if found.get(name)]
    p99 = (found.get("decision_ms") or {}).get("p99")
    if p99 is not None and p99 > DECISION_MS:
        words.append(f"metric to decision p99 is {p99} ms, not {DECISION_MS:.0f}")
    words += [
        f"{kind} recovered after {took} s, not {RECOVERY_S:.0f}"
        for kind, took in (found.get("recovery_s") or {}).items()
        if took > RECOVERY_S
    ]
    return words


def lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known of a broker's part of the report as names and values, for a table."""
    if found["metrics_per_s"] is not None:
        yield "metrics a second", f"{found['metrics_per_s']:,}"
    if decided := found["decision_ms"]:
        yield "metric to decision, ms", _pair(decided)
        for hop, times in decided["hops"].items():
            yield f"  until {hop}", _pair(times)
    if asked := found["response_ms"]:
        yield "requests a second, most", f"{found['requests_per_s']:,}"
        for share in answers.SHARES:
            name = f"request to response at {share.removeprefix('at_')} %, ms"
            yield name, _pair(asked[share])
    if found["ready_s"] is not None:
        yield "ready, s", f"{found['ready_s']}"
    yield from _of_faults(found)
    yield from ((name, f"{found[name]}") for name in SUMS)


def _of_faults(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, took in (found["recovery_s"] or {}).items():
        yield f"{kind} killed, works again after, s", f"{took}"
    for row in found["faults"] or ():
        cost = f"{row['events']:,} events, {row['lost']} lost, {row['doubled']} doubled"
        yield f"fault {row['fault']}", f"{cost}, {row['recovery_s']['max']} s"


def _pair(times: Mapping[str, Any]) -> str:
    return f"p50 {times['p50']}, p99 {times['p99']}"

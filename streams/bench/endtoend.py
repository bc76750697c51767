"""`weir bench end-to-end`: a stack is started on a broker and measured, part by part.

Ready after start, decisions, answers, metrics a second, in this order on one stack; then the
faults, each on stacks of their own. See the module of each part for what a figure is.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.bench import answers, throughput
from streams.bench.decisions import Decisions
from streams.bench.faulting import FaultRow, run_faults
from streams.bench.faults import FAULTS
from streams.bench.faults_world import Where
from streams.bench.figures import report
from streams.embedded.choice import chosen
from streams.embedded.stack import Stack
from workers.settings import LocalSettings, NodeSection, Settings

Say = Callable[[str], None]
KAFKA, EMBEDDED = "kafka", "embedded"
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
    """How long and how often: the hold, one step of a search (s), decisions, repeats of a fault."""

    seconds: float = 60.0
    try_s: float = 8.0
    decisions: int = 100
    times: int = 3
    surge_s: float = 60.0
    faults: bool = True
    seed: int = 1

    @property
    def share_s(self) -> float:
        """The length of a run at a share of the capacity of requests."""
        return max(5.0, self.seconds / 3)


def quick(plan: Plan) -> Plan:
    """Return a plan of the same parts that takes a minute or two instead; its figures are rough."""
    return Plan(
        seconds=min(plan.seconds, 10.0),
        try_s=4.0,
        decisions=16,
        times=1,
        surge_s=5.0,
        faults=plan.faults,
        seed=plan.seed,
    )


def measure(
    kind: str, settings: Settings, home: Path, plan: Plan, say: Say, bootstrap: str | None = None
) -> dict[str, Any]:
    """Return everything that is measured on one kind of broker, the fault table included.

    Data and logs stay below `home`. With `bootstrap` the stack uses the cluster there, which is
    not broken: no faults then. Raises StackError, and what the parts raise.
    """
    measured = _measure(kind, settings, home / "stack", plan, say, bootstrap)
    rows: Sequence[FaultRow] = ()
    if bootstrap is None:
        rows = _faults(kind, home / "faults", plan, say)
    measured["recovery_s"] = recoveries(rows)
    found: dict[str, Any] = report(measured, [row.record() for row in rows])
    return found


def _measure(
    kind: str, settings: Settings, home: Path, plan: Plan, say: Say, bootstrap: str | None
) -> dict[str, Any]:
    own = settings.model_copy(update={"data_dir": home, "local": LocalSettings(nodes=NODES)})
    cluster = chosen(
        own, "embedded" if kind == EMBEDDED else "apache", bootstrap, limit_mib=LIMIT_MIB
    )
    begun = time.monotonic()
    with ExitStack() as open_things:
        stack = open_things.enter_context(Stack(own, broker=cluster, say=lambda _: None))
        ready_s = round(time.monotonic() - begun, 2)
        say(f"ready after {ready_s} s")
        decided = Decisions(stack.settings, plan.seed, say).measure(plan.decisions)
        say(f"decisions: {decided['p50']} ms, p99 {decided['p99']} ms")
        asked = answers.measure(stack, plan.share_s, plan.try_s, plan.seed, say)
        held = throughput.measure(stack.settings, plan.seconds, plan.try_s, say)
        stack.check()
    return {
        "metrics_per_s": round(held.per_s),
        "metrics": {"seconds": held.seconds, "behind_s": held.behind_s, "sent": held.sent},
        "decision_ms": decided,
        "response_ms": asked["response_ms"],
        "requests_per_s": asked["requests_per_s"],
        "ready_s": ready_s,
        "lost": held.lost + asked["lost"],
        "doubled": held.doubled + asked["doubled"],
    }


def _faults(kind: str, folder: Path, plan: Plan, say: Say) -> list[FaultRow]:
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
    words = [f"{found[name]} events {name}" for name in ("lost", "doubled") if found[name]]
    p99 = found["decision_ms"]["p99"]
    if p99 is None or p99 > DECISION_MS:
        words.append(f"metric to decision p99 is {p99} ms, not {DECISION_MS:.0f}")
    words += [
        f"{kind} recovered after {took} s, not {RECOVERY_S:.0f}"
        for kind, took in found["recovery_s"].items()
        if took > RECOVERY_S
    ]
    return words


def lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a broker's part of the report as names and values, for a table."""
    yield "metrics a second", f"{found['metrics_per_s']:,}"
    decided = found["decision_ms"]
    yield "metric to decision, ms", _pair(decided)
    for hop, times in decided["hops"].items():
        yield f"  until {hop}", _pair(times)
    yield "requests a second, most", f"{found['requests_per_s']:,}"
    for share in answers.SHARES:
        name = f"request to response at {share.removeprefix('at_')} %, ms"
        yield name, _pair(found["response_ms"][share])
    yield "ready, s", f"{found['ready_s']}"
    for kind, took in found["recovery_s"].items():
        yield f"{kind} killed, works again after, s", f"{took}"
    for row in found["faults"]:
        cost = f"{row['events']:,} events, {row['lost']} lost, {row['doubled']} doubled"
        yield f"fault {row['fault']}", f"{cost}, {row['recovery_s']['max']} s"
    yield "lost", f"{found['lost']}"
    yield "doubled", f"{found['doubled']}"


def _pair(times: Mapping[str, Any]) -> str:
    return f"p50 {times['p50']}, p99 {times['p99']}"

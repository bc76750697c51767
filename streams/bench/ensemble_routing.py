"""Requests a second, what routing adds, and what slow and dead members cost.

One application with three members that take no time, played by a process of their own; router,
broker, members and whoever asks share this machine, and whatever else runs on it.
`requests_per_s` is how many requests the router answers for each second that it has a processor,
while BURST of them are there at once: what one core does. `all_per_s` is how many came back a
second meanwhile, through all of these processes. Both are of the middle one, by the router's time,
of TIMES bursts. What is added is the latency of a request, from
the instant at which it was due, at half of GOAL_PER_S or, where the machine does not keep up with
that, at the half, quarter, ... of it: `added_per_s`. `cpu_us` is what a request of that burst costs
each process. `kafka` is the same on Apache Kafka; null where there is none.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from streams.bench.ensemble import Given
from streams.bench.ensemble_bed import NODES, Asked, Asker, Bed, bed
from streams.bench.ensemble_members import CLASSES
from streams.bench.figures import keeps_up, percentiles
from streams.embedded.choice import APACHE, chosen
from streams.errors import StackError
from workers.settings import Settings

GOAL_PER_S = 2_000.0
BURST, BURST_PER_S, BURST_DEADLINE_MS, TIMES = 4_000, 100_000.0, 60_000, 3
RUN_S, LEAST_PER_S = 8.0, 50.0
DEADLINE_MS, BUDGET_MS = 1_000, 300
KAFKA_P50_MS = 10.0
SLOW_TIMES = 10
SLOW_PER_S = 25.0
GOALS = {"requests_per_s": GOAL_PER_S, "added_p50_ms": 15.0, "added_p99_ms": 50.0}


def measure(given: Given) -> dict[str, Any]:
    """Return `routing` and `deadline`. Raises StackError when a process does not start."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        with bed(folder / "routing") as made:
            routing = _routing(made, given)
        routing["kafka"] = _on_kafka(folder / "kafka", given)
        slow = f"three={SLOW_TIMES * BUDGET_MS}"
        with bed(folder / "slow", NODES[:1], slow) as made:
            deadline = _slow(made, given)
        with bed(folder / "killed", NODES) as made:
            deadline |= _killed(made, given)
    found = {"routing": routing, "deadline": deadline}
    for words in missed(found):
        given.say(f"MISSED: {words}")
    return found


def _on_kafka(folder: Path, given: Given) -> dict[str, Any] | None:
    """Return the figures on Apache Kafka, or on the cluster that was named; None without either."""
    own = Settings(data_dir=folder)
    try:
        with bed(folder, cluster=chosen(own, APACHE, given.bootstrap)) as made:
            return _routing(made, given)
    except StackError as error:
        given.say(f"NOTHING WAS MEASURED ON APACHE KAFKA: {error}")
        return None


def _routing(made: Bed, given: Given) -> dict[str, Any]:
    asker = Asker(made)
    asker.ask(100.0, 2.0, DEADLINE_MS)
    bursts = [_burst(asker, given) for _ in range(TIMES)]
    whole, run, wall_s = sorted(bursts, key=lambda burst: burst[0] / burst[1].router_s)[TIMES // 2]
    core_s, all_s = whole / run.router_s, whole / wall_s
    share, added = _kept_up(asker, given)
    asker.close()
    times = percentiles([ms for ms in added.latencies if ms is not None], 2)
    return {
        "requests_per_s": round(core_s),
        "all_per_s": round(all_s),
        "router_us": round(1e6 / core_s),
        "cpu_us": _cpu_us(run),
        "added_per_s": round(share),
        "added_p50_ms": times["p50"],
        "added_p99_ms": times["p99"],
    }


def _cpu_us(run: Asked) -> dict[str, int]:
    """Return what a request costs each process, µs."""
    return {name: round(1e6 * s / len(run.answers)) for name, s in run.cpu_s.items()}


def _kept_up(asker: Asker, given: Given) -> tuple[float, Asked]:
    """Return the highest rate kept up with of GOAL_PER_S / 2, its half and so on, and its run."""
    rate = GOAL_PER_S
    while True:
        rate /= 2
        run = asker.ask(rate, RUN_S, DEADLINE_MS, seed=given.seed + 1)
        pairs = zip(run.answers, run.latencies, strict=True)
        why = keeps_up([ms if one and one.status == "complete" else None for one, ms in pairs])
        given.say(f"routing: {rate:,.0f}/s {why or 'kept up with'}")
        if not why or rate < LEAST_PER_S:
            return rate, run


def _burst(asker: Asker, given: Given) -> tuple[int, Asked, float]:
    """Return how many requests of a burst were answered whole, the run, and how long it took, s."""
    run = asker.ask(BURST_PER_S, BURST / BURST_PER_S, BURST_DEADLINE_MS, seed=given.seed)
    whole = sum(answer is not None and answer.status == "complete" for answer in run.answers)
    wall_s = max((ms for ms in run.latencies if ms is not None), default=1e9) / 1000
    given.say(f"routing: {whole} of {len(run.answers)} answered in {wall_s:.1f} s")
    return whole, run, wall_s


def _slow(made: Bed, given: Given) -> dict[str, Any]:
    """One of three members takes ten times the budget: who is answered in time by the others?"""
    asker = Asker(made)
    run = asker.ask(SLOW_PER_S, RUN_S, BUDGET_MS, seed=given.seed)
    asker.close()
    in_time = sum(
        answer is not None and answer.deadline_met and answer.label == CLASSES[0]
        for answer in run.answers
    )
    given.say(f"deadline: {in_time} of {len(run.answers)} answered with a member too slow")
    return {"answered": in_time / len(run.answers), "requests": len(run.answers)}


def _killed(made: Bed, given: Given) -> dict[str, Any]:
    """The members of one of two nodes are killed under load: who has no response?"""
    asker = Asker(made)
    killing = threading.Timer(RUN_S / 3, made.kill, [NODES[0]])
    killing.start()
    run = asker.ask(SLOW_PER_S, RUN_S, 3 * DEADLINE_MS, seed=given.seed)
    killing.join()
    asker.close()
    without = sum(answer is None for answer in run.answers)
    whole = sum(answer is not None and answer.status == "complete" for answer in run.answers)
    given.say(f"deadline: {without} of {len(run.answers)} without response, a node killed")
    return {"without_response": without, "complete": whole / len(run.answers)}


def missed(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is worse than its goal, in words."""
    routing, deadline = found["routing"], found["deadline"]
    if routing["requests_per_s"] < GOALS["requests_per_s"]:
        yield f"{routing['requests_per_s']} requests a second of a core, {GOAL_PER_S:.0f} asked for"
    yield from _late(routing, GOALS, "")
    if routing["kafka"] is not None:
        yield from _late(routing["kafka"], GOALS | {"added_p50_ms": KAFKA_P50_MS}, " on Kafka")
    if deadline["answered"] < 1.0:
        yield f"{deadline['answered']:.1%} answered in time with a slow member"
    if deadline["without_response"]:
        yield f"{deadline['without_response']} requests without a response, a node killed"


def _late(routing: Mapping[str, Any], goals: Mapping[str, float], where: str) -> Iterator[str]:
    for name in ("added_p50_ms", "added_p99_ms"):
        if routing[name] is None or routing[name] > goals[name]:
            yield f"{name}{where} is {routing[name]}, {goals[name]:g} may be"

"""What `weir bench end-to-end` tells, from what its parts measured; and its load."""

from typing import Any

from schemas.observing import QualityEvaluated
from schemas.topics import key_of
from streams.bench import registering
from streams.bench.decisions import Board, Trigger
from streams.bench.endtoend import (
    EMBEDDED,
    KAFKA,
    Plan,
    kills,
    lines,
    missed,
    quick,
    recoveries,
)
from streams.bench.faulting import FaultRow
from streams.bench.hearing import Heard
from streams.bench.metric_source import METRICS, series
from streams.bench.request_source import arrivals
from streams.bench.sending import Sent
from streams.bench.throughput import verdict_of
from streams.commands.bench import app as bench_app
from tests.unit.streams.test_bench_figures import samples


def row(fault: str, *recovery_s: float) -> FaultRow:
    return FaultRow(fault, len(recovery_s), 10, 0, 0, recovery_s, "", {})


def found(**changes: Any) -> dict[str, Any]:
    """Return a broker's part of a report that keeps every budget."""
    times = {"p50": 20.0, "p99": 250.0}
    part: dict[str, Any] = {
        "metrics_per_s": 10_000,
        "decision_ms": times | {"hops": {"observation": times}},
        "response_ms": times | {"at_10": times, "at_50": times, "at_90": times},
        "requests_per_s": 100.0,
        "ready_s": 8.0,
        "recovery_s": {"data": 15.0},
        "faults": [row("kill-data", 4.0).record()],
        "lost": 0,
        "doubled": 0,
    }
    return part | changes


def test_recovery_is_the_longest_of_each_process() -> None:
    rows = [row("kill-data", 4.0, 6.5), row("poison", 1.0), row("kill-sink", 2.0)]
    assert recoveries(rows) == {"data": 6.5, "sink": 2.0}


def test_every_process_kind_is_killed_and_no_broker() -> None:
    names = {f"kill-{kind}" for kind in ("data", "route", "control", "sink", "worker")}
    for kind in (KAFKA, EMBEDDED):
        assert names <= set(kills(kind))
        assert "kill-broker" not in kills(kind)


def test_kept_budgets_are_not_missed() -> None:
    assert missed(found()) == []


def test_each_missed_budget_is_named() -> None:
    times = {"p50": 20.0, "p99": 250.1, "hops": {}}
    (late,) = missed(found(decision_ms=times))
    assert late == "metric to decision p99 is 250.1 ms, not 250"
    (slow,) = missed(found(recovery_s={"data": 15.1, "sink": 2.0}))
    assert slow == "data recovered after 15.1 s, not 15"
    assert missed(found(lost=1, doubled=2)) == ["1 events lost", "2 events doubled"]


def test_a_report_has_a_line_for_everything() -> None:
    told = dict(lines(found()))
    assert told["metrics a second"] == "10,000"
    assert told["request to response at 90 %, ms"] == "p50 20.0, p99 250.0"
    assert told["data killed, works again after, s"] == "15.0"
    assert told["fault kill-data"] == "10 events, 0 lost, 0 doubled, 4.0 s"


def test_a_quick_plan_measures_the_same_parts() -> None:
    plan = Plan(seconds=60, faults=False, seed=7)
    short = quick(plan)
    assert (short.faults, short.seed) == (False, 7)
    assert short.seconds < plan.seconds
    assert short.decisions < plan.decisions


def test_the_worst_reader_is_judged() -> None:
    steady, growing = samples([10] * 60), samples([50 * t for t in range(60)])
    assert verdict_of({"observe": steady, "sink": steady}, 1_000, 0.5).held
    verdict = verdict_of({"observe": steady, "sink": growing}, 1_000, 0.5)
    assert not verdict.held
    assert verdict.reason.startswith("sink: lag grew")


def test_the_load_has_64_series() -> None:
    known = {series(number) for number in range(64)}
    assert len(known) == 64
    assert {metric for _, _, metric in known} == set(METRICS)


def test_arrivals_are_the_same_for_a_seed_and_as_many_as_asked() -> None:
    times = list(arrivals(200.0, 50.0, 3))
    assert times == list(arrivals(200.0, 50.0, 3))
    assert times == sorted(times)
    assert 9_500 < len(times) < 10_500
    assert times != list(arrivals(200.0, 50.0, 4))


def verdict(app: str, value: str) -> Heard:
    event = QualityEvaluated(
        event_id="q",
        app=app,
        stage="",
        service="",
        instance="",
        metric="latency",
        tier="rules",
        rule="r",
        verdict=value,
        severity="critical",
        score=1.0,
        window_end=1,
        evaluated_at=1,
    )
    return Heard(event, "weir.quality", 0, 0, 5_000_000)


def test_the_board_notes_the_first_verdict_of_a_trigger_alone() -> None:
    board = Board()
    board.triggers["a"] = Trigger("a", Sent(1_000_000), 0)
    board.hear(verdict("a", "healthy"))
    board.hear(verdict("b", "degraded"))
    assert board.triggers["a"].heard == {}
    board.hear(verdict("a", "degraded"))
    assert board.triggers["a"].heard == {"quality": 5_000_000}


def test_what_is_registered_can_be_removed() -> None:
    made = [*registering.deciding("a", 1), *registering.promising("a", 1)]
    entries = set(registering.entries_of("a"))
    assert {(type(event), key_of(event)) for event in made} == entries


def test_the_benchmarks_are_commands() -> None:
    names = {command.name or command.callback.__name__ for command in bench_app.registered_commands}
    assert names >= {"end-to-end", "faults"}

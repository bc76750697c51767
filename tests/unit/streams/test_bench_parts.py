"""What `weir bench end-to-end` tells, from what its parts measured; and its load."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.observing import QualityEvaluated
from schemas.topics import key_of
from streams import exits
from streams.bench import endtoend, registering
from streams.bench.decisions import Board, Trigger
from streams.bench.endtoend import (
    EMBEDDED,
    FIGURES,
    KAFKA,
    PARTS,
    Plan,
    figures_of,
    kills,
    lines,
    merged,
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
from streams.errors import StackError
from tests.unit.streams.test_bench_figures import samples

USAGE = 2


def row(fault: str, *recovery_s: float) -> FaultRow:
    return FaultRow(fault, len(recovery_s), 10, 0, 0, recovery_s, "", {})


def found(**changes: Any) -> dict[str, Any]:
    """Return a broker's part of a report that keeps every budget."""
    times = {"p50": 20.0, "p99": 250.0}
    part: dict[str, Any] = {
        "metrics_per_s": 10_000,
        "metrics": {"lost": 0, "doubled": 0},
        "decision_ms": times | {"hops": {"observation": times}},
        "response_ms": times | {"at_10": times, "at_50": times, "at_90": times},
        "requests_per_s": 100.0,
        "requests": {"lost": 0, "doubled": 0},
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


def test_what_is_not_known_has_no_line_and_misses_nothing() -> None:
    nothing = merged(None, {})
    assert {name: nothing[name] for name in FIGURES} == dict.fromkeys(FIGURES)
    assert dict(lines(nothing)) == {"lost": "0", "doubled": "0"}
    assert missed(nothing) == []


def test_a_part_measured_again_takes_the_place_of_the_earlier_alone() -> None:
    earlier = merged(None, found(metrics={"lost": 1, "doubled": 2}))
    assert (earlier["lost"], earlier["doubled"]) == (1, 2)
    rows = [row("kill-sink", 2.0).record() | {"lost": 4}]
    now = merged(earlier, {"faults": rows, "recovery_s": {"sink": 2.0}})
    assert (now["lost"], now["doubled"]) == (5, 2)
    again = merged(now, {"metrics_per_s": 1, "metrics": {"lost": 0, "doubled": 0}})
    assert (again["lost"], again["doubled"], again["metrics_per_s"]) == (4, 0, 1)
    assert again["decision_ms"] == found()["decision_ms"]
    assert again["faults"] == rows


def test_every_figure_belongs_to_a_part() -> None:
    assert figures_of(PARTS) == list(FIGURES)
    assert figures_of(["answers"]) == ["response_ms", "requests_per_s", "requests", "ready_s"]


def test_a_quick_plan_measures_the_same_parts() -> None:
    plan = Plan(seconds=60, faults=False, seed=7, parts=["metrics"])
    short = quick(plan)
    assert (short.faults, short.seed, short.parts) == (False, 7, ["metrics"])
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
    commands = bench_app.registered_commands
    names = {one.name or getattr(one.callback, "__name__", "") for one in commands}
    assert names >= {"end-to-end", "faults"}


@pytest.mark.parametrize("enough", [True, False])
def test_a_table_of_faults_that_breaks_off_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: bool
) -> None:
    def told(*_: object, **__: object) -> Iterator[FaultRow]:
        yield from (row("kill-data", 4.0), row("poison", 1.0))
        if not enough:
            raise StackError("no second stack")

    monkeypatch.setattr(endtoend, "run_faults", told)
    kept = tmp_path / "report.json"
    asked = ["--only", "embedded", "--part", "faults", "--into", str(kept), "--json"]
    done = CliRunner().invoke(bench_app, ["end-to-end", *asked])
    assert done.exit_code == (0 if enough else exits.UNAVAILABLE)
    assert ("NOTHING MORE WAS MEASURED: no second stack" in done.stderr) is not enough
    part = json.loads(kept.read_text("utf-8"))["embedded"]
    assert json.loads(done.stdout) == {"embedded": part}
    assert [each["fault"] for each in part["faults"]] == ["kill-data", "poison"]
    assert part["recovery_s"] == {"data": 4.0}
    assert (part["lost"], part["doubled"]) == (0, 0)


@pytest.mark.parametrize("wrong", [["--part", "all"], ["--only", "both"]])
def test_what_is_no_part_is_refused_before_anything_is_started(wrong: list[str]) -> None:
    assert CliRunner().invoke(bench_app, ["end-to-end", *wrong]).exit_code == USAGE


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    for content in ("[]", "{"):
        kept.write_text(content, "utf-8")
        done = CliRunner().invoke(bench_app, ["end-to-end", "--into", str(kept)])
        assert done.exit_code == USAGE
        assert kept.read_text("utf-8") == content

"""What `weir status worker` makes of what workers have said."""

import json
from dataclasses import replace

from schemas.working import BacklogSample, ReasonCount, ServedWork, WorkerReported
from streams import worker_status
from tests.commanding import command
from workers.handover.summaries import Operation, orchestration
from workers.handover.summary_lists import check

NOW = 1_700_000_000_000
WORK = ServedWork(
    instance="gate.1",
    service="gate",
    app="yard",
    stage="s",
    waiting=2,
    arrived=10,
    in_time=5,
    late=1,
    failed=1,
    reasons=(
        ReasonCount(what="dropped", reason="queue-full", count=1, example="full"),
        ReasonCount(what="failed", reason="failed", count=1, example="broke"),
    ),
    deadline_hit_ratio=5 / 8,
    batches=4,
    queue_p95_ms=3.0,
    execution_mean_ms=4.0,
    execution_p95_ms=5.0,
)
REPORT = WorkerReported(
    worker="w1",
    node="n1",
    status="running",
    began_at=NOW - 60_000,
    busy_share=0.5,
    wasted_share=0.1,
    decisions=(ReasonCount(what="waited", reason="waits n ms", count=3),),
    services=(WORK,),
    backlog=tuple(BacklogSample(at=NOW - 60_000 + 1000 * s, waiting=s) for s in range(3)),
    heartbeat=NOW - 1_000,
    expires_at=NOW + 14_000,
)


def test_a_row_tells_what_became_of_the_tasks_of_an_instance() -> None:
    (row,) = worker_status.rows([REPORT], NOW)
    told = dict(zip(worker_status.COLUMNS, row, strict=True))
    assert (told["state"], told["service"], told["executed"]) == ("running", "gate.1", 6)
    assert (told["dropped"], told["expired"], told["failed"]) == (1, 0, 1)
    assert (told["queue p95 ms"], told["execution p95 ms"]) == (3.0, 5.0)


def test_a_worker_without_tasks_has_a_row_of_its_own() -> None:
    (row,) = worker_status.rows([replace(REPORT, services=())], NOW)
    assert row[:3] == ("w1", "n1", "running")
    assert len(row) == len(worker_status.COLUMNS)


def test_who_says_nothing_any_more_is_silent_and_who_stopped_is_stopped() -> None:
    assert worker_status.state(REPORT, NOW + 14_000) == "silent"
    assert worker_status.state(replace(REPORT, status="stopped"), NOW + 60_000) == "stopped"


def test_workers_are_found_by_node_and_by_name() -> None:
    other = replace(REPORT, worker="w2", heartbeat=NOW)
    far = replace(REPORT, worker="w3", node="n2")
    known = {one.worker: one for one in (far, REPORT, other)}
    assert [one.worker for one in worker_status.chosen(known, "")] == ["w2", "w1", "w3"]
    assert [one.worker for one in worker_status.chosen(known, "n2")] == ["w3"]
    assert [one.worker for one in worker_status.chosen(known, "w1")] == ["w1"]


def test_programs_get_everything() -> None:
    told = json.loads(json.dumps(worker_status.plain(REPORT, NOW)))
    assert (told["state"], told["services"][0]["arrived"]) == ("running", 10)


def test_a_report_becomes_an_orchestration_summary() -> None:
    made = orchestration(worker_status.account(REPORT), Operation(name="w1"), {})
    check(made, "w1")
    assert made["tasks"]["gate.1"]["dropped"] == 2
    assert made["run"]["frame_interval_ms"] == 1000.0
    assert made["queue_state_summary"]["max_total_queue_depth"] == 2


def test_another_format_is_a_usage_error() -> None:
    done = command("status", "worker", "--format", "nope", environ={})
    assert done.returncode == 2
    assert "inferedge-orchestration-summary-v1" in done.stderr

"""The main job, as a user runs it: `weir demo`, and what SQL says of it afterwards.

On the embedded broker, and on a cluster of Apache Kafka that runs already.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.cluster import kafka_or_skip
from tests.e2e.demonstration import demo, sql, summary_of
from tests.hosts.worlds import LOGS_OF_FAUST

KEYS = {
    "seed",
    "requests",
    "responses",
    "drifts",
    "violations",
    "ensembles",
    "placements",
    "deadletters",
    "accuracy",
    "detection_delay_s",
    "latency_ms",
    "seconds",
}


@pytest.fixture(params=LOGS_OF_FAUST)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Return the options that name the broker: none for the embedded one."""
    if request.param == "embedded":
        yield []
        return
    with kafka_or_skip(tmp_path / "kafka") as cluster:
        yield ["--bootstrap", cluster.bootstrap]


@pytest.mark.timeout(420)
def test_a_corruption_is_detected_and_answered(tmp_path: Path, where: list[str]) -> None:
    with demo(tmp_path, "--seed", "1", "--seconds", "32", "--keep", *where) as process:
        summary = summary_of(process)
        lineage = sql(
            tmp_path,
            "SELECT kind, series, metric_events FROM decision_metrics WHERE decision_id IN ("
            " SELECT event_id FROM placements FINAL WHERE app = 'digits')",
        )
        views = {
            view: sql(tmp_path, f"SELECT * FROM {view} LIMIT 3")
            for view in (
                "latency_by_service",
                "accuracy_by_ensemble",
                "contract_compliance",
                "decision_lineage",
                "decision_metrics",
            )
        }
    accuracy = summary["accuracy"]
    assert summary.keys() >= KEYS
    assert summary["responses"] == summary["requests"] > 0
    assert summary["drifts"] >= 1
    assert summary["violations"] >= 1
    assert summary["ensembles"] >= 3, "first selection, trial, and what follows from it"
    assert summary["placements"] > 3
    assert summary["deadletters"] == 0
    assert accuracy["before"] > 0.85
    assert accuracy["corrupted"] < accuracy["before"] - 0.15
    assert accuracy["recovered"] > accuracy["corrupted"] + 0.15
    assert 0 < summary["detection_delay_s"] < 60
    assert all(views.values()), f"empty views: {[name for name, rows in views.items() if not rows]}"
    assert {row["kind"] for row in lineage} == {"DriftDetected", "Observation"}
    assert all(row["metric_events"] > 0 for row in lineage)
    assert any(row["series"].endswith("/error") for row in lineage)
    report = (tmp_path / "demo-seed-1.html").read_text()
    assert report.count("<svg") == 3
    assert "<script" not in report
    assert "<link" not in report

"""Views give the numbers that one gets by hand."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas import decisions as d
from schemas import observing as o
from schemas import registrations as r
from schemas.base import Event
from tests.clickhouse import world
from tests.clickhouse.messages import Stood, insert, rows, store
from tests.examples import example
from workers.clickhouse import Database, connect
from workers.clock import wall_ms
from workers.settings import ClickHouseSettings
from workers.sinking.migrations import migrate, scripts


@pytest.fixture(scope="module")
def told(server: ClickHouseSettings) -> Iterator[Database]:
    """A database in which the small world stands, part of it twice."""
    opened = connect(server.model_copy(update={"database": "weir_world"}))
    migrate(opened)
    store(opened, *world.metrics())
    store(opened, *world.metrics())
    for first in (0, 10):
        store(opened, *world.lineage(), first=first)
    yield opened
    opened.close()


def test_every_view_is_documented_and_answers(told: Database) -> None:
    found = told.query(
        "SELECT name, comment FROM system.tables "
        "WHERE database = {base:String} AND engine = 'View'",
        {"base": told.name},
    )
    assert len(found.rows) >= len(scripts())
    for name, comment in found.rows:
        assert comment
        told.query(f"SELECT * FROM {name}")


def test_latency_by_service(database: Database) -> None:
    times = [world.result(n, "mlp", 1.0, float(n)) for n in range(1, 102)]
    failed = world.result(200, "mlp", 1000.0, 1000.0, status="failed")
    other = world.result(1, "tree", 0.5, 0.25)
    store(database, *times, failed, other, times[0], times[100])
    found = database.query("SELECT service, node, count, p50, p95, p99 FROM latency_by_service")
    assert found.rows == (
        ("mlp", "edge-1", 101, 52.0, 97.0, 101.0),
        ("tree", "edge-1", 1, 0.75, 0.75, 0.75),
    )


def test_latency_by_batch(database: Database) -> None:
    def took(number: int, ms: float, **more: object) -> Event:
        return replace(world.result(number, "net", 5.0, ms), instance="net.a", **more)  # type: ignore[type-var]  # a result

    single = {"variant": "fp32", "batch_size": 1}
    whole = [took(n, ms, **single) for n, ms in enumerate((2.0, 4.0, 6.0))]
    together = [took(n, 8.0, variant="fp32", batch_size=4) for n in (10, 11)]
    quick = took(20, 1.0, variant="int8", batch_size=4)
    failed = replace(took(21, 99.0, **single), status="failed")  # type: ignore[type-var]  # a result
    store(database, *whole, *together, quick, failed, whole[0])
    found = database.query(
        "SELECT instance, variant, batch_size, count, p50, p99, mean, round(mean_error, 3), "
        "mean_queue FROM latency_by_batch WHERE service = 'net'"
    )
    assert found.rows == (
        ("net.a", "fp32", 1, 3, 4.0, 5.96, 4.0, 1.155, 5.0),
        ("net.a", "fp32", 4, 2, 8.0, 8.0, 8.0, 0.0, 5.0),
        ("net.a", "int8", 4, 1, 1.0, 1.0, 1.0, None, 5.0),
    )


def test_accuracy_by_ensemble(database: Database) -> None:
    one, two = world.ensemble("e1", 1, "forest"), world.ensemble("e2", 2, "forest", "mlp")
    answers = [
        world.response(1, "e1", "7"),
        world.response(2, "e1", "8", status="partial"),
        world.response(3, "e1", "9"),
        world.response(4, "e1", None, status="failed"),
    ]
    labels = [world.truth(1, "7"), world.truth(2, "1"), world.truth(2, "1"), world.truth(4, "4")]
    store(database, one, two, *answers, *labels, answers[0])
    found = database.query(
        "SELECT generation, members, shadows, answers, unanswered, labelled, accuracy, mean_latency"
        " FROM accuracy_by_ensemble"
    )
    assert found.rows == (
        (1, "forest", "tree", 3, 1, 2, 0.5, 20.0),
        (2, "forest, mlp", "tree", 0, 0, 0, None, None),
    )


def test_contract_compliance(database: Database) -> None:
    clause = r.Clause(
        name="right",
        metric="accuracy",
        statistic="mean",
        operator=">=",
        threshold=0.8,
        window_ms=2000,
        tolerance=0.05,
        min_count=150,
    )
    slow = replace(
        clause,
        name="slow",
        metric="latency",
        statistic="p95",
        operator="<",
        threshold=10.0,
        window_ms=1000,
        tolerance=0.0,
        min_count=1,
        service="mlp",
    )
    windows = [
        world.observation("w0", 0, 0.9),
        world.observation("w1", 1000, 0.62),
        world.observation("w2", 2000, 0.9),
        world.observation("w3", 3000, 0.6),
        world.observation("too few", 4000, 0.1),
        world.observation("of a service", 0, 0.0, service="mlp", stage="classify"),
    ]
    sevens = replace(
        clause, name="sevens", statistic="rate", threshold=60.0, label="7", min_count=1
    )
    seven = world.observation("c7", 0, 0.5, metric="accuracy.class.7", instance="i")
    latency = world.observation("l0", 0, 5.0, metric="latency", service="mlp", p95=9.0)
    other = replace(latency, event_id="l1", stage="", node="edge-2", p95=13.0, count=300)
    finer = replace(latency, event_id="l3", instance="mlp.edge-2", p95=99.0, count=900)
    later = replace(latency, event_id="l2", window_start=latency.window_end, p95=9.5)
    violated = replace(example(o.ContractViolated), contract="gold", clause="slow")
    events = [
        replace(violated, event_id="v1", status="violated", evaluated_at=1),
        replace(violated, event_id="v2", status="cleared", evaluated_at=2),
    ]
    store(
        database,
        world.contract(replace(clause, threshold=0.1)),
        world.contract(clause, slow, sevens),
    )
    store(database, *windows, seven, latency, other, later, finer, *events)
    found = database.query(
        "SELECT clause, windows_judged, windows_broken, compliance, round(last_value, 3), "
        "violations, violated_now FROM contract_compliance"
    )
    assert found.rows == (
        ("right", 2, 1, 0.5, 0.75, 0, 0),
        ("sevens", 1, 0, 1.0, 100.0, 0, 0),
        ("slow", 2, 1, 0.5, 9.5, 1, 0),
    )


def test_a_placement_is_walked_back_to_its_causes(told: Database) -> None:
    found = told.query(
        "SELECT depth, kind, event_id, parent_id, first_offset, last_offset FROM decision_lineage "
        "WHERE decision_id = 'placement-1' ORDER BY depth, kind"
    )
    assert found.rows == (
        (0, "PlacementDecided", "placement-1", "", 0, 0),
        (1, "PlacementRequested", "request-1", "placement-1", 0, 0),
        (2, "EnsembleSelected", "ensemble-2", "request-1", 0, 0),
        (3, "ContractViolated", "violation-1", "ensemble-2", 0, 0),
        (3, "DriftDetected", "drift-1", "ensemble-2", 0, 3),
        (4, "Observation", "window-1", "violation-1", 4, 11),
    )


def test_decisions_reach_metric_events(told: Database) -> None:
    found = told.query(
        "SELECT event_id, series, metric_events, low, high, example_at FROM decision_metrics "
        "WHERE decision_id = 'placement-1' ORDER BY event_id, series"
    )
    assert found.rows == (
        ("drift-1", "digits/////accuracy", 2, 0.0, 1.0, "weir.metrics/0/2"),
        ("drift-1", "digits//mlp///latency", 2, 5.0, 5.0, "weir.metrics/0/3"),
        ("window-1", world.SERIES, 4, 0.0, 1.0, "weir.metrics/0/10"),
    )


def test_a_decision_of_another_cluster_has_causes_of_its_own(told: Database) -> None:
    lonely = replace(world.ensemble("ensemble-2", 2, "mlp"), causes=("violation-1",))
    store(told, lonely, cluster="cluster-2")
    found = told.query(
        "SELECT kind FROM decision_lineage WHERE cluster = 'cluster-2' AND depth > 0"
    )
    assert found.rows == ()


def test_a_decision_without_causes_answers_to_the_catalogue(database: Database) -> None:
    placed = replace(example(d.PlacementDecided), causes=())
    store(database, placed)
    found = database.query("SELECT depth, topic, last_offset FROM decision_lineage")
    expected = [(0, source.topic, source.last) for source in placed.catalogue]
    assert sorted(found.rows) == sorted(expected)


def test_causes_in_a_circle_end(database: Database) -> None:
    one = world.ensemble("a", 1, "mlp", causes=("b",))
    store(database, one, world.ensemble("b", 2, "mlp", causes=("a",)))
    found = database.query("SELECT max(depth), count() FROM decision_lineage")
    assert found.rows == ((16, 34),)


def test_service_health_and_cluster_now(database: Database) -> None:
    now = wall_ms()
    node = replace(example(r.NodeReported), node="edge-1", status="ready", expires_at=now + 60_000)
    old = replace(example(r.InstanceReported), node="edge-1", health="starting", expires_at=now)
    alive = replace(old, instance="mlp.edge-1", service="mlp", expires_at=now + 60_000)
    ready = replace(alive, health="ready")
    lost = replace(old, instance="tree.edge-1", service="tree", health="ready", expires_at=now - 1)
    store(database, node, alive, ready, lost)
    store(database, replace(node, node="edge-2", expires_at=now - 1), first=5)
    insert(database, rows([Stood("weir.nodes", 9, None, b"edge-3")]))
    health = database.query("SELECT instance, state, expired FROM service_health")
    assert health.rows == (("mlp.edge-1", "ready", 0), ("tree.edge-1", "expired", 1))
    nodes = database.query("SELECT node, state, ready_instances, services FROM cluster_now")
    assert nodes.rows == (("edge-1", "ready", 1, "mlp"), ("edge-2", "unknown", 0, ""))


def test_dead_letter_summary_counts_a_message_once(database: Database) -> None:
    letter = replace(example(d.DeadLetter), topic="weir.metrics", error="truncated", field="app")
    other = replace(letter, event_id="other", offset=3)
    store(database, letter, replace(letter, processor="sink"), other)
    found = database.query("SELECT topic, error, field, count FROM dead_letter_summary")
    assert found.rows == (("weir.metrics", "truncated", "app", 2),)


def test_contract_budgets_hour_by_hour(database: Database) -> None:
    clause = o.ClauseStanding(
        clause="right",
        metric="accuracy",
        status="ok",
        observed=0.9,
        threshold=0.8,
        operator=">=",
        held=1.0,
        judged=60,
        budget_left=1.0,
        since=world.T0,
    )
    standing = replace(example(o.ContractStanding), contract="gold", app="digits", consumer="shop")
    told = [
        (0, "ok", 1.0), (60, "violated", 0.4), (90, "ok", 0.5), (150, "unobserved", 0.5),
        (7_200, "ok", 0.75),
    ]  # fmt: skip
    store(
        database,
        *(
            replace(
                standing,
                event_id=f"s{second}",
                evaluated_at=world.T0 + 1_000 * second,
                clauses=(replace(clause, status=status, budget_left=left),),
            )
            for second, status, left in told
        ),
    )
    found = database.query(
        "SELECT clause, ok_s, violated_s, unobserved_s, round(compliance, 3), budget_left, "
        "lowest_budget_left, last_status FROM contract_budgets WHERE contract = 'gold'"
    )
    assert found.rows == (
        ("right", 120.0, 30.0, 180.0, 0.8, 0.5, 0.4, "unobserved"),
        ("right", 180.0, 0.0, 0.0, 1.0, 0.75, 0.75, "ok"),
    )


def test_spells_of_verdicts(database: Database) -> None:
    bad = replace(
        example(o.QualityEvaluated),
        verdict="degraded",
        severity="warning",
        tier="rules",
        rule="slow",
        since=world.T0 - 5_000,
        silenced_by="silence upkeep",
        findings=(o.Finding(what="p95 of latency > 200", observed=300.0, expected=200.0),),
    )
    turns = [
        ("1", "degraded", "warning", "silence upkeep", 0),
        ("1", "degraded", "critical", "", 10),
        ("1", "healthy", "critical", "", 30),
        ("", "degraded", "warning", "", 40),
        ("", "healthy", "warning", "", 50),
        ("", "degraded", "warning", "", 60),
    ]
    store(
        database,
        *(
            replace(
                bad,
                event_id=f"q{second}",
                spell=spell,
                verdict=verdict,
                severity=severity,
                silenced_by=silenced_by,
                rule="slow" if spell else "weir",
                evaluated_at=world.T0 + 1_000 * second,
            )
            for spell, verdict, severity, silenced_by, second in turns
        ),
    )
    found = database.query(
        "SELECT rule, raised_by, worst, if(isNull(withdrawn_at), -1, seconds), told_on, "
        "silenced_by, events, what FROM verdict_spells"
    )
    what = "p95 of latency > 200"
    assert found.rows == (
        ("slow", "q0", "critical", 30.0, 1, ["silence upkeep"], 3, what),
        ("weir", "q40", "warning", 10.0, 1, [], 2, what),
        ("weir", "q60", "warning", -1.0, 1, [], 1, what),
    )


def test_stories_of_drifts(database: Database) -> None:
    drift = replace(
        example(o.DriftDetected),
        since=world.T0,
        detected_at=world.T0 + 4_000,
        cause="",
        retrain=False,
        features=(),
        causes=(),
    )
    shift = replace(example(o.FeatureShift), feature="image.mean")
    store(
        database,
        replace(drift, event_id="w", status="warning", detected_at=world.T0 + 2_000),
        replace(drift, event_id="d", status="confirmed", causes=("w",)),
        replace(
            drift,
            event_id="e",
            status="explained",
            cause="covariate",
            retrain=True,
            features=(shift,),
            causes=("d", "i"),
        ),
        replace(drift, event_id="x", status="dismissed", causes=("w2",)),
        replace(drift, event_id="y", status="confirmed", detected_at=world.T0 + 9_000),
    )
    found = database.query(
        "SELECT drift, dateDiff('second', warned_at, confirmed_at), seconds, cause, retrain, "
        "moved, explained_by FROM drift_stories"
    )
    assert found.rows == (
        ("d", 2, 4.0, "covariate", True, ["image.mean"], "e"),
        ("y", None, 9.0, "", False, [], ""),
    )

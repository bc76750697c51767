"""Defined metrics over the partitions of an application: exact, waited for, revised, refused."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from processors.defining.defined import objection, resolve
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.observing import Observation
from schemas.processing import Output
from schemas.registrations import MetricDefined
from tests.contracts.scenarios.define import defined
from tests.unit.processors.define_world import COUNTED, START, World, row, values

SHARE = 'count(where metric == "error" and value > 0) / count(where metric == "error")'


def test_a_value_is_computed_over_all_partitions() -> None:
    world = World(defined("share", SHARE))
    world.feed(0, [row(100, "error", 1.0), row(200, "error", 0.0), row(150, "other", 1.0)], 300)
    world.feed(1, [row(100, "error", 0.0, service="b"), row(300, "error", 0.0, service="b")], 300)

    assert world.feed(0, [row(1_100, "error", 0.0)], 1_100) == []
    outputs = world.feed(1, [row(1_200, "error", 0.0)], 1_200)

    assert values(outputs) == [("share", 0.25, 4)]
    (one,) = outputs
    assert isinstance(one, Observation)
    assert [(s.topic, s.partition, s.first, s.last) for s in one.sources] == [
        ("weir.metrics", 0, 0, 1),
        ("weir.metrics", 1, 0, 1),
    ]
    assert (one.window_start - START, one.window_end - START) == (0, 1_000)
    assert (one.app, one.service, one.final, one.revision) == ("shop", "", True, 0)


def test_a_silent_partition_is_waited_for_and_its_rows_make_a_revision() -> None:
    world = World(defined("share", SHARE))
    world.feed(0, [row(100, "error", 1.0)], 300)
    late = world.closed(1, [row(100, "error", 0.0, service="b"), row(1_100, "other", 0.0)], 1_200)
    world.feed(0, [row(1_100, "error", 0.0)], 1_100)

    wake = world.define.wake_at()
    assert wake == START + 1_100 + 3_000
    first = world.tell([], 4_100)
    second = world.tell(late, 4_200)

    assert values(first) == [("share", 1.0, 1)]
    assert values(second) == [("share", 0.5, 2)]
    (a,), (b,) = first, second
    assert isinstance(a, Observation)
    assert isinstance(b, Observation)
    assert (a.event_id, a.revision, b.revision) == (b.event_id, 0, 1)


def test_a_definition_holds_from_the_first_window_that_begins_after_it_came() -> None:
    world = World()
    definition = defined("highest", "max(value)")
    world.feed(0, [row(100, "error", 5.0)], 100)
    world.feed(1, [row(100, "error", 5.0, service="b")], 100)
    world.catalogue = Catalogue({MetricDefined: {"highest": definition}})

    outputs = []
    for partition, service in enumerate("ab"):
        rows = [row(at, "error", 7.0, service=service) for at in (500, 1_200, 2_200)]
        outputs += world.feed(partition, rows, 2_200)

    assert values(outputs) == [("highest", 7.0, 2)]
    assert isinstance(outputs[0], Observation)
    assert outputs[0].window_start - START == 1_000


def test_requests_are_counted_once_over_partitions() -> None:
    world = World(defined("requests", "distinct(request_id)"))
    world.feed(0, [row(1, "error", 1.0, request_id="x"), row(2, "error", 1.0)], 2)
    world.feed(1, [row(1, "queue", 1.0, request_id="x"), row(2, "queue", 1.0, request_id="y")], 2)
    world.feed(0, [row(1_100, "error", 1.0)], 1_100)

    assert values(world.feed(1, [row(1_100, "queue", 1.0)], 1_100)) == [("requests", 2.0, 4)]


def test_groups_by_metric_have_metrics_of_their_own() -> None:
    world = World(defined("top", "max(value)", group_by=("metric",)))
    world.feed(0, [row(1, "error", 1.0), row(2, "queue", 3.0)], 2)
    world.feed(1, [row(1, "queue", 4.0, service="b")], 2)
    world.feed(0, [row(1_100, "error", 1.0)], 1_100)

    outputs = world.feed(1, [row(1_100, "queue", 1.0)], 1_100)

    assert values(outputs) == [("top.error", 1.0, 1), ("top.queue", 4.0, 2)]


def test_a_refusal_is_told_once_with_the_place() -> None:
    world = World(defined("wrong", "avg(valu)"), defined("right", "count()"))
    first = world.feed(0, [row(1, "error", 1.0), row(1_100, "error", 1.0)], 1_100)
    again = world.feed(0, [row(2_200, "error", 1.0)], 2_200)

    (action,) = [one for one in first if isinstance(one, ActionTaken)]
    assert (action.kind, action.target) == ("definition.refused", "wrong")
    assert "column 5: there is no column valu; did you mean value?\n  avg(valu)" in action.reason
    assert not [one for one in again if isinstance(one, ActionTaken)]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (defined("a", "count()", group_by=("colour",)), "group_by has 'colour'"),
        (defined("a", "count()", metric="latency"), "metric 'latency' is reported already"),
        (defined("a", "count()", metric=""), "metric is empty"),
        (defined("b", "count()", metric="x"), "a0 already defines metric 'x'"),
        (defined("b", "count()", metric="x", app="shop"), "a0 already defines metric 'x'"),
        (defined("b", "defined('b')"), "in a circle: b -> b"),
    ],
)
def test_definitions_that_cannot_be_applied_are_refused(
    definition: MetricDefined, reason: str
) -> None:
    others = {"a0": defined("a0", "count()", metric="x")}

    assert reason in str(objection(definition, others))
    assert objection(defined("c", "count()"), others) is None


def test_rows_are_told_for_whatever_may_hold_where_plug_ins_are_known() -> None:
    one, other = defined("a", "absent()", metric="x"), defined("b", "count()", metric="x")
    world = World(one, other)
    world.feed(0, [row(1, "error", 1.0), row(1_100, "error", 1.0)], 1_100)

    outputs = world.feed(1, [row(1, "error", 1.0), row(1_100, "error", 1.0)], 1_100)

    assert values(outputs) == [("x", 2.0, 2)]


def test_reported_metrics_are_no_definitions_to_compute() -> None:
    assert resolve({"load": defined("load", "")}).definitions == ()


def test_consumer_defined_metrics_of_others_are_expressible() -> None:
    """Filtered count, sum, avg, min, max, percentile, ratio with 0 for nothing, and references."""
    errors = 'count(where metric == "misclassified" and value > 0)'
    share = 'coalesce(defined("errors") / count(where metric == "misclassified"), 0)'
    world = World(
        defined("errors", errors),
        defined("rate_of", share),
        defined("p95", 'quantile(value, 0.95 where metric == "delay" and service == "a")'),
        defined("spread", 'abs(avg(value where service == "a") - avg(value where service == "b"))'),
        defined("variance", "var(value)"),
        defined("none", 'coalesce(sum(value) / count(where metric == "nothing"), 0)'),
    )  # fmt: skip
    numbers = [3.0, 1.0, 2.0, 10.0]
    world.feed(0, [row(i, "delay", value) for i, value in enumerate(numbers)], 10)
    world.feed(1, [row(1, "misclassified", v, service="b") for v in (1.0, 0.0)], 10)
    world.feed(0, [row(1_100, "delay", 1.0)], 1_100)
    outputs = world.feed(1, [row(1_100, "misclassified", 1.0, service="b")], 1_100)

    found = {name: value for name, value, _ in values(outputs)}
    every = [*numbers, 1.0, 0.0]
    assert found == {
        "errors": 1.0,
        "rate_of": 0.5,
        "p95": pytest.approx(float(np.quantile(numbers, 0.95))),
        "spread": pytest.approx(3.5),
        "variance": pytest.approx(float(np.var(every))),
        "none": 0.0,
    }


def test_a_window_function_of_others_is_a_plug_in_over_a_window_of_events() -> None:
    """A function of the last rows of each series, every so many events, as a frame."""

    def anomalies(rows: pl.DataFrame, threshold: float) -> float:
        numbers = rows["value"].to_numpy()
        middle = np.median(numbers)
        spread = np.median(np.abs(numbers - middle))
        return float((np.abs(numbers - middle) > threshold * spread).sum())

    window = replace(COUNTED, name="hundred", event_id="hundred")
    definition = defined("anomalies_of", "anomalies(3.5)", window="hundred")
    world = World(window, definition, anomalies=anomalies)
    numbers = [1.0, 2.0, 3.0, 2.0, 99.0, 1.0, 2.0]
    rows = [row(i * 10, "delay", value) for i, value in enumerate(numbers)]

    outputs = world.feed(0, [*rows, row(9_000, "delay", 1.0)], 9_000)

    found = [one for one in outputs if isinstance(one, Observation)]
    assert [(o.metric, o.mean, o.count, o.service) for o in found] == [
        ("anomalies_of", 1.0, 5, "a")
    ]


def test_a_plug_in_that_raises_stops_only_itself() -> None:
    def fails(rows: pl.DataFrame) -> float:
        return math.sqrt(-1.0)

    world = World(defined("bad", "fails()"), defined("good", "count()"), fails=fails)
    told: list[Output] = []
    for at in (100, 1_100, 2_100):
        for partition, service in enumerate("ab"):
            told += world.feed(partition, [row(at, "error", 1.0, service=service)], at)

    assert values(told) == [("good", 2.0, 2), ("good", 2.0, 2)]
    (action,) = [one for one in told if isinstance(one, ActionTaken)]
    assert (action.kind, action.target) == ("plugin.failed", "fails")
    assert "ValueError: math domain error" in action.reason

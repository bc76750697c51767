"""What an operator's file becomes: windows of every kind, metrics, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.registrations import MetricDefined, WindowDefined
from streams.definitions import (
    Standing,
    check,
    cut,
    duration_ms,
    reach,
    read,
    refusals,
    stopped,
    unknown,
)
from streams.errors import RegistrationError

NOTHING = Standing({}, {})
SLOW = {
    "name": "slow",
    "metric": "slow_share",
    "expression": 'ratio(value > 200 where metric == "latency")',
}


def file(*windows: dict[str, Any], metrics: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"app": "fraud", "windows": list(windows), "metrics": list(metrics)}


def window(**fields: Any) -> WindowDefined:
    (made,) = read(file({"name": "w"} | fields), 7)
    assert isinstance(made, WindowDefined)
    return made


def standing(*definitions: WindowDefined | MetricDefined) -> Standing:
    windows = {d.name: d for d in definitions if isinstance(d, WindowDefined)}
    metrics = {d.name: d for d in definitions if isinstance(d, MetricDefined)}
    return Standing(windows, metrics)


@pytest.mark.parametrize(
    ("fields", "kind", "sizes", "words"),
    [
        ({"size": "10s"}, "tumbling", {"size_ms": 10_000}, "10 s"),
        (
            {"size": "10s", "interval": "500ms", "align": "1s"},
            "hopping",
            {"size_ms": 10_000, "interval_ms": 500, "align_ms": 1_000},
            "10 s each 500 ms",
        ),
        ({"size": 1_000}, "count", {"size_events": 1_000}, "1,000 events"),
        (
            {"size": 100, "interval": 10},
            "count",
            {"size_events": 100, "interval_events": 10},
            "100 events each 10 events",
        ),
        (
            {"size": 100, "interval": "5m"},
            "trailing",
            {"size_events": 100, "interval_ms": 300_000},
            "the last 100 events each 5 min",
        ),
        (
            {"size": 100, "interval": "5s", "longest": "1h"},
            "trailing",
            {"size_events": 100, "interval_ms": 5_000, "size_ms": 3_600_000},
            "the last 100 events within 1 h each 5 s",
        ),
        (
            {"size": "1m", "interval": 50},
            "trailing",
            {"size_ms": 60_000, "interval_events": 50},
            "1 min each 50 events",
        ),
        (
            {"gap": "30s", "longest": "1d"},
            "session",
            {"gap_ms": 30_000, "size_ms": 86_400_000},
            "sessions ending after 30 s of silence, 1 d at most",
        ),
        ({"gap": "30s"}, "session", {"gap_ms": 30_000}, "sessions ending after 30 s of silence"),
    ],
)
def test_sizes_and_intervals_make_the_kind(
    fields: dict[str, Any], kind: str, sizes: dict[str, int], words: str
) -> None:
    made = window(**fields)
    check([made], NOTHING, ())
    names = ("size_ms", "size_events", "interval_ms", "interval_events", "gap_ms", "align_ms")
    assert {name: getattr(made, name) for name in names if getattr(made, name)} == sizes
    assert (made.kind, cut(made)) == (kind, words)


def test_scope_lateness_and_the_rest_are_taken_over() -> None:
    made = window(
        size="10s",
        metric="latency",
        service="mlp",
        node="n1",
        lateness="2s",
        early="1s",
        late="send",
        functions=["p99", "rate"],
    )
    assert (made.app, made.metric, made.service, made.node) == ("fraud", "latency", "mlp", "n1")
    assert (made.allowed_lateness_ms, made.early_ms, made.late) == (2_000, 1_000, "send")
    assert made.functions == ("p99", "rate")
    assert reach(made) == "service=mlp node=n1 metric=latency"
    assert reach(window(size="10s")) == "every series"


def test_equal_content_has_equal_ids_whenever_it_is_registered() -> None:
    one, again = (
        read(file({"name": "w", "size": "1s"}), 1),
        read(file({"name": "w", "size": "1s"}), 2),
    )
    assert one[0].event_id == again[0].event_id != window(size="2s").event_id
    assert (one[0].registered_at, again[0].registered_at) == (1, 2)


def test_a_metric_is_read_with_its_expression() -> None:
    more = SLOW | {"group_by": ["service"], "window": "w", "unit": "share"}
    made = read(file({"name": "w", "size": "10s"}, metrics=(more,)), 1)
    check(made, NOTHING, ())
    metric = made[1]
    assert isinstance(metric, MetricDefined)
    assert (metric.app, metric.metric, metric.unit) == ("fraud", "slow_share", "share")
    assert reach(metric) == "slow_share by service in w"
    (plain,) = read({"app": "fraud", "metrics": [{**SLOW, "metric": "other"}]}, 1)
    assert reach(plain) == "other"


def test_a_wrong_expression_is_refused_with_its_place() -> None:
    wrong = SLOW | {"expression": 'ratio(value > "much" where metric == "latency")'}
    with pytest.raises(RegistrationError) as caught:
        check(read(file(metrics=(wrong,)), 1), NOTHING, ())
    text = str(caught.value)
    assert text.startswith("slow: column 15: ")
    assert text.splitlines()[-1].strip() == "^" * len('"much"')


def test_a_plugin_counts_when_it_is_installed() -> None:
    made = read(file(metrics=(SLOW | {"expression": "outliers(3.5)"},)), 1)
    check(made, NOTHING, {"outliers"})
    with pytest.raises(RegistrationError, match="outliers"):
        check(made, NOTHING, ())


@pytest.mark.parametrize(
    ("plain", "word"),
    [
        ({}, "app is None"),
        ({"app": "fraud"}, "neither"),
        ({"app": "fraud", "window": []}, "has no 'window'"),
        ({"app": "fraud", "windows": {"name": "w"}}, "list of tables"),
        (file({"name": "a b", "size": "1s"}), "name 'a b'"),
        (file({"name": "w", "size": "1s"}, {"name": "w", "size": "2s"}), "w is defined twice"),
        (file({"name": "w", "size": "soon"}), "size is 'soon'; write a time"),
        (file({"name": "w", "size": True}), "size is True"),
        (file({"name": "w", "size": "1s", "gap": 5}), "gap is 5"),
        (file({"name": "w", "size": "1s", "longest": "1m"}), "longest is for sessions"),
        (file({"name": "w", "size": "1s", "steps": 1}), "has no 'steps'"),
        (file({"name": "w", "size": "1s", "service": 5}), "service"),
        (file(metrics=({"name": "m"},)), "expression is needed"),
    ],
)
def test_what_cannot_be_understood_is_told(plain: dict[str, Any], word: str) -> None:
    with pytest.raises(RegistrationError, match=word):
        read(plain, 1)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"size": "2d"}, "size_ms"),
        ({"size": "1s", "late": "drop"}, "late is 'drop'"),
        ({"size": "1s", "functions": ["mode"]}, "'mode'"),
        ({"size": 10, "interval": "1s", "early": "1s"}, "early_ms"),
    ],
)
def test_what_observe_would_refuse_is_refused_before(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(RegistrationError, match=rf"w: .*{word}"):
        check([window(**fields)], NOTHING, ())


def test_a_window_of_the_same_series_and_sizes_is_refused_either_way() -> None:
    one = window(size="1s")
    later, earlier = (replace(one, name=name, event_id=name) for name in ("x", "a"))
    with pytest.raises(RegistrationError, match="x: w already defines"):
        check([later], standing(one), ())
    with pytest.raises(RegistrationError, match="w would no longer hold: a already defines"):
        check([earlier], standing(one), ())
    check([later], standing(stopped("w", standing(one), 9)), ())


def test_a_name_is_one_thing_of_one_application() -> None:
    one, metric = window(size="1s"), read(file(metrics=(SLOW,)), 1)[0]
    check([window(size="2s")], standing(one), ())
    with pytest.raises(RegistrationError, match="defined for application other already"):
        check([one], standing(replace(one, app="other")), ())
    with pytest.raises(RegistrationError, match="w is the name of a metric"):
        check([one], standing(replace(metric, name="w", metric="m")), ())  # type: ignore[type-var]  # a metric
    with pytest.raises(RegistrationError, match="w is the name of a rule"):
        check([one], Standing({}, {}, {"w": "rule"}), ())


def test_a_metric_names_a_window_of_its_application() -> None:
    made = read(file(metrics=(SLOW | {"window": "w"},)), 1)
    check(made, standing(window(size="1s")), ())
    for others in (NOTHING, standing(replace(window(size="1s"), app="other"))):
        with pytest.raises(RegistrationError, match="there is no window 'w'"):
            check(made, others, ())


def test_stopping_keeps_the_definition_with_another_id() -> None:
    one = window(size="1s")
    ended = stopped("w", standing(one), 9)
    assert ended == replace(one, stopped=True, event_id=ended.event_id, registered_at=9)
    assert ended.event_id != one.event_id
    metric = read(file(metrics=(SLOW,)), 1)[0]
    with pytest.raises(RegistrationError, match="weir observe remove slow"):
        stopped("slow", standing(metric), 9)
    with pytest.raises(RegistrationError, match="no window or metric 'x' is defined; defined: w"):
        stopped("x", standing(one), 9)
    assert str(unknown("x", NOTHING)).endswith("none")


def test_what_stands_and_is_refused_is_told_by_name() -> None:
    one = window(size="1s")
    wrong = replace(one, name="x", kind="spiral")
    assert list(refusals(standing(one, wrong), ())) == ["x"]


def test_times_are_read_in_every_unit() -> None:
    found = [
        duration_ms(text) for text in ("5ms", "5 s", "5m", "5h", "5d", "5", "s", "-5s", "1.5s")
    ]
    assert found == [5, 5_000, 300_000, 18_000_000, 432_000_000, None, None, None, None]

"""Rules of quality: kinds of rules, hysteresis, severity, withdrawal, bad input."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from processors.rules import meaning
from processors.rules.quality import Quality, QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.observing import Observation, QualityEvaluated
from schemas.partitioning import partition_of
from schemas.processing import Output
from schemas.quality import BurnWindow, RuleDefined
from schemas.topics import PARTITIONS
from tests.contracts.making import START, columns, observation
from tests.contracts.scenarios.quality import rule

LOW = rule("low", threshold=0.8, clear_threshold=0.85, severity="critical", event_id="low-1")
SECOND = 1_000


def world(*rules: RuleDefined) -> Catalogue:
    return Catalogue({RuleDefined: {one.name: one for one in rules}})


def built(params: QualityParams | None = None, **plugins: Any) -> Quality:
    """Return the processor of the partition to which the events belong."""
    processor = spec(params, plugins=plugins).build(partition_of("digits", PARTITIONS))
    assert isinstance(processor, Quality)
    return processor


def row(values: Sequence[float], first: int = 1, **others: Any) -> list[Observation]:
    """Return windows of a second each that follow each other."""
    return [observation(value, SECOND * (first + n), **others) for n, value in enumerate(values)]


def judge(seen: Sequence[Observation], *rules: RuleDefined) -> list[Output]:
    return list(built().process(columns(seen, START, world(*rules))))


def told(outputs: Sequence[Output]) -> list[tuple[str, str, int]]:
    """Return each verdict, its severity and the end of its window, in seconds after START."""
    return [
        (event.verdict, event.severity, (event.window_end - START) // SECOND)
        for event in outputs
        if isinstance(event, QualityEvaluated)
    ]


def test_a_verdict_needs_its_number_of_windows_in_a_row() -> None:
    #        bad  ok   bad  bad        between  good good
    values = [0.7, 0.9, 0.7, 0.6, 0.5, 0.82, 0.9, 0.84, 0.9, 0.86]

    outputs = judge(row(values), LOW)
    assert told(outputs) == [("degraded", "critical", 4), ("healthy", "critical", 10)]
    bad, good = outputs
    assert isinstance(bad, QualityEvaluated)
    assert isinstance(good, QualityEvaluated)
    assert bad.spell == good.spell == bad.event_id != good.event_id
    assert bad.since == good.since == START + 2 * SECOND


def test_a_verdict_tells_what_it_rests_on() -> None:
    (one,) = judge(row([0.7, 0.6], node="n"), LOW)

    assert isinstance(one, QualityEvaluated)
    assert (one.tier, one.rule, one.severity, one.node) == ("rules", "low", "critical", "n")
    assert one.score == (0.8 - 0.6) / 0.8
    assert one.causes == tuple(each.event_id for each in row([0.7, 0.6], node="n"))
    (finding,) = one.findings
    assert (finding.what, finding.observed) == ("mean of accuracy < 0.8", 0.6)


def test_a_window_is_judged_once() -> None:
    assert judge([observation(0.7, SECOND)] * 3, LOW) == []


@pytest.mark.parametrize(
    "scope",
    [
        {"app": "other"},
        {"stage": "s"},
        {"service": "s"},
        {"instance": "i"},
        {"node": "n"},
        {"window": "w"},
        {"metric": "latency"},
        {"stopped": True},
    ],
)
def test_a_rule_judges_what_it_selects(scope: dict[str, Any]) -> None:
    assert judge(row([0.1, 0.1]), replace(LOW, **scope)) == []
    fitting: dict[str, Any] = {"app": "digits", "service": "s", "node": "n", "window": "default"}
    assert len(judge(row([0.1, 0.1], service="s", node="n"), replace(LOW, **fitting))) == 1


def test_the_verdict_of_a_rule_that_goes_is_withdrawn() -> None:
    processor = built()
    processor.process(columns(row([0.1, 0.1]), START, world(LOW)))

    outputs = processor.process(columns(row([0.1], 3), START, world()))

    assert told(outputs) == [("healthy", "info", 2)]


def test_a_verdict_that_is_forgotten_for_lack_of_room_is_withdrawn() -> None:
    processor = built(QualityParams(max_judged=1))
    processor.process(columns(row([0.1, 0.1]), START, world(LOW)))

    other = row([0.9], 3, service="small")
    full, *outputs = processor.process(columns(other, START, world(LOW)))

    assert told(outputs) == [("healthy", "info", 2)]
    assert isinstance(full, ActionTaken)
    assert full.kind == "rules.full"
    again = processor.process(columns(row([0.9], 4, service="third"), START, world(LOW)))
    assert list(again) == []


def test_it_is_worse_by_how_much_and_by_how_long() -> None:
    much = rule("m", threshold=0.8, critical_threshold=0.5, for_windows=1)
    assert told(judge(row([0.7, 0.6, 0.4, 0.3, 0.7, 0.9, 0.9]), much)) == [
        ("degraded", "warning", 1),
        ("degraded", "critical", 3),
        ("healthy", "critical", 7),
    ]
    assert told(judge(row([0.4]), much)) == [("degraded", "critical", 1)]
    long = rule("l", threshold=0.8, critical_after_ms=3_000, for_windows=1)
    assert told(judge(row([0.7] * 6), long)) == [
        ("degraded", "warning", 1),
        ("degraded", "critical", 4),
    ]


def test_a_rate_is_the_change_over_its_span() -> None:
    climbs = rule(
        "r", kind="rate", operator=">", threshold=5.0, span_ms=4_000, for_windows=1, clear_windows=1
    )
    values = [*[10.0] * 6, 12.0, 14.0, 16.0, 18.0, *[18.0] * 4]

    bad, good = judge(row(values), climbs)

    assert told([bad, good]) == [("degraded", "warning", 9), ("healthy", "warning", 12)]
    assert isinstance(bad, QualityEvaluated)
    assert bad.findings[0].observed == 6.0
    gap = [*row([10.0] * 6), *row([100.0], 60)]
    assert judge(gap, climbs) == []


def test_a_ratio_within_a_metric_and_across_two() -> None:
    within = rule(
        "w", kind="ratio", statistic="p99", over_statistic="p50", operator=">", threshold=2.0
    )
    steep = [replace(one, p99=one.p50 * 3) for one in row([1.0, 1.0])]
    assert told(judge(steep, within)) == [("degraded", "warning", 2)]
    assert judge(row([0.0, 0.0]), within) == []

    across = rule(
        "a",
        kind="ratio",
        metric="errors",
        over_metric="requests",
        over_statistic="mean",
        operator=">",
        threshold=0.1,
    )
    errors, requests = row([2.0] * 3, metric="errors"), row([10.0] * 3, metric="requests")
    (one,) = judge([*errors, *requests], across)
    assert isinstance(one, QualityEvaluated)
    assert (one.metric, one.findings[0].observed) == ("errors", 0.2)
    assert set(one.causes) == {each.event_id for each in (*errors[:2], *requests[:2])}
    assert judge(errors, across) == []
    assert judge([*errors, *row([10.0] * 3, 7, metric="requests")], across) == []


def bad_share(values: Sequence[float], first: int = 1) -> list[Observation]:
    """Return windows of 0 and 1, of which the means are given."""
    return [
        replace(one, min=0.0, max=1.0, std=math.sqrt(one.mean * (1 - one.mean)), p50=0.0)
        for one in row(values, first, metric="error", count=100)
    ]


def test_a_budget_that_burns_in_both_windows_is_told() -> None:
    pair = BurnWindow(long_ms=60_000, short_ms=5_000, factor=5.0, severity="critical")
    burn = rule(
        "b",
        kind="burn",
        metric="error",
        statistic="",
        operator=">",
        threshold=0.5,
        objective=0.99,
        burns=(pair,),
        for_windows=1,
        clear_windows=1,
    )
    outputs = judge(bad_share([*[0.001] * 100, *[0.2] * 30, *[0.001] * 20]), burn)

    # 60 s at 0.1 % and 20 %: over 5 % from the 15th bad second on; the short window clears after 4
    assert told(outputs) == [("degraded", "critical", 115), ("healthy", "critical", 134)]
    first = outputs[0]
    assert isinstance(first, QualityEvaluated)
    assert first.burn_rate == pytest.approx((15 * 0.2 + 45 * 0.001) / 60 / 0.01)
    assert judge(bad_share([1.0, 0.0, 0.0]), burn) == []
    assert told(judge(bad_share([1.0] * 5), burn)) == [("degraded", "critical", 4)]


def test_the_usual_windows_are_those_of_the_workbook() -> None:
    burn = rule("b", kind="burn", operator=">", objective=0.999)
    hour, minute = 3_600_000, 60_000
    assert [(one.long_ms, one.short_ms, one.factor) for one in meaning.burns_of(burn)] == [
        (hour, 5 * minute, 14.4),
        (6 * hour, 30 * minute, 6.0),
        (72 * hour, 6 * hour, 1.0),
    ]
    lenient = replace(burn, objective=0.9, span_ms=24 * hour)
    assert [(one.long_ms, one.factor) for one in meaning.burns_of(lenient)] == [
        (12 * minute, 6.0),
        (24 * hour // 10, 1.0),
    ]


def test_numbers_that_are_none_are_passed_over() -> None:
    values = [0.7, math.nan, math.inf, 0.6]
    high = rule("h", operator=">", threshold=0.65)
    assert told(judge(row(values), LOW)) == [("degraded", "critical", 4)]
    assert judge(row(values), high) == []


def test_a_clock_that_was_set_back_begins_anew() -> None:
    processor = built(QualityParams(back=3))
    processor.process(columns(row([0.7], 1_000), START, world(LOW)))
    early = processor.process(columns(row([0.7] * 5), START, world(LOW)))
    assert told(early) == [("degraded", "critical", 4)]


def test_windows_on_both_sides_of_a_long_gap_are_not_in_a_row() -> None:
    seen = [observation(0.7, SECOND), observation(0.7, 4_000 * SECOND)]
    assert judge(seen, LOW) == []


STRANGE: list[tuple[dict[str, Any], str]] = [
    ({"for_windows": 0}, "for_windows is 0; it must be within 1 and 100"),
    ({"clear_threshold": 0.7}, "clear_threshold is 0.7; with < it must be at least the threshold"),
    ({"critical_threshold": 0.9}, "critical_threshold is 0.9; with < it must be at most"),
    ({"operator": ">", "clear_threshold": 0.9}, "with > it must be at most the threshold 0.8"),
    ({"threshold": math.nan}, "threshold is nan; it must be a finite number"),
    ({"statistic": "median"}, "statistic 'median' is unknown; known: mean, min"),
    ({"kind": "magic"}, "kind 'magic' is unknown; known: threshold, rate, absence, ratio, burn"),
    ({"severity": "awful"}, "severity 'awful' is unknown"),
    ({"metric": ""}, "metric is empty"),
    ({"kind": "rate"}, "span_ms is 0; a rate needs the distance"),
    ({"span_ms": 5}, "span_ms says nothing to a rule of kind threshold; leave it out"),
    ({"depends_on": ("low",)}, "depends_on runs in a circle: low → low; leave one of them out"),
    ({"critical_after_ms": -1}, "critical_after_ms is -1"),
]


@pytest.mark.parametrize(("change", "why"), STRANGE)
def test_a_rule_that_makes_no_sense_is_refused_once(change: dict[str, Any], why: str) -> None:
    processor = built()
    strange = world(replace(LOW, **change))
    (refusal,) = processor.process(columns(row([0.1, 0.1]), START, strange))

    assert isinstance(refusal, ActionTaken)
    assert (refusal.kind, refusal.target) == ("definition.refused", "low")
    assert why in refusal.reason
    again = Catalogue({RuleDefined: dict(strange.of(RuleDefined))})
    assert list(processor.process(columns(row([0.1], 3), START, again))) == []


BURN = rule("b", kind="burn", statistic="", operator=">", threshold=0.5, objective=0.9)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"objective": 1.0}, "objective is 1; it must be a share within 0 and 1"),
        ({"statistic": "mean"}, "statistic says nothing to a rule of kind burn"),
        ({"span_ms": 10}, "the period of an objective is an hour at least"),
        (
            {"burns": (BurnWindow(long_ms=5, short_ms=9, factor=2.0, severity="info"),)},
            r"burns\[0\]: short_ms is 9; it must be above 0 and below long_ms, 5",
        ),
        (
            {"burns": (BurnWindow(long_ms=9, short_ms=5, factor=11.0, severity="info"),)},
            r"burns\[0\]: factor is 11; it must be above 0 and below 10",
        ),
    ],
)
def test_a_burn_that_could_never_be_told_is_refused(change: dict[str, Any], why: str) -> None:
    assert meaning.objection(BURN) == ""
    with pytest.raises(ValueError, match=why):
        raise ValueError(meaning.objection(replace(BURN, **change)))


def test_a_circle_names_its_way_and_spares_the_others() -> None:
    rules = {
        "a": rule("a", depends_on=("b",)),
        "b": rule("b", depends_on=("c", "d")),
        "c": rule("c", depends_on=("a",)),
        "d": rule("d", depends_on=("nobody",)),
    }
    found = meaning.objections(rules)
    assert found.keys() == {"a", "b", "c"}
    assert "a → b → c → a" in found["a"]
    assert meaning.ranks({"a": rules["a"], "b": replace(rules["b"], depends_on=())}) == ["b", "a"]

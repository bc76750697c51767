"""The report of the bench of observing: medians, ratios, goals, and what is told of them."""

from typing import Any

import pytest

from streams.bench.observing import PARTS, Plan, emission_us, figures, middle, quick, ratios
from streams.bench.observing_children import Took
from streams.bench.observing_words import further, lines, missed, wrong


def took(per_cpu_s: float, *, windows: int = 10, said: str = "") -> Took:
    return Took(1_000_000, 4.0, 1_000_000 / per_cpu_s, {"some": "1"}, wrong=said, windows=windows)


def found(**others: Any) -> dict[str, Any]:
    parts = {
        name: figures([took(rate)])
        for name, rate in {
            "weir": 500_000,
            "raw": 1_000_000,
            "bytewax": 100_000,
            "quix": 50_000,
            "faust": 10_000,
        }.items()
    }
    rest = {"absent": {}, "series": {}, "emission_us": None, "profile_us": None}
    made: dict[str, Any] = parts | rest | {"memory_mb_million_series": None} | others
    return made | {"ratios": ratios(made)}


def test_a_system_is_reported_by_its_medians() -> None:
    told = figures([took(30_000), took(10_000, said="3 too few"), took(20_000)])
    assert (told["events_per_s"], told["events_per_cpu_s"]) == (250_000, 20_000)
    assert told["wrong"] == ["3 too few"]
    assert [run["events_per_cpu_s"] for run in told["runs"]] == [30_000, 10_000, 20_000]
    assert middle([took(30_000), took(10_000)]).per_cpu_s == 10_000


def test_ratios_are_ours_to_theirs_per_cpu_second_and_none_for_the_absent() -> None:
    assert found()["ratios"] == {"raw": 0.5, "bytewax": 5.0, "quix": 10.0, "faust": 50.0}
    assert found(bytewax=None)["ratios"]["bytewax"] is None


def test_goals_that_are_just_reached_are_not_missed() -> None:
    assert missed(found()) == []


@pytest.mark.parametrize(
    ("others", "word"),
    [
        ({"raw": figures([took(1_010_000)])}, "raw consumer"),
        ({"bytewax": figures([took(101_000)])}, "Bytewax"),
        ({"quix": figures([took(63_000)])}, "Quix Streams"),
        ({"faust": figures([took(10_100)])}, "Faust"),
        ({"series": {"10": 100, "1000": 90, "100000": 49}}, "2.0 times as much"),
        ({"memory_mb_million_series": 2_001}, "2,001 MB"),
    ],
)
def test_a_missed_goal_is_named(others: dict[str, Any], word: str) -> None:
    (told,) = missed(found(**others))
    assert word in told


def test_an_observation_costs_what_more_of_them_cost() -> None:
    wide, narrow = took(500_000, windows=100), took(400_000, windows=1_100)
    assert emission_us(wide, narrow) == 500.0
    assert emission_us(wide, wide) is None


def test_the_table_shows_everyone_and_who_is_absent() -> None:
    rows = list(lines(found(faust=None, quix=None, absent={"faust": "no network"})))
    assert rows[0] == ("Weir, observe", "1,000,000", "250,000", "500,000", "")
    assert rows[2] == ("Bytewax", "1,000,000", "250,000", "100,000", "5.00")
    assert rows[3:] == [("Faust", "not measured", "", "", "")]


def test_further_figures_and_lost_events_are_told() -> None:
    told = found(
        series={"1000": 5, "10": 7},
        emission_us=12.5,
        memory={"series": 100, "peak": 50.0, "before": 20.0},
        profile_us={"poll": 0.5, "decode": 1.5},
        raw=figures([took(1, said="its windows count 1 events, not 2")]),
    )
    assert list(further(told)) == [
        "10 series: 7 events per CPU second",
        "1,000 series: 5 events per CPU second",
        "an observation costs 12.5 µs of CPU",
        "100 open series: 50 MiB at most, 20 before",
        "µs of CPU an event: decode 1.50, poll 0.50",
    ]
    assert list(wrong(told)) == [("raw", "its windows count 1 events, not 2")]


def test_a_quick_plan_has_the_same_parts_and_fewer_events() -> None:
    plan = quick(Plan(parts=PARTS[:1], profile=True))
    assert (plan.parts, plan.profile, plan.rounds) == (("peers",), True, 1)
    assert plan.events < Plan().events

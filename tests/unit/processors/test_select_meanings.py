"""What single algorithms of selection look for, with numbers that were worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from processors.selecting import aggregates, learning, planners
from processors.selecting.ensembles import Bound, Candidate, Objective, Place, Problem
from processors.selecting.own import OWN
from processors.selecting.parameters import SelectParams
from processors.selecting.profiles import Series, add
from processors.selecting.state import AppState, SelectState
from schemas.codec import unpack_state
from tests.unit.processors import selecting_cases as c

LABELS = ("cat", "owl")
WANTED = Objective(accuracy=1.0, latency=0.0, cost=0.0, max_members=1, labels=LABELS)


def one(name: str, cat: float = 0.9, owl: float = 0.9, ms: float = 10.0, cost: float = 1.0, *,
        stage: str = "", **nodes: float) -> Candidate:  # fmt: skip
    """Return a candidate by what it gets right of each class, its latency, and that by node."""
    return Candidate(
        service=name,
        stage=stage,
        accuracy=(cat + owl) / 2,
        latency_ms=ms,
        latency_high_ms=ms,
        cost=cost,
        rates=(cat, owl),
        places=tuple(
            Place(place=node, latency_ms=took, latency_high_ms=took) for node, took in nodes.items()
        ),
    )


def best(algorithm: str, *candidates: Candidate, most: int = 1, **told: object) -> tuple[str, ...]:
    """Return whom an algorithm selects."""
    problem = Problem(candidates=candidates, objective=replace(WANTED, max_members=most))
    return OWN[algorithm](replace(problem, **told), 4).ranked[0].services


@pytest.mark.parametrize(
    ("operator", "value"),
    [("max", 0.5), ("min", 0.2), ("sum", 0.7), ("avg", 0.35), ("prod", 0.1), ("rprod", 0.6)],
)
def test_operators_make_one_value_of_those_of_members(operator: str, value: float) -> None:
    members = np.array([[0.2, 0.5, np.nan]])
    assert aggregates.OPERATORS[operator](members) == pytest.approx([value])


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("more", [True, False])
def test_scales_are_clipped(scale: str, more: bool) -> None:
    low, values = (1.0, [0.01, 1.0, 10.0, 100.0, 1e6])
    if scale == "linear":
        low, values = (0.0, [-5.0, 0.0, 50.0, 100.0, 1e6])
    metric = aggregates.Metric("cost", "sum", 1.0, low, 100.0, more, scale, 10.0)
    share = [0.0, 0.0, 0.5, 1.0, 1.0]
    wanted = share if more else [1.0 - s for s in share]
    assert metric.scaled(np.array(values)) == pytest.approx(wanted)


def test_metrics_of_a_policy_decide_whom_the_operators_select() -> None:
    several = (one("a", owl=0.5, cost=9.0), one("b", owl=0.7, cost=5.0), one("c", owl=0.6, cost=1))
    misses = {"metric.miss.owl": "prod 1 0.0001 1 min log"}
    assert best("aggregate", *several, most=2, told=misses) == ("b", "c")
    cost = {"metric.cost": "sum 1 0 100 min linear"}
    assert best("aggregate", *several, most=2, told=cost) == ("c",)
    both = {"metric.cost": "sum 0.1 0 100 min linear", "metric.miss.owl": "min 1 0 1 min linear"}
    assert best("aggregate", *several, most=2, told=both) == ("b",)


def test_confidence_is_raised_where_the_present_ensemble_is_surest() -> None:
    cats, owls = one("cats", 0.95, 0.1), one("owls", 0.2, 0.99)
    present = one("present", 0.9, 0.5), one("other", 0.5, 0.9)
    everybody = (cats, owls, *present)
    assert best("confidence", *everybody, present=("present",)) == ("cats",)
    assert best("confidence", *everybody, present=("other",)) == ("owls",)
    assert best("accuracy", *everybody, present=("present",)) == ("other",)


def test_generalisation_looks_at_the_worst_classes() -> None:
    even, star = one("even", 0.7, 0.7), one("star", 0.99, 0.5)
    assert best("generalisation", even, star) == ("even",)
    assert best("accuracy", even, star) == ("star",)


def test_greedy_grows_to_what_is_promised_and_prunes_who_is_needless() -> None:
    promised = replace(
        WANTED, cost=0.5, accuracy=0.5, max_members=3, bounds=(Bound("accuracy", 0.95, "right"),)
    )
    quick, sure, more = (one("quick", 0.97, 0.97), one("sure", 0.98, 0.98, 50.0), one("more"))
    found = OWN["greedy"](Problem(candidates=(quick, sure, more), objective=promised), 4)
    assert found.ranked[0].services == ("quick",), "enough is enough"
    poor, strong = one("poor", 0.55, 0.55, 1.0), one("strong", 0.97, 0.97, 60.0)
    found = OWN["greedy"](Problem(candidates=(poor, strong), objective=promised), 4)
    grown = [scored.services for scored in found.ranked]
    assert grown[0] == ("strong",), "poor came first, and nobody needs it now"
    assert ("poor", "strong") in grown
    assert ("poor",) in grown


@pytest.mark.parametrize("name", ["dream", "llf"])
def test_a_list_plan_takes_the_most_accurate_that_ends_in_time(name: str) -> None:
    slow, fast = one("slow", 0.99, 0.99, 20.0), one("fast", 0.8, 0.8, 10.0)
    assert best(name, slow, fast, budget_ms=25.0) == ("slow",)
    assert best(name, slow, fast, budget_ms=15.0) == ("fast",)
    assert best(name, slow, fast, budget_ms=5.0) == ("fast",), "somebody has to"


@pytest.mark.parametrize("name", ["dream", "llf"])
def test_members_on_one_node_wait_for_each_other_and_go_elsewhere_where_that_is_quicker(
    name: str,
) -> None:
    find = one("find", stage="find", edge=30.0)
    near, far = one("name", stage="name", edge=10.0), one("name", stage="name", edge=10.0, hall=35)
    for other, node, ends in ((near, "edge", 40.0), (far, "hall", 35.0)):
        problem = Problem(
            candidates=(find, other), objective=replace(WANTED, max_members=2), budget_ms=50.0
        )
        plan = OWN[name](problem, 1).ranked[0]
        orders = dict(zip(plan.services, zip(plan.places, plan.orders, strict=True), strict=True))
        if name == "dream" and node == "hall":
            assert orders == {"name": ("edge", 0), "find": ("edge", 1)}, "where it is far quicker"
            continue
        assert orders == {"find": ("edge", 0), "name": (node, 1)}, "the longest has least laxity"
        assert plan.latency_high_ms == ends


def test_adaptive_shares_the_time_out_and_lays_stages_into_phases() -> None:
    candidates = (
        one("quick", ms=10.0, stage="see"),
        one("slow", ms=60.0, stage="see"),
        one("hear", ms=20.0, stage="hear"),
    )
    told = {"fraction.see": "0.25"}
    problem = Problem(candidates=candidates, objective=WANTED, budget_ms=100.0, told=told)
    assert planners.allocation(problem) == {"see": 25.0, "hear": 20.0}
    least = replace(problem, told={"fraction.see": "0.01"})
    assert planners.allocation(least)["see"] == 10.0, "nobody is quicker"
    times = {"a": 10.0, "b": 20.0, "c": 40.0}
    assert planners.phases_of(times, 100.0) == {"a": 0, "b": 1, "c": 2}
    assert planners.phases_of(times, 60.0) == {"a": 0, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("mean", "count", "told"),
    [
        (20.0, 40, "100% later than planned: 20.0 ms"),
        (5.0, 40, "50% earlier than planned: 5.0 ms"),
        (12.0, 40, ""),
        (20.0, 19, ""),
    ],
)
def test_answers_off_the_plan_are_told(mean: float, count: int, told: str) -> None:
    seen = add(Series(), c.observation("response_latency", c.T0 + 1, mean, count=count), 10)
    state = AppState(app=c.APP, selected_at=c.T0, promised_ms=10.0, responses=seen)
    assert learning.off_plan(state).endswith(told)
    assert bool(learning.off_plan(state)) == bool(told)


@pytest.mark.parametrize("name", ["adaptive", "greedy"])
def test_only_adaptive_plans_again_when_answers_come_late(name: str) -> None:
    of = c.World(None, c.contract(algorithm=name))
    of.seconds(3)
    before = planned_at(of)
    of.now += 1_000
    of.feed(c.observation("response_latency", of.now - 1_000, 150.0))
    of.now += 1_000
    of.feed()
    assert (planned_at(of) > before) == (name == "adaptive")


def planned_at(of: c.World) -> int:
    (state,) = unpack_state(of.processor.snapshot(), SelectState).apps
    return state.selected_at


@pytest.mark.parametrize("least", [0.01, 10.0])
def test_what_gains_too_little_changes_nothing(least: float) -> None:
    of = c.World(SelectParams(min_gain=least), c.contract())
    of.seconds(3)
    before = of.members
    of.accuracy = c.BLURRED
    of.feed(c.drift(of.members[0], of.now - 1_000))
    of.seconds(15)
    assert (of.members == before) == (least > 1)
    assert ("would gain" in of.ensembles[-1].reason) == (least > 1)

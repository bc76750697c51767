"""What requests say of their circumstances: kept by service, drawn, predicted, and selected for."""

from dataclasses import replace

import numpy as np
import pytest

from processors.selecting import staged
from processors.selecting.ensembles import Bound, Candidate, Objective, Problem
from processors.selecting.estimating import candidates_of, evidence_of, under
from processors.selecting.own import OWN
from processors.selecting.profiles import summary
from processors.selecting.rating import partial
from processors.selecting.searching import (
    branch_and_bound,
    evaluated,
    exact,
    subsets,
    tabled,
    upper_bounds,
)
from processors.selecting.state import CONDITIONS, AppState
from processors.selecting.triggers import forget, take
from processors.selecting.voting import sides
from processors.selecting.wishes import bound_of
from processors.selecting.world import AppView, Views
from schemas.registrations import Clause, Weight
from streams import ensembles
from tests.unit.processors import selecting_cases as c

NIGHT = "light=night"
AT_NIGHT = f"accuracy.condition.{NIGHT}"


def observed(*seen: tuple[str, str, int, float], labelled: bool = True) -> AppState:
    """Return what (service, metric, second, share) of 40 results each make of an application."""
    state = AppState(app=c.APP)
    for service, metric, second, share in seen:
        take(state, c.observation(metric, c.T0 + second * 1000, share, service=service), 30)
    state.labelled = labelled
    return state


def viewed(*objectives: str, **clause: str) -> AppView:
    """Return the application with a contract whose weights are of these objectives."""
    asked = tuple(Weight(objective=name, weight=1.0) for name in objectives)
    clauses = [replace(c.contract().clauses[0], **clause)] if clause else []
    wanted = replace(c.contract(), clauses=tuple(clauses), weights=asked or c.contract().weights)
    view = Views(OWN).of(c.APP, c.World(None, wanted).catalogue, c.T0)
    assert view is not None
    return view


def candidates(state: AppState, view: AppView) -> dict[str, Candidate]:
    evidence = [evidence_of(state, s.service, 0) for s in view.services]
    return {one.service: one for one in candidates_of(state, view, view.services, evidence)}


def test_accuracy_and_agreement_are_kept_by_condition_and_forgotten_with_their_concept() -> None:
    state = observed(
        ("svm", AT_NIGHT, 0, 0.5),
        ("svm", AT_NIGHT, 1, 0.7),
        ("svm", f"agreement.condition.{NIGHT}", 0, 0.1),
        ("svm", f"agreement.condition.{NIGHT}", 1, 0.9),
        ("svm", "accuracy.condition.light=day", 1, 1.0),
    )
    known = state.profile("svm").under(NIGHT)
    assert (summary(known.accuracy).count, summary(known.accuracy).mean) == (80, pytest.approx(0.6))
    assert summary(known.agreement).mean == 0.5
    assert summary(state.profile("svm").under("light=dusk").accuracy).count == 0
    forget(state, c.T0 + 1000)
    assert summary(state.profile("svm").under(NIGHT).accuracy).count == 80, "nothing is known since"
    take(state, c.observation("accuracy", c.T0 + 1000, 0.9, service="svm"), 30)
    forget(state, c.T0 + 1000)
    known = state.profile("svm").under(NIGHT)
    assert (summary(known.accuracy).count, summary(known.agreement).mean) == (40, 0.9)


def test_of_too_many_conditions_those_seen_last_are_known() -> None:
    names = [f"camera={number:03}" for number in range(CONDITIONS + 5)]
    seen = [("svm", f"accuracy.condition.{name}", at, 0.9) for at, name in enumerate(names)]
    again = ("svm", f"agreement.condition.{names[0]}", len(names), 0.9)
    state = observed(*seen[:CONDITIONS], again, *seen[CONDITIONS:])
    kept = [one.condition for one in state.profile("svm").conditions]
    assert kept == [names[0], *names[6:]]
    state = observed(*(("svm", AT_NIGHT, at, 0.9) for at in range(50)))
    assert len(state.profile("svm").under(NIGHT).accuracy.spans) == 6


def test_few_answers_under_a_condition_say_little_and_none_say_what_holds_over_all() -> None:
    seen = [("svm", "accuracy", at, 0.9) for at in range(10)]
    state, view = observed(*seen, ("svm", AT_NIGHT, 1, 0.5)), viewed(AT_NIGHT)
    svm, tree = (candidates(state, view)[name] for name in ("svm", "tree"))
    drawn = (40 * 0.5 + 5 * svm.accuracy) / 45
    assert svm.under == (pytest.approx(drawn),)
    assert under(state, svm, NIGHT).error == pytest.approx((drawn * (1 - drawn) / 45) ** 0.5)
    assert tree.under == (pytest.approx(tree.accuracy),)
    nothing = under(state, tree, NIGHT)
    assert (nothing.count, nothing.error) == (0, pytest.approx((0.86 * 0.14 / 5) ** 0.5))
    assert candidates(state, viewed())["svm"].under == ()
    state.since = c.T0 + 5_000
    svm = candidates(state, view)["svm"]
    assert svm.under == (pytest.approx(svm.accuracy),), "that night was of another concept"


def test_without_the_truth_agreement_under_the_condition_counts_for_a_quarter() -> None:
    agreed = ("svm", f"agreement.condition.{NIGHT}", 1, 0.5)
    state = observed(agreed, labelled=False)
    svm = candidates(state, viewed(AT_NIGHT))["svm"]
    assert svm.under == (pytest.approx((10 * 0.5 + 5 * svm.accuracy) / 15),)
    judged = observed(agreed)
    assert candidates(judged, viewed(AT_NIGHT))["svm"].under == (pytest.approx(0.98),)


def test_clauses_and_weights_name_conditions() -> None:
    view = viewed(AT_NIGHT, "accuracy", metric="accuracy.condition.camera=3")
    assert view.asked_under == ((NIGHT, 0.5),)
    assert view.asked == ()
    assert view.conditions == (NIGHT, "camera=3")
    (bound,) = view.bounds
    assert (bound.what, bound.threshold) == ("accuracy.condition.camera=3", 0.8)
    most = Clause(name="x", metric=AT_NIGHT, statistic="mean", operator="<=", threshold=0.5,
                  window_ms=1)  # fmt: skip
    assert bound_of(most) is None


def member(name: str, right: float, night: float, **more: float) -> Candidate:
    return Candidate(
        service=name,
        stage="",
        accuracy=right,
        latency_ms=1.0,
        latency_high_ms=1.0,
        cost=more.get("cost", 1.0),
        under=(night,),
    )


DAY, OWL, BAT = member("day", 0.9, 0.5), member("owl", 0.8, 0.9), member("bat", 0.7, 0.8)
WANTED = Objective(
    accuracy=0.0,
    latency=0.0,
    cost=0.0,
    asked_under=((NIGHT, 1.0),),
    conditions=(NIGHT,),
    max_members=3,
)


def test_a_vote_under_a_condition_is_predicted_with_the_weights_that_hold_over_all() -> None:
    table = tabled((DAY, OWL, BAT), WANTED)
    rows = subsets(3, 1, 3)
    told = partial(AT_NIGHT, table.votes(rows), WANTED)
    for row, value in zip(rows, told, strict=True):
        chosen = [table.candidates[n] for n in row if n < 3]
        night = np.array([[one.under[0] for one in chosen]])
        weights = np.array([[table.weights[table.candidates.index(one)] for one in chosen]])
        assert value == pytest.approx(sides(night, weights, WANTED.correlation)[0])
    alone = {one.service: evaluated([one], WANTED) for one in (DAY, OWL)}
    assert [alone["day"].parts[0].value, alone["owl"].parts[0].value] == [0.5, 0.9]
    assert alone["owl"].parts[0].objective == AT_NIGHT
    pair = evaluated([DAY, OWL], WANTED)
    assert pair.parts[0].value == pytest.approx(0.5), "whose vote weighs more answers at night, too"


@pytest.mark.parametrize("algorithm", ["weir", "exact", "weighted", "branch-and-bound"])
def test_who_is_better_under_the_condition_is_selected_although_worse_over_all(
    algorithm: str,
) -> None:
    wanted = replace(WANTED, max_members=1)
    ranked = OWN[algorithm](Problem(candidates=(DAY, OWL, BAT), objective=wanted), 3).ranked
    assert ranked[0].services == ("owl",)
    plain = replace(wanted, accuracy=1.0, asked_under=(), conditions=())
    ranked = OWN[algorithm](Problem(candidates=(DAY, OWL, BAT), objective=plain), 3).ranked
    assert ranked[0].services == ("day",)


def test_a_clause_under_a_condition_is_met_or_told_as_not_met() -> None:
    bound = Bound(AT_NIGHT, 0.85, "desk/night")
    wanted = replace(WANTED, asked_under=(), accuracy=1.0, max_members=1, bounds=(bound,))
    found = exact(tabled((DAY, OWL, BAT), wanted), 3).ranked
    assert (found[0].services, found[0].unmet) == (("owl",), ())
    (missed,) = evaluated([DAY], wanted).unmet
    assert (missed.clause, missed.predicted) == ("desk/night", 0.5)


def test_branches_that_may_be_good_at_night_are_not_cut() -> None:
    dice = np.random.default_rng(5)
    some = tuple(member(f"s{n}", *dice.uniform(0.55, 0.95, 2)) for n in range(9))
    table = tabled(some, WANTED)
    found = branch_and_bound(table, 1)
    assert found.ranked[0].value == pytest.approx(exact(table, 1).ranked[0].value)
    assert found.gap == 0.0
    order = np.argsort(-table.accuracy[:9])
    (most,) = upper_bounds(table, np.full((1, 3), 9), order, np.full(1, -1))
    assert most >= found.ranked[0].value


def test_stages_are_right_together_under_a_condition() -> None:
    first = [replace(one, stage="look") for one in (DAY, OWL)]
    last = [replace(one, service=f"{one.service} 2", stage="name") for one in (DAY, OWL)]
    bounds = (Bound(AT_NIGHT, 0.8, "desk/night"),)
    wanted = replace(WANTED, asked_under=(), accuracy=1.0, max_members=1, bounds=bounds)
    after = {"name": ("look",)}
    problem = Problem(candidates=(*first, *last), objective=wanted, after=after)
    found = staged.by_stage(OWN["weir"], problem, 1)
    assert (found.ranked[0].services, found.ranked[0].unmet) == (("owl", "owl 2"), ())
    (missed,) = staged.present(problem, ("day", "day 2")).unmet
    assert missed.predicted == pytest.approx(0.25)


def test_profiles_are_told_by_condition_with_how_sure_they_are() -> None:
    seen = [
        c.observation(AT_NIGHT, c.T0, 0.5, service="svm"),
        c.observation(f"agreement.condition.{NIGHT}", c.T0, 0.75, service="svm"),
        c.observation("accuracy", c.T0, 0.9, service="svm"),
    ]
    rows = ensembles.conditioned(viewed("accuracy.condition.light=day"), seen)
    found = {(row["service"], row["condition"]): row for row in rows}
    assert len(found) == len(rows) == 2 * len(c.DECLARED)
    svm = found["svm", NIGHT]
    over_all = (40 * 0.9 + 30 * 0.98) / 70
    right = (40 * 0.5 + 5 * over_all) / 45
    assert (svm["accuracy"], svm["judged"], svm["compared"]) == (pytest.approx(right), 40, 40)
    assert svm["error"] == pytest.approx((right * (1 - right) / 45) ** 0.5)
    assert svm["agreement"] == 0.75
    assert svm["agreement_error"] == pytest.approx((0.75 * 0.25 / 40) ** 0.5)
    unseen = found["tree", "light=day"]
    assert (unseen["judged"], unseen["agreement"], unseen["agreement_error"]) == (0, None, None)
    assert unseen["accuracy"] == pytest.approx(0.86)
    assert unseen["error"] > 2 * svm["error"]

"""select: by which algorithm, for whom, pinned by whom, explained by whom, and what it cannot."""

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from processors.errors import InvalidParameters
from processors.selecting import staged
from processors.selecting.ensembles import Objective, Problem
from processors.selecting.laws import broken_by, candidates, problems
from processors.selecting.own import OWN, PLANNERS, algorithms
from processors.selecting.parameters import SelectParams
from processors.selecting.selection import spec
from processors.selecting.state import SelectState
from schemas.codec import unpack_state
from schemas.decisions import ActionTaken, EnsembleSelected
from schemas.graphs import Stage
from schemas.records import KeyValue
from schemas.registrations import ConsumerRegistered, PolicySelected, Weight
from schemas.topics import key_of
from tests.unit.processors import selecting_cases as c
from tests.unit.processors.selecting_cases import World


def policy(scope: str = f"select/{c.APP}", algorithm: str = "", **told: str) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component="select",
        algorithm=algorithm,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
        selected_at=c.T0,
        event_id=f"{scope}-{algorithm}-{sorted(told.items())}",
    )


def world(*more: Any, params: SelectParams | None = None) -> World:
    made = World(params, c.contract(), *more)
    made.seconds(3)
    return made


def refusals(of: World) -> list[ActionTaken]:
    return [event for event in of.out if isinstance(event, ActionTaken)]


@pytest.mark.parametrize("name", OWN)
def test_an_algorithm_keeps_the_laws(name: str) -> None:
    assert broken_by(OWN[name]) == []


def test_an_algorithm_that_ranks_strangers_or_too_many_breaks_the_laws() -> None:
    class Greedy:
        def rank(self, problem: Any) -> list[list[str]]:
            return [[candidate.service for candidate in problem.candidates]]

    several = algorithms({"greedy of others": Greedy()})
    with pytest.raises(Exception, match="1 to 3 members"):
        broken_by(several["greedy of others"])


def test_a_policy_changes_the_algorithm_while_it_runs() -> None:
    of = world()
    first = of.ensembles[-1]
    assert first.algorithm == "weir"
    of.register(policy(algorithm="accuracy"))
    of.seconds(3)
    assert of.ensembles[-1].algorithm == "accuracy"
    assert of.members == ("forest", "mlp", "svm")
    of.register(policy(algorithm="exact"))
    of.seconds(3)
    assert of.members == tuple(m.service for m in first.members)


@pytest.mark.parametrize("name", OWN)
def test_every_algorithm_selects_for_an_application(name: str) -> None:
    of = World(None, c.contract(algorithm=name))
    of.seconds(3)
    assert of.ensembles[0].algorithm == name
    assert 1 <= len(of.members) <= 3
    assert not refusals(of)


def test_the_application_names_an_algorithm_that_its_contract_may_overrule() -> None:
    of = World(None, c.contract())
    of.register(replace(c.application(), algorithm="greedy"))
    of.seconds(3)
    assert of.ensembles[-1].algorithm == "greedy"
    of.register(c.contract(algorithm="llf"))
    of.seconds(3)
    assert of.ensembles[-1].algorithm == "llf"


def test_an_algorithm_that_nobody_knows_is_refused_once_and_the_next_one_named_serves() -> None:
    of = world(policy(algorithm="astrology"), policy("select", "greedy"))
    of.seconds(10)
    assert of.ensembles[-1].algorithm == "greedy"
    (refused,) = refusals(of)
    assert refused.kind == "policy.refused"
    assert "no algorithm 'astrology'" in refused.reason


def test_a_parameter_that_makes_no_sense_is_told_and_weirs_own_selects() -> None:
    of = world(policy(algorithm="aggregate", **{"metric.cost": "sum heavy"}))
    assert of.members
    (failed,) = refusals(of)
    assert failed.kind == "selector.failed"
    assert "metric.cost" in failed.reason


def test_a_selector_of_others_is_asked_and_when_it_fails_weirs_own_selects() -> None:
    class Dearest:
        def rank(self, problem: Any) -> list[list[str]]:
            return [[max(problem.candidates, key=lambda one: one.cost).service]]

    class Broken:
        def rank(self, problem: Any) -> list[list[str]]:
            return [["nobody"] for _ in problem.candidates]

    of = World(None, c.contract(), policy(algorithm="dearest"))
    of.processor = spec(plugins={"dearest": Dearest(), "broken": Broken()}).build(c.PARTITION)
    of.seconds(3)
    assert set(of.members) <= {"svm", "mlp"}
    of.register(policy(algorithm="broken"))
    of.seconds(3)
    assert of.ensembles[-1].algorithm == "weir"
    assert "'nobody' is no candidate" in refusals(of)[-1].reason


def test_what_a_person_pins_serves_until_it_is_let_go() -> None:
    of = world(policy(members="bayes, tree"))
    assert of.members == ("bayes", "tree")
    pinned = of.ensembles[-1]
    assert pinned.pinned
    assert pinned.alternatives
    of.accuracy = c.BLURRED
    of.feed(c.drift("tree", of.now - 1000))
    of.seconds(20)
    assert of.members == ("bayes", "tree")
    assert not of.shadows
    of.register(policy())
    of.seconds(30)
    assert not of.ensembles[-1].pinned
    assert "svm" in of.members


def test_a_service_that_there_is_not_cannot_be_pinned() -> None:
    of = world(policy(members="svm,ghost"))
    assert set(of.members) <= {"svm", "mlp"}
    assert "ghost is pinned" in refusals(of)[0].reason


def test_a_contract_that_none_meets_is_told_clause_by_clause_and_how_close() -> None:
    of = World(None, c.contract(threshold=0.999))
    of.seconds(3)
    (unmet,) = of.ensembles[-1].unmet
    assert unmet.clause == "desk/right"
    assert unmet.threshold == 0.999
    assert 0.97 < unmet.predicted < 0.999
    assert "not desk/right" in of.ensembles[-1].reason


def test_the_score_is_told_part_by_part() -> None:
    ensemble = world().ensembles[-1]
    parts = {part.objective: part for part in ensemble.scores}
    assert set(parts) == {"accuracy", "latency", "cost"}
    assert parts["cost"].weight == pytest.approx(0.4)
    total = sum(part.weight * part.scaled for part in parts.values())
    assert ensemble.score <= total <= ensemble.score * 1.34


def test_a_consumer_with_a_contract_of_its_own_gets_an_ensemble_of_its_own() -> None:
    shares = (Weight(objective="accuracy", weight=1.0),)
    clinic = replace(c.contract(), contract="clinic", consumer="clinic", weights=shares)
    of = world(clinic)
    ours = {key_of(one): one for one in of.ensembles}
    assert set(ours) == {c.APP, f"{c.APP}/clinic"}
    cheap, careful = ours[c.APP], ours[f"{c.APP}/clinic"]
    assert careful.predicted_accuracy > cheap.predicted_accuracy
    assert {s for s, n in of.demands.items() if n} == {
        member.service for one in (cheap, careful) for member in one.members
    }
    of.remove(clinic)
    of.seconds(3)
    last = [e for e in of.ensembles if e.consumer][-1]
    assert last.members == ()
    assert last.generation == careful.generation + 1


def test_a_member_that_explains_joins_beyond_the_size_for_who_wants_it() -> None:
    named = (KeyValue(key="WEIR_EXPLAINABLE", value="true"),)
    of = world(policy(size="1"), c.service("bayes", environment=named, accuracy=0.4))
    assert of.roles("explain") == ()
    of.register(c.contract(explainable=True))
    of.seconds(4)
    assert len(of.members) == 1
    assert of.roles("explain") == ("bayes",)
    assert of.demands["bayes"] == 1


def test_a_consumer_that_is_registered_to_have_answers_explained_gets_that_member() -> None:
    named = (KeyValue(key="WEIR_EXPLAINABLE", value="true"),)
    clinic = replace(c.contract(), contract="clinic", consumer="clinic")
    known = ConsumerRegistered(
        consumer="clinic", explainable=True, registered_at=c.T0, event_id="registered-clinic"
    )
    of = world(clinic, known, c.service("bayes", environment=named, accuracy=0.4))
    roles = {one.consumer: [m.role for m in one.members] for one in of.ensembles}
    assert "explain" in roles["clinic"]
    assert "explain" not in roles[""]


def on_trial(*more: Any) -> World:
    """Return a world whose trial has just begun, nobody judged; bayes is able to explain."""
    named = (KeyValue(key="WEIR_EXPLAINABLE", value="true"),)
    of = world(policy(size="1"), c.service("bayes", environment=named, accuracy=0.4), *more)
    of.accuracy = c.BLURRED
    of.feed(c.drift(of.members[0], of.now))
    assert of.shadows
    return of


def test_who_explains_joins_while_it_is_on_trial_and_is_tried_on() -> None:
    of = on_trial()
    assert "bayes" in of.shadows
    before, tried = of.members, of.shadows
    of.register(c.contract(explainable=True))
    of.now += 500
    of.feed()
    assert (of.members, of.roles("explain"), of.shadows) == (before, ("bayes",), tried)
    assert of.demands["bayes"] == 1
    assert "bayes joins to explain" in of.ensembles[-1].reason
    of.seconds(10)
    assert sum("joins to explain" in one.reason for one in of.ensembles) == 1
    assert (of.shadows, of.roles("explain")) == ((), ("bayes",))


def test_who_explains_can_prove_itself_like_any_other() -> None:
    of = on_trial(c.contract(explainable=True))
    assert of.roles("explain") == ("bayes",)
    assert "bayes" in of.shadows
    of.accuracy = {**c.BLURRED, "bayes": 0.99}
    of.seconds(12)
    assert (of.members, of.roles("explain"), of.shadows) == (("bayes",), (), ())


def test_what_a_contract_asks_for_during_a_trial_is_heeded_before_its_end() -> None:
    patient = SelectParams(trial_min=600, trial_ms=60_000)
    of = world(policy(size="1"), params=patient)
    of.accuracy = c.BLURRED
    of.feed(c.drift(of.members[0], of.now))
    of.seconds(8)
    tried, before = of.shadows, len(of.ensembles)
    assert tried
    whatever_it_costs = Weight(objective="accuracy", weight=1.0)
    of.register(c.contract(clauses=(), weights=(whatever_it_costs,)))
    of.seconds(2)
    changed = of.ensembles[before]
    assert of.members == ("svm",)
    assert changed.reason.startswith("the application, its services or its contract changed")
    assert "awaited still" in changed.reason
    assert set(of.shadows) == set(c.DECLARED) - {"svm"}


def test_an_explorer_draws_again_when_it_saw_something() -> None:
    params = SelectParams(explore_ms=4_000)
    of = World(params, c.contract(algorithm="thompson"))
    of.accuracy = c.BLURRED
    of.seconds(60)
    assert len(of.ensembles) > 2
    assert set(of.members) <= {"svm", "mlp"}


def test_exp3_learns_who_costs_least() -> None:
    of = World(SelectParams(explore_ms=2_000), c.contract(algorithm="exp3", max_members=1))
    of.accuracy = {name: 0.98 if name == "mlp" else 0.30 for name in c.DECLARED}
    of.seconds(240)
    late = [e.members[0].service for e in of.ensembles[-20:]]
    assert late.count("mlp") >= 10


def test_class_weights_follow_what_was_observed_of_classes() -> None:
    asked = (Weight(objective="accuracy.class.3", weight=1.0),)
    of = World(None, c.contract(weights=asked))
    of.seconds(3)
    start = of.now
    of.now += 1000
    rates = {"tree": 0.2, "bayes": 0.99, "mlp": 0.5, "forest": 0.4, "svm": 0.3}
    of.feed(
        *(
            c.observation(
                f"accuracy.class.{label}", start, rate if label == "3" else 0.9, service=s
            )
            for s, rate in rates.items()
            for label in ("3", "8")
        )
    )
    of.register(c.contract(weights=asked, max_members=2))
    of.seconds(3)
    assert "bayes" in of.members
    best = next(m for m in of.ensembles[-1].members if m.service == "bayes")
    heard = {one.label: one.weight for one in best.class_weights}
    assert heard["3"] > heard["8"]


def test_a_restart_keeps_what_exploring_has_learned() -> None:
    made = [World(SelectParams(explore_ms=2_000), c.contract(algorithm="exp3")) for _ in range(2)]
    for of in made:
        of.seconds(11)
    again = spec(SelectParams(explore_ms=2_000)).build(c.PARTITION)
    again.restore(made[1].processor.snapshot())
    made[1].processor = again
    for of in made:
        of.seconds(11)
    assert made[0].out == made[1].out


def test_the_problems_of_the_suite_differ() -> None:
    assert len({repr(problem) for problem in problems().values()}) == len(problems())


def test_selections_can_be_sent() -> None:
    assert all(isinstance(e, EnsembleSelected) for e in world().ensembles)


def staged_world(
    *more: Any,
    first: tuple[str, ...] = ("bayes", "tree"),
    second: tuple[str, ...] = ("mlp", "forest", "svm"),
    **told: Any,
) -> World:
    """Return an application of two stages, of which the second reads the first's answers."""
    stages = (
        Stage(stage="find", stage_id="find", services=first),
        Stage(stage="name", stage_id="name", services=second, inputs=("find",)),
    )
    finders = [c.service(name, latency_ms=10.0) for name in first]
    of = World(None, c.contract(**told), *more)
    of.register(replace(c.application(), stages=stages))
    of.register(*(replace(one, stage="find") for one in finders))
    of.register(*(replace(c.service(name), stage="name") for name in second))
    of.seconds(4)
    return of


def test_every_stage_of_a_graph_gets_an_ensemble_and_predictions_are_those_of_the_way() -> None:
    of = staged_world()
    ensemble = of.ensembles[-1]
    assert {m.stage for m in ensemble.members} == {"find", "name"}
    assert ensemble.predicted_latency_ms == pytest.approx(10.0 + 5.0 + 12.0)  # and the way
    best = max(c.DECLARED.values()) * c.DECLARED["bayes"]
    assert ensemble.predicted_accuracy <= best + 0.03


@pytest.mark.parametrize("most", [1, 3, 4])
@pytest.mark.parametrize("stages", [2, 3])
@pytest.mark.parametrize("name", PLANNERS)
def test_a_plan_has_somebody_for_every_stage_and_no_more_members_than_are_allowed(
    name: str, stages: int, most: int
) -> None:
    of = problems()["many candidates"]
    spread = tuple(replace(c, stage=f"s{n % stages}") for n, c in enumerate(of.candidates))
    objective = replace(of.objective, max_members=most)
    for after in ({}, {"s1": ("s0",)}):
        told = replace(
            of, candidates=spread, objective=objective, budget_ms=1e4, after=after, draw=0
        )
        for plan in OWN[name](told, 4).ranked:
            assert len(plan.members) <= max(most, stages)
            assert {member.stage for member in plan.members} == {c.stage for c in spread}


@pytest.mark.parametrize("name", ["accuracy", "greedy", "thompson", "dream", "adaptive"])
def test_other_algorithms_serve_every_stage_too(name: str) -> None:
    of = staged_world(policy(algorithm=name))
    assert {m.stage for m in of.ensembles[-1].members} == {"find", "name"}
    assert not refusals(of)


def test_a_stage_without_a_member_meets_nothing() -> None:
    problem = problems()["stages and nodes"]
    alone = next(one for one in problem.candidates if one.stage == "stage 0")
    assert staged.present(problem, (alone.service,)).value < 0
    assert staged.present(problem, ()).members == ()


def test_shares_of_time_follow_the_longest_way_and_survive_a_circle() -> None:
    problem = problems()["stages and nodes"]
    shares = staged.shares_of(problem)
    assert sum(shares.values()) == pytest.approx(1.0)
    circle = replace(problem, after={"stage 0": ("stage 1",), "stage 1": ("stage 0",)})
    assert all(0 < share <= 1 for share in staged.shares_of(circle).values())


def test_a_plan_with_the_same_members_in_another_order_is_no_other_ensemble() -> None:
    of = staged_world(
        policy(algorithm="adaptive"), first=("svm", "tree"), second=("bayes", "mlp", "forest")
    )
    names = of.members
    before = len(of.ensembles)
    of.feed(c.violation(of.now - 1000))
    of.seconds(30)
    assert set(of.members) == set(names)
    told = [one.reason for one in of.ensembles[before:] if not one.reason.count("trial:")]
    assert told
    assert all("is still the best" in reason for reason in told)


def test_a_consumer_whose_contract_comes_back_gets_an_ensemble_again() -> None:
    clinic = replace(c.contract(), contract="clinic", consumer="clinic")
    of = world(clinic)
    of.remove(clinic)
    of.seconds(2)
    gone = [one for one in of.ensembles if one.consumer][-1]
    assert gone.members == ()
    of.register(gone, clinic)
    of.seconds(3)
    again = [one for one in of.ensembles if one.consumer][-1]
    assert again.members
    assert again.generation == gone.generation + 1


def test_more_ensembles_than_can_be_listed_are_refused() -> None:
    many = Problem(
        candidates=candidates(40),
        objective=Objective(accuracy=1.0, latency=0, cost=0, max_members=9),
    )
    for name in ("exact", "generalisation"):
        labelled = replace(many, objective=replace(many.objective, labels=("cat", "dog")))
        with pytest.raises(InvalidParameters, match="ensembles are too many"):
            OWN[name](labelled, 1)


def test_classes_of_many_ensembles_are_summed_within_bounds() -> None:
    labels = tuple(map(str, range(12)))
    wanted = Objective(accuracy=1.0, latency=0.0, cost=0.0, labels=labels, classes=12)
    many = tuple(replace(one, rates=(one.accuracy,) * 12) for one in candidates(30))
    tracemalloc.start()
    found = OWN["generalisation"](Problem(candidates=many, objective=wanted), 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.ranked[0].members) == 3
    assert peak < 100 << 20


def test_who_only_explains_is_no_vote_that_is_missing_when_correlation_is_learnt() -> None:
    named = (KeyValue(key="WEIR_EXPLAINABLE", value="true"),)
    explains = c.service("bayes", environment=named, accuracy=0.4)
    of = world(policy(members="mlp,forest,svm"), explains, c.contract(explainable=True))
    assert (set(of.members), of.roles("explain")) == ({"mlp", "forest", "svm"}, ("bayes",))
    of.seconds(5)
    of.feed(c.drift("mlp", of.now - 5_000))
    of.seconds(10)
    (state,) = unpack_state(of.processor.snapshot(), SelectState).apps
    assert state.evidence > 0

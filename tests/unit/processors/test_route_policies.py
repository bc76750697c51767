"""Route under pressure: hedging, early answers, fair shares, bad input, explanations."""

from dataclasses import replace

import pytest

from processors.routing.route import Router, spec
from processors.routing.votes import COMBINERS, CombinerFailed, Verdict
from schemas.decisions import Alternative, ClassWeight, DeadLetter, EnsembleMember, ScorePart
from schemas.graphs import Stage, TensorSpec
from schemas.inference import InferenceResponse
from schemas.processing import Directed, Output
from schemas.records import KeyValue, Tensor
from schemas.registrations import Clause, ContractRegistered
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import T0, World, responses, result, tasks

TAKES = Stage(
    stage="classify",
    stage_id="s",
    services=("a",),
    takes=(TensorSpec(name="x", dtype="float32", shape=(2,)),),
)


def only(outputs: list[Output]) -> InferenceResponse:
    (answer,) = responses(outputs)
    return answer


def _hedging(**params: object) -> World:
    return World(
        w.catalogue(
            w.application(),
            w.service("a", latency_ms=10.0),
            w.instance("a", "n1"),
            w.instance("a", "n2"),
            w.ensemble({"a": 1.0}),
        ),
        check_ms=1_000,
        **params,
    )


def test_a_straggler_is_hedged_at_another_instance_within_an_allowance() -> None:
    world = _hedging(hedge_percent=50)
    first = [tasks(world.step(n, w.request(n)))[0] for n in (0, 1, 2)]
    (second,) = tasks(world.step(20))
    assert (second.purpose, second.attempt, second.request_id) == ("hedge", 1, "r0")
    assert second.instance != first[0].instance
    assert not tasks(world.step(25))
    answer = only(world.step(30, result(second, "1")))
    assert (answer.status, answer.members[0].instance) == ("complete", second.instance)
    assert not responses(world.step(31, result(first[0], "1")))


def test_a_hedge_that_fails_leaves_the_first_attempt_open() -> None:
    world = _hedging(hedge_percent=100)
    (first,) = tasks(world.step(0, w.request()))
    (second,) = tasks(world.step(20))
    assert not world.step(21, result(second, status="failed", reason="x"))
    assert only(world.step(22, result(first, "1"))).status == "complete"


def test_an_early_answer_needs_its_quorum_and_a_vote_that_cannot_change() -> None:
    known = w.usual(w.application(quorum=2), w.ensemble({"a": 1.0, "b": 1.0, "c": 1.0}))
    world = World(known)
    asked = tasks(world.step(0, w.request()))
    assert not responses(world.step(1, result(asked[0], "7")))
    answer = only(world.step(2, result(asked[1], "7")))
    assert (answer.label, answer.status, answer.partial) == ("7", "complete", True)
    assert answer.reason is None
    world = World(known)
    asked = tasks(world.step(0, w.request()))
    assert not responses(world.step(1, result(asked[0], "7"), result(asked[1], "8")))


@pytest.mark.parametrize(("weight", "early"), [(1.5, True), (2.5, False)])
def test_an_early_answer_waits_for_who_may_weigh_more_for_another_class(
    weight: float, early: bool
) -> None:
    members = [EnsembleMember(service=s, weight=1.0, role="member") for s in "ab"]
    heavy = (ClassWeight(label="owl", weight=weight),)
    members.append(EnsembleMember(service="c", weight=1.0, role="member", class_weights=heavy))
    chosen = replace(w.ensemble({}), members=tuple(members))  # type: ignore[type-var]  # an ensemble
    world = World(w.usual(w.application(quorum=2), chosen))
    asked = tasks(world.step(0, w.request()))
    answers = responses(world.step(1, *(result(task, "cat") for task in asked[:2])))
    assert bool(answers) == early


def test_members_count_by_class_and_ties_go_to_the_highest_single_weight() -> None:
    chosen = w.ensemble({"a": 1.0, "b": 1.0, "c": 1.0})
    members = (
        EnsembleMember(
            service="a",
            weight=1.0,
            role="active",
            class_weights=(ClassWeight(label="owl", weight=5.0),),
        ),
        EnsembleMember(service="b", weight=1.0, role="active"),
        EnsembleMember(service="c", weight=1.0, role="active"),
    )
    world = World(w.usual(replace(chosen, members=members)))  # type: ignore[type-var]  # an ensemble
    asked = {task.service: task for task in tasks(world.step(0, w.request()))}
    answer = only(
        world.step(
            1, result(asked["b"], "cat"), result(asked["c"], "cat"), result(asked["a"], "owl")
        )
    )
    assert answer.label == "owl"
    assert answer.confidence == pytest.approx(5 / 7)
    assert answer.agreement == pytest.approx(1 / 3)


DISAGREEING = {
    "a": ("owl", 0.55, (0.45, 0.55)),
    "b": ("owl", 0.55, (0.45, 0.55)),
    "c": ("cat", 0.99, (0.99, 0.01)),
}
"""By member: its label, how sure it is, and its probabilities of cat and owl."""
SAID = {
    "weighted_vote": ("owl", 2 / 3),
    "mean": ("cat", (0.45 + 0.45 + 0.99) / 3),
    "stacking": ("owl", (0.55 + 0.55 + 99 * 0.01) / (0.45 + 0.45 + 0.99 + 0.55 + 0.55 + 0.99)),
    "first": ("cat", 0.99),
    "last": ("owl", 0.55),
}
"""By combiner: what they say together; c comes first, and weighs 99 for owls in stacking."""


@pytest.mark.parametrize("where", ["ensemble", "application", "stage"])
@pytest.mark.parametrize("how", COMBINERS)
def test_each_combiner_is_used_wherever_it_is_named(how: str, where: str) -> None:
    stages = (Stage(stage="classify", stage_id="s", services=("a", "b", "c"), combine=how),)
    chosen = w.ensemble(dict.fromkeys("abc", 1.0), combine=how if where == "ensemble" else "first")
    heavy = (ClassWeight(label="owl", weight=99.0),) if how == "stacking" else ()
    members = tuple(  # an ensemble's
        replace(one, class_weights=heavy if one.service == "c" else ())
        for one in chosen.members  # type: ignore[attr-defined]
    )
    app = {
        "ensemble": w.application(),
        "application": w.application(combine=how),
        "stage": w.application(combine="first", stages=stages),
    }[where]
    world = World(w.usual(app, replace(chosen, members=members)))  # type: ignore[type-var]
    asked = {task.service: task for task in tasks(world.step(0, w.request()))}
    came = [
        result(asked[name], label, confidence=sure, scores=scores, classes=("cat", "owl"))
        for name, (label, sure, scores) in ((n, DISAGREEING[n]) for n in "cab")
    ]
    answer = only(world.step(1, *came))
    assert answer.label == SAID[how][0]
    assert answer.confidence == pytest.approx(SAID[how][1])


def test_a_combiner_of_others_is_used_and_its_failure_costs_nobody() -> None:
    def least(votes: object, total: float) -> Verdict:
        return Verdict("least", total / 10)

    def broken(votes: object, total: float) -> Verdict:
        raise CombinerFailed("broken")

    for combiner, label in ((least, "least"), (broken, "7")):
        world = World(w.usual(w.application(combine="theirs")))
        world.router = spec(world.params, {"theirs": combiner}).build(0)  # type: ignore[assignment]
        assert isinstance(world.router, Router)
        asked = tasks(world.step(0, w.request()))
        assert only(world.step(1, *(result(task) for task in asked))).label == label


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (Tensor(name="y", dtype="float32", shape=(2,), data=b"\0" * 8), "input x is missing"),
        (Tensor(name="x", dtype="int32", shape=(2,), data=b"\0" * 8), "int32 where float32"),
        (Tensor(name="x", dtype="float32", shape=(4,), data=b"\0" * 16), "4 where 2 is taken"),
        (
            Tensor(name="x", dtype="float32", shape=(2,), data=b"\0\0\xc0\x7f" + b"\0" * 4),
            "input x: 1 of its 2 values are no finite numbers",
        ),
    ],
)
def test_tensors_that_the_application_does_not_take_are_refused(tensor: Tensor, told: str) -> None:
    known = w.usual(w.application(stages=(TAKES,)))
    answer = only(World(known).step(0, w.request(inputs=(tensor,))))
    assert (answer.status, told in (answer.reason or "")) == ("rejected", True), answer.reason


def test_values_that_are_no_numbers_pass_where_the_application_says_so() -> None:
    bad = Tensor(name="x", dtype="float32", shape=(1,), data=b"\0\0\xc0\x7f")
    allowed = w.application(tags=(KeyValue(key="nan", value="allowed"),))
    assert tasks(World(w.usual(allowed)).step(0, w.request(inputs=(bad,))))


@pytest.mark.parametrize(
    "bad",
    [
        {"confidence": float("nan")},
        {"confidence": 3.0},
        {"scores": (0.5,), "classes": ("7", "8")},
        {"scores": (float("inf"), 0.0), "classes": ("7", "8")},
        {"label": None},
        {"label": "unheard of"},
    ],
)
def test_a_malformed_answer_is_no_vote(bad: dict[str, object]) -> None:
    known = w.usual(w.application(classes=("7", "8")))
    world = World(known)
    asked = tasks(world.step(0, w.request()))
    good = [result(task) for task in asked[1:]]
    answer = only(world.step(1, result(asked[0], **bad), *good))  # type: ignore[arg-type]  # fields of an event
    assert (answer.label, answer.status) == ("7", "partial")
    assert answer.members[0].status == "failed"
    assert answer.members[0].reason.startswith("malformed")


@pytest.mark.parametrize("how", ["weighted_vote", "mean", "stacking", "first"])
def test_scores_of_classes_that_a_model_does_not_name_cost_no_vote(how: str) -> None:
    world = World(w.usual(w.application(combine=how)))
    asked = tasks(world.step(0, w.request()))
    answer = only(world.step(1, *(result(t, scores=(0.1, 0.9)) for t in asked)))
    assert (answer.label, answer.status) == ("7", "complete")
    assert len(answer.scores) == len(answer.classes) < 2


def test_another_request_under_a_taken_id_is_refused_to_its_asker_alone() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request()))
    other = w.request(consumer="lou", reply_to_topic="mine")
    letter, refused = world.step(1, other)
    assert isinstance(letter, DeadLetter)
    assert (letter.error, letter.field) == ("id-taken", "request_id")
    assert isinstance(refused, Directed)
    assert isinstance(refused.event, InferenceResponse)
    assert refused.event.status == "rejected"
    assert only(world.step(2, *(result(task) for task in asked))).status == "complete"
    assert isinstance(world.step(3, w.request(consumer="lou"))[0], DeadLetter)


def test_an_application_whose_services_are_all_down_says_so_at_the_deadline() -> None:
    services = (w.service(name) for name in "ab")
    world = World(w.catalogue(w.application(), *services, w.ensemble({"a": 1.0, "b": 1.0})))
    assert not world.step(0, w.request())
    answer = only(world.step(480))
    assert answer.status == "failed"
    assert answer.reason == "a: no ready instance; b: no ready instance"


def test_room_is_shared_fairly_once_half_of_it_is_taken() -> None:
    kim, lou = w.consumer(share=1.0), w.consumer(consumer="lou", share=3.0)
    world = World(w.usual(kim, lou), max_pending=8)
    world.step(0, *(w.request(n, consumer="lou") for n in range(2)))
    out = world.step(1, *(w.request(10 + n, consumer="kim") for n in range(4)))
    assert [r.request_id for r in responses(out)] == ["r12", "r13"]
    assert "consumer kim has 2 requests pending, its share of 8 is 2" in (
        responses(out)[0].reason or ""
    )
    assert not responses(world.step(2, *(w.request(20 + n, consumer="lou") for n in range(4))))


def test_the_more_important_request_takes_the_place_of_the_least() -> None:
    world = World(w.usual(), max_pending=2)
    world.step(0, w.request(0, priority=1), w.request(1))
    assert [r.request_id for r in responses(world.step(1, w.request(2)))] == ["r2"]
    out = world.step(2, w.request(3, priority=2))
    assert [(r.request_id, r.status) for r in responses(out)] == [("r1", "rejected")]
    assert len(tasks(out)) == 3


def test_a_burst_is_what_the_registration_says() -> None:
    world = World(w.usual(w.consumer(rate_per_s=1.0, burst=3)))
    out = world.step(0, *(w.request(n, consumer="kim") for n in range(5)))
    assert [r.request_id for r in responses(out)] == ["r3", "r4"]


def test_an_explanation_tells_votes_selection_and_clauses() -> None:
    chosen = replace(  # type: ignore[type-var]  # an ensemble
        w.ensemble({"a": 2.0, "b": 1.0}),
        alternatives=(
            Alternative(services=("c",), score=0.5, accuracy=0.8, latency_ms=9.0, cost=1.0),
        ),
        scores=(ScorePart(objective="accuracy", value=0.9, scaled=0.8, weight=1.0),),
    )
    clauses = (
        _clause("quick", "response_latency", "<=", 5.0),
        _clause("sure", "confidence", ">=", 0.5),
        _clause("often", "answered", ">=", 3.0, statistic="count"),
        _clause("member", "latency", "<=", 1.0, service="a"),
    )
    contract = ContractRegistered(
        contract="k",
        consumer="kim",
        app=w.APP,
        owner="",
        clauses=clauses,
        registered_at=T0,
        event_id="k",
    )
    world = World(w.usual(chosen, contract))
    asked = tasks(world.step(0, w.request(contract="k", explain=True)))
    answer = only(world.step(7, *(result(task) for task in asked)))
    assert [(c.clause, c.held, c.observed) for c in answer.clauses] == [
        ("quick", False, 7.0),
        ("sure", True, 1.0),
        ("member", False, 7.0),
    ]
    told = answer.explanation or ""
    for part in (
        "2 of 2 members say 7",
        "a said 7 at 0.90 (weight 2)",
        "selected by enumeration",
        "accuracy 0.8 x 1",
        "runners-up: c 0.5",
        "quick broken (7 where 5 is the bound)",
    ):
        assert part in told, told
    plain = tasks(world.step(10, w.request(1, contract="k", created_at=T0 + 10)))
    quiet = only(world.step(11, *(result(task) for task in plain)))
    assert "runners-up" not in (quiet.explanation or "")
    assert quiet.clauses[0].held


def _clause(
    name: str,
    metric: str,
    operator: str,
    threshold: float,
    statistic: str = "mean",
    service: str = "",
) -> Clause:
    return Clause(
        name=name,
        metric=metric,
        statistic=statistic,
        operator=operator,
        threshold=threshold,
        window_ms=1_000,
        service=service,
    )


def test_an_explainable_member_joins_on_request_only() -> None:
    chosen = w.ensemble({"a": 1.0})
    members = (
        EnsembleMember(service="a", weight=1.0, role="active"),
        EnsembleMember(service="b", weight=1.0, role="explain"),
    )
    world = World(w.usual(replace(chosen, members=members)))  # type: ignore[type-var]  # an ensemble
    assert [t.service for t in tasks(world.step(0, w.request()))] == ["a"]
    more = tasks(world.step(0, w.request(1, explain=True)))
    assert [(t.service, t.purpose) for t in more] == [("a", ""), ("b", "explain")]


def test_a_member_that_explains_is_no_shadow_besides() -> None:
    chosen = w.ensemble({"a": 1.0})
    members = (
        EnsembleMember(service="a", weight=1.0, role="active"),
        EnsembleMember(service="b", weight=1.0, role="explain"),
        EnsembleMember(service="b", weight=0.0, role="shadow"),
    )
    world = World(w.usual(replace(chosen, members=members)))  # type: ignore[type-var]  # an ensemble
    plain = tasks(world.step(0, w.request()))
    assert [(t.service, t.purpose) for t in plain] == [("a", ""), ("b", "shadow")]
    asked = tasks(world.step(0, w.request(1, explain=True)))
    assert [(t.service, t.purpose) for t in asked] == [("a", ""), ("b", "explain")]
    answer = only(world.step(5, *(result(task) for task in asked)))
    assert "a, b were selected by" in (answer.explanation or "")


def test_a_router_that_wakes_late_answers_earlier_for_a_while() -> None:
    world = World(w.usual(), check_ms=10_000)
    world.step(0, w.request())
    assert only(world.step(540)).deadline_met is False
    world.step(541, w.request(1, created_at=T0 + 541, deadline=T0 + 1_041))
    world.restart()
    assert world.router.wake_at() == T0 + 1_041 - 20 - 60
    only(world.step(961))
    world.step(962, w.request(2, created_at=T0 + 962, deadline=T0 + 1_062))
    assert world.router.wake_at() == T0 + 1_062 - 20 - 100 // 4

"""Route over graphs: what begins when, who is asked, which stage gives the answer."""

from collections.abc import Mapping

import numpy as np
import pytest

from schemas.base import Event
from schemas.graphs import Condition, Split, Stage, TensorSpec
from schemas.inference import InferenceResponse, InferenceTask
from schemas.processing import Output
from schemas.records import Tensor
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import T0, World, responses, result, tasks

SPEC = TensorSpec(name="h", dtype="float32", shape=(2,))
HIDDEN = Tensor(name="h", dtype="float32", shape=(2,), data=b"\1" * 8)


def stage(name: str, *services: str, **fields: object) -> Stage:
    known = {"stage": name, "stage_id": name, "services": services}
    return Stage(**known | fields)  # type: ignore[arg-type]


def world(*stages: Stage, more: tuple[Event, ...] = (), **fields: object) -> World:
    """Return a router of an application with these stages and no selection but what `more` has."""
    names = sorted({name for one in stages for name in one.services})
    return World(
        w.catalogue(
            w.application(stages=stages, **fields),
            *(w.service(name) for name in names),
            *(w.instance(name, f"n{number}") for number, name in enumerate(names)),
            w.ensemble({}),
            *more,
        )
    )


def asked(outputs: list[Output]) -> dict[str, InferenceTask]:
    return {task.service: task for task in tasks(outputs)}


def only(outputs: list[Output]) -> InferenceResponse:
    (answer,) = responses(outputs)
    return answer


def test_a_chain_goes_on_with_what_came_before() -> None:
    one = world(
        stage("clean", "p", kind="preprocess", gives=(SPEC,)),
        stage("classify", "a", "b", inputs=("clean",), takes=(SPEC,)),
    )
    first = asked(one.step(0, w.request()))
    assert list(first) == ["p"]
    assert first["p"].inputs == (w.PIXELS,)
    second = asked(one.step(5, result(first["p"], label=None, outputs=(HIDDEN,))))  # type: ignore[arg-type]  # no label
    assert {name: task.inputs for name, task in second.items()} == {"a": (HIDDEN,), "b": (HIDDEN,)}
    answer = only(one.step(9, *(result(task, "3") for task in second.values())))
    assert (answer.label, answer.status, answer.partial, answer.agreement) == (
        "3",
        "complete",
        False,
        1.0,
    )
    assert [(s.stage, s.status, s.started_ms, s.latency_ms) for s in answer.stages] == [
        ("clean", "answered", 0, 5),
        ("classify", "answered", 5, 4),
    ]
    assert [(m.stage, m.service) for m in answer.members] == [
        ("clean", "p"),
        ("classify", "a"),
        ("classify", "b"),
    ]


def test_a_stage_that_gives_other_tensors_than_are_taken_fails_what_needs_them() -> None:
    one = world(
        stage("clean", "p", kind="preprocess"), stage("last", "a", inputs=("clean",), takes=(SPEC,))
    )
    first = asked(one.step(0, w.request()))
    answer = only(one.step(5, result(first["p"], "whatever")))
    assert (answer.status, answer.label, answer.partial) == ("partial", "whatever", True)
    assert answer.reason == "stage last: nobody gave h"


def test_modalities_run_side_by_side_and_join() -> None:
    sound = TensorSpec(name="s", dtype="float32", shape=(2,))
    one = world(
        stage("see", "a", modality="image", gives=(SPEC,)),
        stage("hear", "b", modality="audio", gives=(sound,), takes=(sound,)),
        stage("join", "c", inputs=("see", "hear"), takes=(SPEC, sound)),
    )
    voice = Tensor(name="s", dtype="float32", shape=(2,), data=b"\0" * 8)
    both = asked(one.step(0, w.request(inputs=(w.PIXELS, voice))))
    assert both["b"].inputs == (voice,)
    scored = result(both["a"], "x", scores=(0.25, 0.75), classes=("x", "y"))
    assert not one.step(1, scored)
    joined = asked(one.step(2, result(both["b"], label=None, outputs=(voice,))))  # type: ignore[arg-type]  # no label
    assert [tensor.name for tensor in joined["c"].inputs] == ["h", "s"]
    passed = np.frombuffer(joined["c"].inputs[0].data or b"", np.float32)
    assert passed.tolist() == [0.25, 0.75]
    assert only(one.step(3, result(joined["c"], "z"))).label == "z"


def condition(
    on: str, operator: str, threshold: float = 0.0, labels: tuple[str, ...] = ()
) -> Condition:
    return Condition(stage="one", on=on, operator=operator, threshold=threshold, labels=labels)


CHECKS: Mapping[str, tuple[Condition, float, bool]] = {
    "sure": (condition("confidence", "<", 0.8), 0.9, False),
    "unsure": (condition("confidence", "<", 0.8), 0.5, True),
    "label": (condition("label", "in", labels=("x",)), 0.9, True),
    "other": (condition("label", "not_in", labels=("x",)), 0.9, False),
    "agreed": (condition("agreement", "<", 1.0), 0.9, False),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_condition_decides_whether_a_stage_runs_and_who_answers(name: str) -> None:
    asks, sure, runs = CHECKS[name]
    one = world(stage("one", "a", combine="first"), stage("two", "b", conditions=(asks,)))
    first = asked(one.step(0, w.request()))
    assert list(first) == ["a"]
    out = one.step(1, result(first["a"], "x", confidence=sure))
    if not runs:
        answer = only(out)
        assert (answer.label, answer.status, answer.partial) == ("x", "complete", False)
        assert [s.status for s in answer.stages] == ["answered", "skipped"]
        return
    answer = only(one.step(2, result(asked(out)["b"], "from two")))
    assert (answer.label, answer.status) == ("from two", "complete")


def test_a_cascade_asks_the_next_only_when_the_last_was_unsure() -> None:
    graph = stage("c", "cheap", "dear", "dearest", kind="cascade", escalate_below=0.8)
    one = world(graph)
    first = asked(one.step(0, w.request()))
    answer = only(one.step(1, result(first["cheap"], "1", confidence=0.85)))
    assert (answer.label, answer.confidence, len(answer.members)) == ("1", 0.85, 1)
    first = asked(one.step(2, w.request(1)))
    second = tasks(one.step(3, result(first["cheap"], "1", confidence=0.4)))
    assert [(task.service, task.purpose) for task in second] == [("dear", "escalation")]
    third = asked(one.step(4, result(second[0], "2", confidence=0.5)))
    answer = only(one.step(5, result(third["dearest"], "3", confidence=0.6)))
    assert (answer.label, answer.status, answer.confidence) == ("3", "complete", 0.6)
    assert [member.role for member in answer.members] == ["", "escalation", "escalation"]


def test_a_cascade_passes_over_who_is_down() -> None:
    one = world(stage("c", "down", "up", kind="cascade", escalate_below=0.8))
    one.learn(w.instance("down", "n0", health="draining"))
    first = asked(one.step(0, w.request()))
    assert list(first) == ["up"]
    answer = only(one.step(1, result(first["up"], "1")))
    assert [(m.service, m.status) for m in answer.members] == [("down", "unplaced"), ("up", "ok")]


def test_a_cascade_of_which_all_were_down_goes_on_beside_its_shadow_when_one_is_back() -> None:
    chosen = w.ensemble({"down": 1.0}, shadows=("up",))
    graph = stage("c", "down", "up", kind="cascade", escalate_below=0.8)
    one = world(graph, more=(chosen,))
    one.learn(w.instance("down", "n0", health="draining"))
    assert list(asked(one.step(0, w.request()))) == ["up"]
    one.learn(w.instance("down", "n0"))
    assert list(asked(one.step(100))) == ["down"]


def test_a_split_serves_its_shares_and_shadows_by_request_id() -> None:
    graph = stage(
        "s",
        "a",
        "b",
        "c",
        kind="split",
        splits=(
            Split(service="a", weight=0.8),
            Split(service="b", weight=0.2, role="canary"),
            Split(service="c", weight=0.5, role="shadow"),
        ),
    )
    one, other = world(graph), world(graph)
    out = one.step(0, *(w.request(n) for n in range(400)))
    assert out == other.step(0, *(w.request(n) for n in range(400)))
    served = [task.service for task in tasks(out)]
    assert 290 <= served.count("a") <= 350
    assert served.count("a") + served.count("b") == 400
    assert 160 <= served.count("c") <= 240
    assert all(task.shadow == (task.service == "c") for task in tasks(out))
    canary = next(task for task in tasks(out) if task.service == "b")
    answer = only(one.step(1, result(canary)))
    assert [(m.service, m.role) for m in answer.members] == [("b", "canary")]


def test_an_optional_stage_costs_nobody_the_answer() -> None:
    one = world(
        stage("extra", "a", optional=True, deadline_share=0.2),
        stage("main", "b", inputs=("extra",)),
    )
    first = asked(one.step(0, w.request()))
    assert first["a"].deadline == T0 + 96
    assert one.router.wake_at() == T0 + 50
    later = asked(one.step(96))
    assert list(later) == ["b"]
    answer = only(one.step(120, result(later["b"], "1")))
    assert (answer.status, answer.label, answer.partial) == ("complete", "1", True)
    assert [s.status for s in answer.stages] == ["late", "answered"]
    assert answer.stages[0].budget_ms == 96


def test_the_time_is_shared_by_what_services_usually_take() -> None:
    slow, quick = w.service("a", latency_ms=60.0), w.service("b", latency_ms=20.0)
    one = world(stage("slow", "a"), stage("quick", "b", inputs=("slow",)), more=(slow, quick))
    first = asked(one.step(0, w.request()))
    assert first["a"].deadline == T0 + int(480 * 125 / 170)
    second = asked(one.step(30, result(first["a"])))
    assert second["b"].deadline == T0 + 480


def test_the_time_of_a_graph_with_very_many_ways_through_it_is_shared() -> None:
    stages = [stage("0", "a")]
    for number in range(1, 40):
        before = (f"{number - 1}",) if number < 3 else (f"{number - 1}", f"{number - 2}")
        stages.append(stage(f"{number}", "a", inputs=before))
    first = asked(world(*stages).step(0, w.request()))
    assert first["a"].deadline == T0 + 480 // 40


def test_a_stage_that_fails_ends_what_needs_it_at_once() -> None:
    one = world(stage("one", "a"), stage("two", "b", inputs=("one",)))
    first = asked(one.step(0, w.request()))
    answer = only(one.step(1, result(first["a"], status="failed", reason="broken")))
    assert (answer.status, answer.label) == ("failed", None)
    assert answer.reason == "a: failed, broken; stage two: one gave nothing"


def test_a_service_may_serve_two_stages() -> None:
    one = world(stage("one", "a"), stage("two", "a", inputs=("one",)))
    first = asked(one.step(0, w.request()))
    second = asked(one.step(1, result(first["a"], "x")))
    assert second["a"].task_id != first["a"].task_id
    assert not one.step(2, result(first["a"], "late again"))
    assert only(one.step(3, result(second["a"], "y"))).label == "y"


def test_a_graph_that_nobody_checked_still_ends() -> None:
    one = world(stage("a", "x", inputs=("b", "zz")), stage("b", "y", inputs=("a",)))
    first = asked(one.step(0, w.request()))
    second = asked(one.step(1, result(first["x"], "1")))
    assert only(one.step(2, result(second["y"], "2"))).label == "2"
    nobody = world(stage("a"))
    answer = only(nobody.step(0, w.request()))
    assert (answer.status, answer.reason) == ("failed", "stage a: nobody serves it")

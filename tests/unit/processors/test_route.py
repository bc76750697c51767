"""Route: admission, dispatch, loss of instances, the vote, the deadline, repeated requests."""

from dataclasses import replace

import pytest

from schemas.decisions import DeadLetter, EnsembleMember
from schemas.inference import InferenceRequest
from schemas.processing import Directed
from schemas.records import Tensor
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import T0, World, responses, result, tasks


def test_every_member_gets_a_task_and_the_vote_is_weighted() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request(deadline=T0 + 500)))
    assert [(t.service, t.instance, t.worker, t.attempt) for t in asked] == [
        ("a", "a.n0", "n0-1", 0),
        ("b", "b.n1", "n1-1", 0),
        ("c", "c.n2", "n2-1", 0),
    ]
    assert {t.deadline for t in asked} == {T0 + 480}
    assert asked[0].generation == 7
    out = world.step(10, result(asked[0], "1"), result(asked[1], "7"), result(asked[2], "7"))
    (answer,) = responses(out)
    assert (answer.label, answer.status, answer.reason) == ("7", "complete", None)
    assert answer.confidence == pytest.approx(2.5 / 4.5)
    assert answer.deadline_met
    assert answer.latency_ms == 10
    assert [(m.service, m.status, m.latency_ms) for m in answer.members] == [
        ("a", "ok", 10.0),
        ("b", "ok", 10.0),
        ("c", "ok", 10.0),
    ]
    assert world.router.wake_at() is None


def test_the_deadline_is_answered_with_what_arrived() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request()))
    assert not responses(world.step(5, result(asked[0], "3")))
    assert not responses(world.step(479))
    (answer,) = responses(world.step(480))
    assert (answer.status, answer.label) == ("partial", "3")
    assert answer.confidence == pytest.approx(2.0 / 4.5)
    assert [m.status for m in answer.members] == ["ok", "missing", "missing"]
    assert answer.reason is not None
    assert "b: no result from b.n1" in answer.reason
    assert not world.step(490, result(asked[1], "3"))


def test_nothing_arrived_is_a_failure_with_reasons() -> None:
    world = World(w.catalogue(w.application(), w.service("a"), w.ensemble({"a": 1.0})))
    assert not world.step(0, w.request())
    (answer,) = responses(world.step(480))
    assert (answer.status, answer.label) == ("failed", None)
    assert answer.reason == "a: no ready instance"
    assert answer.members[0].status == "unplaced"


def test_an_app_without_ensemble_fails_at_the_deadline_unless_one_is_selected() -> None:
    world = World(w.catalogue(w.application()))
    world.step(0, w.request(0), w.request(1, deadline=T0 + 100))
    (first,) = responses(world.step(100))
    assert first.reason == "no ensemble is selected for digits"
    world.known = w.usual()
    assert len(tasks(world.step(150))) == 3


def test_an_unknown_app_is_rejected_and_dead_lettered() -> None:
    world = World(w.usual())
    letter, answer = world.step(0, w.request(app="nope"))
    assert isinstance(letter, DeadLetter)
    assert (letter.field, letter.offset, letter.key) == ("app", 0, b"r0")
    assert responses([answer])[0].status == "rejected"
    assert "no application 'nope'" in (responses([answer])[0].reason or "")


def test_the_instance_that_will_finish_first_is_asked() -> None:
    world = World(
        w.catalogue(
            w.application(),
            w.service("a", latency_ms=10.0),
            w.instance("a", "busy", queue_ms=40.0),
            w.instance("a", "idle", queue_ms=5.0),
            w.ensemble({"a": 1.0}),
        )
    )
    asked = tasks(world.step(0, *(w.request(n) for n in range(6))))
    chosen = [task.instance for task in asked]
    assert chosen[:3] == ["a.idle"] * 3
    assert set(chosen[4:]) == {"a.idle", "a.busy"}


def test_a_member_is_asked_where_the_plan_has_it_while_that_can_be() -> None:
    planned = w.ensemble({"a": 1.0})
    members = (EnsembleMember(service="a", weight=1.0, role="member", node="far"),)
    world = World(
        w.catalogue(
            w.application(),
            w.service("a", latency_ms=10.0),
            *(w.instance("a", name) for name in ("near", "nearer")),
            w.instance("a", "far", queue_ms=400.0),
            replace(planned, members=members),  # type: ignore[type-var]  # an ensemble
        )
    )
    first = [tasks(world.step(n, w.request(n)))[0] for n in range(5)]
    assert [task.instance for task in first] == ["a.far"] * 5
    (again,) = tasks(world.step(6, result(first[0], status="failed", reason="x", label=None)))  # type: ignore[arg-type]  # no label
    assert again.instance in ("a.near", "a.nearer"), "another attempt goes where it can"
    world.restart()
    world.learn(w.instance("a", "far", health="draining"))
    assert tasks(world.step(7, w.request(7)))[0].instance in ("a.near", "a.nearer")


def test_observed_times_beat_declared_ones() -> None:
    world = World(
        w.catalogue(
            w.application(),
            w.service("a", latency_ms=10.0),
            w.instance("a", "n1"),
            w.instance("a", "n2"),
            w.ensemble({"a": 1.0}),
        )
    )
    slow = tasks(world.step(0, *(w.request(n) for n in range(20))))
    world.step(1, *(result(t, execution_ms=90.0 if "n1" in t.instance else 9.0) for t in slow))
    asked = [tasks(world.step(2 + n, w.request(100 + n)))[0].instance for n in range(5)]
    assert asked == ["a.n2"] * 5


@pytest.mark.parametrize("bad", ["failed", "dropped"])
def test_a_bad_result_sends_the_member_to_another_instance_once_each(bad: str) -> None:
    world = World(w.usual(w.instance("b", "n9")))
    asked = {t.service: t for t in tasks(world.step(0, w.request()))}
    world.step(1, result(asked["a"], "1"), result(asked["c"], "1"))
    (again,) = tasks(world.step(2, result(asked["b"], status=bad, reason="x", label=None)))
    assert {again.instance, asked["b"].instance} == {"b.n1", "b.n9"}
    assert (again.attempt, again.task_id != asked["b"].task_id) == (1, True)
    (answer,) = responses(world.step(3, result(again, status=bad, reason="y", label=None)))
    assert (answer.status, answer.label) == ("partial", "1")
    assert answer.reason == f"b: {bad}, y"


def test_a_lost_heartbeat_sends_the_member_elsewhere_and_a_late_result_still_counts() -> None:
    world = World(w.usual(w.instance("a", "n0", lives_ms=100), w.instance("a", "n8", queue_ms=90)))
    first = {t.service: t for t in tasks(world.step(0, w.request()))}
    assert first["a"].instance == "a.n0"
    assert not tasks(world.step(60))
    (again,) = tasks(world.step(120))
    assert (again.service, again.instance) == ("a", "a.n8")
    assert not tasks(world.step(200))
    done = [result(first[name], "5") for name in "abc"]
    (answer,) = responses(world.step(210, *done))
    assert answer.members[0].latency_ms == 210
    assert answer.members[0].instance == "a.n0"


def test_an_instance_that_drains_is_left() -> None:
    world = World(w.usual())
    world.step(0, w.request())
    world.learn(w.instance("c", "n2", health="draining"), w.instance("c", "n5"))
    assert [t.instance for t in tasks(world.step(60))] == ["c.n5"]


def test_the_instances_of_a_failed_node_are_left() -> None:
    world = World(w.usual())
    world.step(0, w.request())
    world.learn(w.node("n2", "failed"), w.node("n1", "unknown"), w.instance("c", "n5"))
    assert [t.instance for t in tasks(world.step(60))] == ["c.n5"]


def test_a_restarted_worker_under_the_same_instance_is_asked_again() -> None:
    world = World(w.usual())
    world.step(0, w.request())
    world.learn(w.instance("c", "n2", worker="n2-2"))
    assert [t.worker for t in tasks(world.step(60))] == ["n2-2"]


def test_attempts_are_bounded() -> None:
    spare = (w.instance("a", f"x{n}") for n in range(9))
    world = World(w.usual(*spare), attempts=3)
    outputs = world.step(0, w.request())
    for now in range(1, 9):
        task = next((t for t in tasks(outputs) if t.service == "a"), None)
        if task is None:
            break
        outputs = world.step(now, result(task, status="failed", reason="no", label=None))
    assert task is None
    assert now == 4


def test_shadows_get_tasks_and_are_not_waited_for() -> None:
    known = w.usual(
        w.service("d"), w.instance("d", "n3"), w.ensemble({"a": 1.0, "b": 1.0}, ["c", "d"])
    )
    world = World(known)
    asked = tasks(world.step(0, w.request()))
    assert [(t.service, t.shadow) for t in asked] == [
        ("a", False),
        ("b", False),
        ("c", True),
        ("d", True),
    ]
    assert max(t.priority for t in asked if t.shadow) < min(
        t.priority for t in asked if not t.shadow
    )
    outputs = world.step(5, result(asked[2], "9"), result(asked[0], "1"), result(asked[1], "1"))
    (answer,) = responses(outputs)
    assert [m.service for m in answer.members] == ["a", "b"]
    assert answer.confidence == 1.0


def test_malformed_and_foreign_results_cost_nobody() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request()))
    stranger = replace(result(asked[0], "0"), service="zzz")
    unknown = replace(result(asked[0], "0"), request_id="who")
    old = replace(result(asked[0], "0"), status="failed", attempt=-1)
    assert not world.step(1, stranger, unknown, old)
    (answer,) = responses(world.step(2, *(result(t, "4") for t in asked), result(asked[0], "0")))
    assert (answer.label, answer.confidence) == ("4", 1.0)


def test_a_repeated_request_gets_the_stored_answer_within_the_window() -> None:
    world = World(w.usual(), window_ms=1_000)
    asked = tasks(world.step(0, w.request()))
    assert not world.step(1, w.request())
    (answer,) = responses(world.step(2, *(result(t) for t in asked)))
    world.restart()
    assert world.step(1_400, w.request()) == [answer]
    assert not world.step(1_501, w.request())
    assert responses(world.step(2_501))[0].status == "rejected"


def test_answers_are_read_back_and_end_what_is_pending() -> None:
    first = World(w.usual())
    asked = tasks(first.step(0, w.request()))
    (answer,) = responses(first.step(2, *(result(t) for t in asked)))
    successor = World(w.usual())
    assert len(tasks(successor.step(3, w.request()))) == 3
    assert not successor.step(4, answer)
    assert successor.router.wake_at() is None
    assert successor.step(5, w.request()) == [answer]
    assert successor.router.oldest_needed() == {(w.RESPONSES, 0): 0}


def test_a_late_request_is_rejected_after_a_grace_for_earlier_answers() -> None:
    world = World(w.usual())
    assert not world.step(490, w.request(0), w.request(1))
    assert world.router.wake_at() == T0 + 540
    given = replace(
        responses(World(w.usual()).step(0, w.request(1, app="x")))[0], answered_at=T0 + 400
    )
    assert not world.step(600, given)
    (answer,) = responses(world.step(1_490))
    assert (answer.request_id, answer.status) == ("r0", "rejected")
    assert answer.reason is not None
    assert answer.reason.startswith("10 ms to the deadline")
    assert not answer.deadline_met


def test_consumers_are_held_to_their_registration() -> None:
    world = World(w.usual(w.consumer(apps=("other",), priority=3)))
    (answer,) = responses(world.step(0, w.request(consumer="kim")))
    assert "may not use digits; allowed: other" in (answer.reason or "")
    world = World(w.usual(w.consumer(modalities=("audio",))))
    (answer,) = responses(world.step(0, w.request(consumer="kim")))
    assert "may not send image" in (answer.reason or "")
    world = World(w.usual(w.consumer(apps=("digits",), modalities=("image",), priority=3)))
    asked = tasks(world.step(0, w.request(consumer="kim", priority=9)))
    assert {task.priority for task in asked} == {3}
    assert {t.priority for t in tasks(world.step(0, w.request(1, consumer="lou", priority=9)))} == {
        9
    }


def test_rates_refill_with_time_and_survive_a_restart() -> None:
    world = World(w.usual(w.consumer(rate_per_s=2.0)))
    burst = world.step(0, *(w.request(n, consumer="kim") for n in range(4)))
    assert len(tasks(burst)) == 6
    assert [r.request_id for r in responses(burst)] == ["r2", "r3"]
    world.restart()
    later = world.step(500, *(w.request(n, consumer="kim", deadline=T0 + 999) for n in (4, 5)))
    assert [r.request_id for r in responses(later) if r.status == "rejected"] == ["r5"]


def test_answers_go_to_the_asker_too_but_never_to_our_own_topics() -> None:
    world = World(w.usual())
    own = {"reply_to_topic": "mine", "reply_to_partition": 3}
    asked = tasks(world.step(0, w.request(**own)))
    answer, copy = world.step(1, *(result(t) for t in asked))
    assert copy == Directed(responses([answer])[0], "mine", 3)
    (refused,) = responses(world.step(2, w.request(1, reply_to_topic="weir.control")))
    assert (refused.status, "reply_to_topic" in (refused.reason or "")) == ("rejected", True)


def test_overload_is_refused_by_number_and_by_bytes() -> None:
    world = World(w.usual(), max_pending=2)
    (answer,) = responses(world.step(0, *(w.request(n) for n in range(3))))
    assert answer.reason == "overloaded: 2 requests are pending"
    world = World(w.usual(), max_pending_bytes=10)
    big = Tensor(name="x", dtype="uint8", shape=(12,), data=b"\0" * 12)
    (answer,) = responses(world.step(0, w.request(0, inputs=(big,)), w.request(1)))
    assert answer.reason == "overloaded: requests with 12 bytes of input are pending"


def test_what_must_be_read_again_is_told() -> None:
    world = World(w.usual())
    asked = tasks(world.step(0, w.request(0)))
    world.step(1, *(result(t) for t in asked))
    assert world.router.oldest_needed() == {}
    world.step(2, w.request(1), w.request(2))
    assert world.router.oldest_needed() == {(w.REQUESTS, 0): 1, (w.RESULTS, 0): 3}


def test_a_restart_keeps_work_under_way_and_ids() -> None:
    calm, restarted = World(w.usual()), World(w.usual())
    requests: list[InferenceRequest] = [w.request(n, deadline=T0 + 100 + n) for n in range(9)]
    for number, asked in enumerate(requests):
        first, second = calm.step(number, asked), restarted.step(number, asked)
        restarted.restart()
        assert first == second
        some = [result(task, str(number % 3)) for task in tasks(first)[: number % 4]]
        assert calm.step(20 + number, *some) == restarted.step(20 + number, *some)
        restarted.restart()
    assert calm.step(300) == restarted.step(300)
    assert calm.router.snapshot() == restarted.router.snapshot()


def test_the_first_answer_is_enough_when_the_ensemble_says_so() -> None:
    world = World(w.usual(w.ensemble({"a": 1.0, "b": 5.0}, combine="first")))
    asked = tasks(world.step(0, w.request()))
    (answer,) = responses(world.step(1, result(asked[0], "2", confidence=0.6)))
    assert (answer.label, answer.confidence, answer.status) == ("2", 0.6, "complete")
    assert answer.partial
    assert answer.members[1].reason.startswith("not needed")

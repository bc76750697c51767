"""Whom a worker would ask, when it asks again, and that every path leaves a record."""

import json
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.catalogue import Catalogue
from schemas.codec import pack
from schemas.records import KeyValue
from schemas.registrations import InstanceReported, ServiceRegistered
from tests.unit.workers.inference_server import Served, model_server
from tests.unit.workers.inference_world import VARIANT, port, service, tensor
from workers.dispatching import attempts as a
from workers.dispatching.asking import asking
from workers.dispatching.attempts import Dispatch, Patience, rehearsed
from workers.dispatching.carrying import Carrier
from workers.dispatching.choosing import Errand, choose
from workers.dispatching.errors import NotDispatched
from workers.dispatching.peers import Peer, peers_of
from workers.dispatching.records import action
from workers.runtimes.base import Array

NOW = 1_000_000.0
ERRAND = Errand(task="t", service="gate", deadline=NOW + 100.0)


def peer(name: str, **fields: Any) -> Peer:
    known = {"address": f"http://{name}:1", "heartbeat": NOW - 5.0, "expires_at": NOW + 5_000.0}
    return Peer(**{"worker": name, **known, **fields})


def started(*peers: Peer, errand: Errand = ERRAND, **patience: Any) -> Dispatch:
    given = {"timeout_ms": 20.0, "backoff_ms": 4.0, **patience}
    return Dispatch(errand, choose(errand, peers, NOW), Patience(**given), NOW)


def asked(made: Dispatch, now: float) -> list[str]:
    return [f"{one.kind} {one.asked.peer.worker}" for one in made.due(now)]


def outcomes(made: Dispatch) -> list[tuple[str, str]]:
    return [(one.asked.peer.worker, one.outcome) for one in made.attempts]


def test_health_comes_first_then_the_predicted_end_then_capacity_then_the_name() -> None:
    found = choose(
        ERRAND,
        [
            peer("slow", queue_ms=30.0),
            peer("ill", health="constrained"),
            peer("b"),
            peer("a"),
            peer("large", capacity=9),
        ],
        NOW,
        way_ms=2.0,
    )
    assert [one.peer.worker for one in found.order] == ["large", "a", "b", "slow", "ill"]
    assert found.order[3].predicted_ms == 37.0
    assert "30.0 in the queue" in found.order[3].why


@pytest.mark.parametrize(
    ("changes", "needs", "why"),
    [
        ({"expires_at": NOW}, {}, "last heard of 0.0 s ago; its heartbeat has expired"),
        ({"health": "failed", "message": "no model"}, {}, "it is failed: no model"),
        ({"address": ""}, {}, "it tells no address"),
        ({"queue_ms": 96.0}, {}, "expected after 101.0 ms, when only 100.0 ms are left"),
        ({"backends": ("onnxruntime",)}, {"backend": "tensorrt"}, "lacks tensorrt; it has onnx"),
        ({"devices": ("cpu",)}, {"device": "cuda"}, "does not run on cuda; it has cpu"),
    ],
)
def test_who_may_not_be_asked_is_told_of_with_the_reason(
    changes: Any, needs: Any, why: str
) -> None:
    found = choose(replace(ERRAND, **needs), [peer("a", **changes)], NOW)
    assert not found.order
    assert why in found.why


def test_who_failed_lately_rests() -> None:
    found = choose(ERRAND, [peer("a"), peer("b")], NOW, resting={"a": NOW + 50.0})
    assert [one.peer.worker for one in found.order] == ["b"]
    assert "rests for 50 ms more" in found.evaluations[0].why


def test_an_answer_ends_it() -> None:
    made = started(peer("a"), peer("b"))
    assert asked(made, NOW) == ["first a"]
    assert made.wake_at() == NOW + 20.0
    assert made.answered(0, NOW + 7.0)
    assert (made.status, made.wake_at(), asked(made, NOW + 20.0)) == (a.ANSWERED, None, [])


def test_a_timeout_is_followed_by_another_worker_after_a_rest() -> None:
    made = started(peer("a"), peer("b"))
    asked(made, NOW)
    assert asked(made, NOW + 20.0) == []
    wake = made.wake_at()
    assert wake is not None
    assert 3.0 <= wake - (NOW + 20.0) <= 5.0
    assert asked(made, wake) == ["retry b"]
    assert made.answered(0, wake + 1.0), "a late answer is as good as another"
    assert outcomes(made) == [("a", a.ANSWERED), ("b", a.ABANDONED)]


def test_rests_double_and_the_least_asked_is_asked_again() -> None:
    made = started(peer("a"), peer("b"), attempts=4, errand=replace(ERRAND, deadline=NOW + 1e6))
    at, rests = NOW, []
    for number in range(3):
        asked(made, at)
        made.failed(number, "refused", at)
        wake = made.wake_at()
        assert wake is not None
        rests.append(wake - at)
        at = wake
    asked(made, at)
    assert [one.asked.peer.worker for one in made.attempts] == ["a", "b", "a", "b"]
    assert all(0.75 <= rest / base <= 1.25 for rest, base in zip(rests, (4, 8, 16), strict=True))


def test_the_last_failure_ends_it() -> None:
    made = started(peer("a"), attempts=1)
    asked(made, NOW)
    made.failed(0, "refused", NOW + 1.0)
    assert (made.status, made.why) == (a.FAILED, "1 attempts; the last: refused")


def test_nobody_is_asked_again_when_the_time_left_is_too_short() -> None:
    made = started(peer("a", expected_ms=50.0), timeout_ms=80.0)
    asked(made, NOW)
    asked(made, NOW + 80.0)
    assert made.status == a.FAILED
    assert "20.0 ms are left, too few to try again" in made.why


def test_the_deadline_ends_everything() -> None:
    made = started(peer("a"), timeout_ms=500.0)
    (attempt,) = made.due(NOW)
    assert attempt.until == ERRAND.deadline
    assert asked(made, NOW + 100.0) == []
    assert made.over
    assert not made.answered(0, NOW + 101.0), "too late"


def test_a_slow_worker_is_hedged_once_by_another() -> None:
    made = started(peer("a"), peer("b"), peer("c"), timeout_ms=50.0, hedge_ms=10.0)
    asked(made, NOW)
    assert made.wake_at() == NOW + 10.0
    assert asked(made, NOW + 10.0) == ["hedge b"]
    assert made.wake_at() == NOW + 50.0
    made.failed(0, "refused", NOW + 12.0)
    assert not made.over, "the hedge may still answer"
    assert made.answered(1, NOW + 15.0)
    alone = started(peer("a"), hedge_ms=10.0)
    asked(alone, NOW)
    assert alone.wake_at() == NOW + 20.0, "nobody else is there to ask"


def test_without_workers_it_is_refused_at_once_and_recorded() -> None:
    made = started()
    assert (made.status, made.why) == (a.REJECTED, "no other worker hosts it")
    event = action(made, "me", NOW)
    assert (event.kind, event.status, event.helped) == ("task.dispatched", "refused", False)


def test_every_path_has_a_record_and_an_event() -> None:
    good, broken = started(peer("a")), started(peer("a"), attempts=1)
    for made in (good, broken):
        asked(made, NOW)
    with pytest.raises(ValueError, match="still under way"):
        action(good, "me", NOW)
    good.answered(0, NOW + 1.0)
    broken.failed(0, "refused", NOW + 1.0)
    for made, status in ((good, "done"), (broken, "failed"), (started(), "refused")):
        event = action(made, "me", NOW + 2.0)
        assert event.status == status
        assert pack(event)
        told = {entry.key: entry.value for entry in event.parameters}
        assert json.loads(told["attempts"]) == made.record()["attempts"]
        assert json.dumps(made.record(), allow_nan=False)


def test_a_plan_is_what_would_be_done_if_nobody_answered() -> None:
    made = rehearsed(started(peer("a"), peer("b"), hedge_ms=5.0))
    kinds = [(one.kind, one.asked.peer.worker) for one in made.attempts]
    assert kinds == [("first", "a"), ("hedge", "b"), ("retry", "a")]
    assert made.over
    assert rehearsed(started()).attempts == []


@pytest.mark.parametrize(
    "wrong", [{"timeout_ms": 0.0}, {"attempts": 0}, {"hedge_ms": -1.0}, {"backoff_ms": np.nan}]
)
def test_patience_that_asks_nobody_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Patience(**wrong)


def report(worker: str, name: str = "gate", **fields: Any) -> InstanceReported:
    known = {
        "instance": f"{name}.{worker}",
        "service": name,
        "app": "yard",
        "stage": "s",
        "node": f"node-{worker}",
        "worker": worker,
        "task_topic": f"weir.tasks.{worker}",
        "address": f"http://{worker}:9",
        "model_version": "",
        "run": "",
        "user": "",
        "method": "",
        "role": "worker",
        "metadata": (KeyValue(key="variant", value=VARIANT.name),),
        "health": "ready",
        "heartbeat": int(NOW),
        "expires_at": int(NOW) + 100,
    }
    return InstanceReported(**{**known, **fields})


def test_workers_are_those_of_the_catalogue_with_all_their_work() -> None:
    told = [
        report("w1", queue_ms=10.0),
        report("w1", "other", queue_ms=5.0),
        report("w2", health="draining"),
        report("me"),
        report("probe", role="probe"),
    ]
    catalogue = Catalogue(
        {
            InstanceReported: {one.instance: one for one in told},
            ServiceRegistered: {"gate": service("gate", latency_ms=7.0)},
        }
    )
    first, second = peers_of(catalogue, "gate", own="me")
    assert (first.worker, first.queue_ms, first.expected_ms) == ("w1", 15.0, 7.0)
    assert (first.address, first.devices) == ("http://w1:9", ("cpu",))
    assert (second.worker, second.health) == ("w2", "draining")


class Clock:
    """Real enough for threads: it goes on by a ms each time it is read."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_carrier_goes_on_to_the_next_when_one_is_broken_and_lets_it_rest() -> None:
    def ask(one: Peer, _within_ms: float) -> str:
        if one.worker == "a":
            raise ConnectionError("refused")
        return one.worker

    carrier = Carrier[str](Clock())
    made = started(peer("a"), peer("b"), errand=replace(ERRAND, deadline=NOW + 1e5))
    assert carrier.carry(made, ask) == "b"
    assert outcomes(made) == [("a", a.FAILED), ("b", a.ANSWERED)]
    assert set(carrier.resting()) == {"a"}
    carrier.close()


def test_a_carrier_says_why_nobody_answered() -> None:
    def ask(_one: Peer, _within_ms: float) -> str:
        raise ConnectionError("refused")

    carrier = Carrier[str](Clock())
    with pytest.raises(NotDispatched, match="refused"):
        carrier.carry(started(peer("a"), attempts=1, timeout_ms=1e4), ask)
    with pytest.raises(NotDispatched, match="no other worker hosts it"):
        carrier.carry(started(), ask)
    carrier.close()


def test_a_carrier_does_not_wait_for_who_hangs() -> None:
    hangs = threading.Event()

    def ask(one: Peer, _within_ms: float) -> str:
        if one.worker == "a":
            hangs.wait(10.0)
        return one.worker

    carrier = Carrier[str](Clock())
    made = started(peer("a"), peer("b"), errand=replace(ERRAND, deadline=NOW + 1e5))
    assert carrier.carry(made, ask) == "b"
    assert outcomes(made)[0] == ("a", a.TIMEOUT)
    hangs.set()
    carrier.close()


def test_a_worker_is_asked_at_the_address_of_the_catalogue() -> None:
    inputs = [tensor(1.0, 3.0, 2.0)]
    outputs = [port("label", None, dtype="int64"), port("scaled", None, 3)]
    refusing = Served(status=503)
    with model_server(refusing) as full, model_server(Served()) as well:
        places = [one.url.removesuffix("/v2/models/scale") for one in (full, well)]
        ask = asking("scale", [replace(inputs[0], shape=(1, 3))], outputs, priority=2)
        carrier = Carrier[list[Array]](Clock())
        made = started(
            peer("a", address=places[0]),
            peer("b", address=f"{places[1]}/"),
            errand=replace(ERRAND, service="scale", deadline=NOW + 1e5),
            timeout_ms=5e4,
        )
        label, scaled = carrier.carry(made, ask)
        carrier.close()
    assert (label.tolist(), scaled.tolist()) == ([1], [[2.0, 6.0, 4.0]])
    assert outcomes(made) == [("a", a.FAILED), ("b", a.ANSWERED)]
    assert "503" in made.attempts[0].why

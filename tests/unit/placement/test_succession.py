"""Workers that are renewed, taken over, or stand still."""

from dataclasses import replace

import pytest

from placement.local.actuation import Actuation, ActuationParams
from placement.local.fleet import (
    ForgetWorker,
    Instruction,
    KillWorker,
    ProcessView,
    RelieveWorker,
    StartWorker,
    StopWorker,
)
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.registrations import InstanceReported, NodeReported
from tests.examples import example
from tests.unit.placement import world
from tests.unit.placement.test_actuation import NODES
from tests.unit.placement.world import T0

PARAMS = ActuationParams()


def placed(*more: Event) -> Catalogue:
    act = world.policy("installation", "act")
    return world.catalogue_of([act, world.service("s"), world.decided("s", ["a"]), *more])


def reported(worker: str, health: str = "ready", expires_at: int = T0 + 3000) -> InstanceReported:
    return replace(
        example(InstanceReported),
        instance="s.a",
        service="s",
        node="a",
        worker=worker,
        health=health,
        expires_at=expires_at,
    )


def view(worker: str, code: int | None = None) -> ProcessView:
    return ProcessView(node="a", worker=worker, pid=7, exit_code=code)


def told(
    actuation: Actuation, catalogue: Catalogue, *views: ProcessView, now: int = T0
) -> tuple[Instruction, ...]:
    step = actuation.step(now, catalogue, views)
    return step.instructions


def test_the_old_worker_is_relieved_once_its_successor_serves() -> None:
    actuation = Actuation(NODES)
    assert told(actuation, placed()) == (StartWorker("a", "a-1"),)
    actuation.renew("a")
    actuation.renew("elsewhere")
    both = (view("a-1"), view("a-2"))
    catalogue = placed(reported("a-1"))
    assert told(actuation, catalogue, view("a-1")) == (StartWorker("a", "a-2", succeeds=True),)
    assert told(actuation, catalogue, *both) == ()
    catalogue = placed(reported("a-2"))
    assert told(actuation, catalogue, *both) == (RelieveWorker("a", "a-1"),)
    assert told(actuation, catalogue, *both) == ()
    gone = (view("a-1", 0), view("a-2"))
    assert told(actuation, catalogue, *gone) == (ForgetWorker("a", "a-1"),)
    assert told(actuation, catalogue, view("a-2")) == ()


def renewing(catalogue: Catalogue) -> Actuation:
    actuation = Actuation(NODES)
    told(actuation, placed())
    actuation.renew("a")
    told(actuation, catalogue, view("a-1"))
    return actuation


def test_a_successor_that_is_not_ready_in_time_is_stopped_and_the_old_one_stays() -> None:
    catalogue = placed(reported("a-1", expires_at=T0 + 10**9))
    actuation = renewing(catalogue)
    both = (view("a-1"), view("a-2"))
    late = T0 + PARAMS.succession_ms
    assert told(actuation, catalogue, *both, now=late - 1) == ()
    assert told(actuation, catalogue, *both, now=late) == (StopWorker("a", "a-2"),)
    after = late + PARAMS.stop_grace_ms
    assert told(actuation, catalogue, *both, now=after) == (KillWorker("a", "a-2"),)
    gone = (view("a-1"), view("a-2", -9))
    assert told(actuation, catalogue, *gone, now=after) == (ForgetWorker("a", "a-2"),)


def test_a_successor_that_crashes_is_forgotten_and_the_next_wish_counts() -> None:
    catalogue = placed(reported("a-1"))
    actuation = renewing(catalogue)
    crashed = (view("a-1"), view("a-2", 1))
    assert told(actuation, catalogue, *crashed) == (ForgetWorker("a", "a-2"),)
    actuation.renew("a")
    again = told(actuation, catalogue, view("a-1"))
    assert again == (StartWorker("a", "a-3", succeeds=True),)


def test_a_successor_takes_over_at_once_when_the_old_worker_crashes() -> None:
    catalogue = placed(reported("a-1"))
    actuation = renewing(catalogue)
    crashed = (view("a-1", -9), view("a-2"))
    assert told(actuation, catalogue, *crashed) == (ForgetWorker("a", "a-1"),)
    assert told(actuation, catalogue, view("a-2"), now=T0 + 60_000) == ()


def test_a_worker_of_an_earlier_actuator_is_taken_over() -> None:
    actuation = Actuation(NODES)
    catalogue = placed(reported("a-4"))
    assert told(actuation, catalogue, view("a-4")) == ()
    ended = (view("a-4", 255),)
    assert told(actuation, catalogue, *ended) == (ForgetWorker("a", "a-4"),)
    later = T0 + PARAMS.cooldown_ms
    assert told(actuation, catalogue, now=later) == (StartWorker("a", "a-5"),)


def test_of_two_workers_the_one_that_serves_is_kept_and_the_other_relieved() -> None:
    actuation = Actuation(NODES)
    both = (view("a-4"), view("a-5"))
    catalogue = placed(reported("a-4"))
    assert told(actuation, catalogue, *both) == (RelieveWorker("a", "a-5"),)
    assert told(actuation, catalogue, *both) == ()


def node(expires_at: int) -> NodeReported:
    return replace(example(NodeReported), node="a", status="ready", expires_at=expires_at)


@pytest.mark.parametrize(
    ("heard", "health", "killed"),
    [
        (T0 + 10**6, "ready", True),
        (T0, "ready", False),
        (T0 + 10**6, "stopped", False),
    ],
)
def test_a_worker_whose_heartbeats_stay_away_is_killed_if_the_log_is_heard(
    heard: int, health: str, killed: bool
) -> None:
    actuation = Actuation(NODES)
    catalogue = placed(reported("a-1", health, T0), node(heard))
    told(actuation, placed())
    late = T0 + PARAMS.silent_ms
    assert told(actuation, catalogue, view("a-1"), now=late - 1) == ()
    done = told(actuation, catalogue, view("a-1"), now=late)
    assert done == ((KillWorker("a", "a-1"),) if killed else ())
    assert told(actuation, catalogue, view("a-1"), now=late + 1) == ()

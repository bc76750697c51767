"""The local actuator holds workers to what is placed on their nodes."""

from dataclasses import replace

from placement.local.actuation import Actuation, ActuationParams
from placement.local.bounds import Bounds, bounds_of, share_out
from placement.local.fleet import BoundWorker, KillWorker, StartWorker
from schemas.decisions import ActionTaken
from tests.unit.placement import world
from tests.unit.placement.test_actuation import NODES, Machine, placed
from tests.unit.placement.world import T0

HOLD = ActuationParams(hold=True, overhead_mib=200)


def test_bounds_are_what_the_copies_of_a_node_were_given() -> None:
    told = [world.decided("s", ["a", "b"]), world.decided("t", ["a"])]
    assert bounds_of(told, "a", 200) == Bounds(2, 1224)
    assert bounds_of(told, "b", 0) == Bounds(1, 512)
    assert bounds_of(told, "c", 10) == Bounds(1, 10)


def test_cores_are_those_that_are_held_least() -> None:
    assert share_out(1, [0, 1, 2], []) == [0]
    assert share_out(2, [0, 1, 2], [[0], [0, 1]]) == [1, 2]
    assert share_out(9, [4, 3], [[3]]) == [3, 4]


def test_a_worker_is_held_again_when_more_is_placed() -> None:
    machine = Machine(Actuation(NODES, HOLD))
    machine.turn(T0, placed(("s", "a")))
    machine.turn(T0 + 1, placed(("s", "a")))
    machine.turn(T0 + 2, placed(("s", "a"), ("t", "a")))
    assert machine.done == [
        StartWorker("a", "a-1"),
        BoundWorker("a", "a-1", Bounds(1, 712)),
        BoundWorker("a", "a-1", Bounds(2, 1224)),
    ]
    assert [action.status for action in machine.actions("worker.bound")] == ["done", "done"]


def test_a_worker_with_more_memory_than_it_was_given_is_killed_and_it_is_said_why() -> None:
    machine = Machine(Actuation(NODES, HOLD))
    catalogue = placed(("s", "a"))
    machine.turn(T0, catalogue)
    machine.running["a-1"] = replace(machine.running["a-1"], memory_mib=712)
    machine.turn(T0 + 1, catalogue)
    assert not any(isinstance(done, KillWorker) for done in machine.done)
    machine.running["a-1"] = replace(machine.running["a-1"], memory_mib=713)
    machine.turn(T0 + 2, catalogue)
    machine.turn(T0 + 3, catalogue)
    assert machine.done.count(KillWorker("a", "a-1")) == 1
    machine.ended("a-1", -9)
    machine.turn(T0 + 4, catalogue)
    (failed,) = machine.actions("node.failed")
    assert "it holds 713 MiB of memory, more than the 712 MiB it was given" in failed.reason
    assert isinstance(failed, ActionTaken)


def test_without_the_setting_nothing_is_held() -> None:
    machine = Machine(Actuation(NODES))
    machine.turn(T0, placed(("s", "a")))
    assert machine.done == [StartWorker("a", "a-1")]

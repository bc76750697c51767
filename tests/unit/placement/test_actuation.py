"""The local actuator's decisions: placements and processes in, instructions and events out."""

from collections.abc import Iterable

from placement.local.actuation import Actuation, ActuationParams, Step
from placement.local.fleet import (
    ForgetWorker,
    Instruction,
    KillWorker,
    LocalNode,
    Outcome,
    ProcessView,
    StartWorker,
    StopWorker,
)
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, DeploymentObserved
from schemas.registrations import NodeReported
from tests.unit.placement import world
from tests.unit.placement.world import T0

NODES = (
    LocalNode(name="a", cpu_milli=4000, memory_mib=2048),
    LocalNode(name="b", cpu_milli=1000, memory_mib=512, speed=0.5),
)
PARAMS = ActuationParams()


class Machine:
    """A fake of the actuator: processes that live until told otherwise."""

    def __init__(self, actuation: Actuation, refuse: str = "") -> None:
        self.actuation = actuation
        self.refuse = refuse
        self.running: dict[str, ProcessView] = {}
        self.done: list[Instruction] = []
        self.events: list[Event] = []

    def turn(self, now: int, catalogue: Catalogue) -> Step:
        step = self.actuation.step(now, catalogue, tuple(self.running.values()))
        outcomes = [self._do(instruction) for instruction in step.instructions]
        self.events += [*step.events, *self.actuation.settle(now, outcomes)]
        self.done += step.instructions
        return step

    def ended(self, worker: str, code: int) -> None:
        view = self.running[worker]
        self.running[worker] = ProcessView(
            node=view.node, worker=worker, pid=view.pid, exit_code=code
        )

    def actions(self, kind: str) -> list[ActionTaken]:
        return [e for e in self.events if isinstance(e, ActionTaken) and e.kind == kind]

    def nodes(self, name: str) -> list[NodeReported]:
        return [e for e in self.events if isinstance(e, NodeReported) and e.node == name]

    def _do(self, instruction: Instruction) -> Outcome:
        if isinstance(instruction, StartWorker):
            if self.refuse:
                return Outcome(instruction, error=self.refuse)
            self.running[instruction.worker] = ProcessView(
                node=instruction.node, worker=instruction.worker, pid=7
            )
        elif isinstance(instruction, ForgetWorker):
            del self.running[instruction.worker]
        return Outcome(instruction, 7)


def placed(*names: Iterable[str]) -> Catalogue:
    services = [world.service(str(name)) for name, *_ in names]
    decisions = [world.decided(str(n), nodes) for n, *nodes in names]
    return world.catalogue_of([world.policy("installation", "act"), *services, *decisions])


def test_a_node_with_services_gets_one_worker_and_only_one() -> None:
    machine = Machine(Actuation(NODES))
    catalogue = placed(("s", "a"), ("t", "a"))
    for turn in range(5):
        machine.turn(T0 + turn, catalogue)
    assert machine.done == [StartWorker("a", "a-1")]
    (action,) = machine.actions("worker.start")
    assert action.status == "done"
    assert action.causes == ("placed-s-1", "placed-t-1")
    assert "s, t" in action.reason


def test_incarnations_go_on_from_what_the_catalogue_has_seen() -> None:
    seen = world.instance("s", "a", worker="a-6")
    catalogue = world.catalogue_of([seen], placed(("s", "a")))
    machine = Machine(Actuation(NODES))
    machine.turn(T0, catalogue)
    assert machine.done == [StartWorker("a", "a-7")]


def test_a_worker_without_services_is_stopped_after_the_grace_and_its_end_is_reported() -> None:
    machine = Machine(Actuation(NODES))
    machine.turn(T0, placed(("s", "a")))
    gone = world.catalogue_of([world.decided("s", (), 2)], placed(("s", "a")))
    machine.turn(T0 + 100, gone)
    machine.turn(T0 + 100 + PARAMS.idle_grace_ms - 1, gone)
    assert StopWorker("a", "a-1") not in machine.done
    machine.turn(T0 + 100 + PARAMS.idle_grace_ms, gone)
    assert machine.done[-1:] == [StopWorker("a", "a-1")]
    machine.ended("a-1", 0)
    machine.turn(T0 + 4000, gone)
    assert machine.done[-1:] == [ForgetWorker("a", "a-1")]
    assert machine.actions("worker.stopped")
    assert not machine.actions("node.failed")
    assert machine.nodes("a")[-1].status == "ready"


def test_services_that_come_back_within_the_grace_keep_the_worker() -> None:
    machine = Machine(Actuation(NODES))
    machine.turn(T0, placed(("s", "a")))
    gone = world.catalogue_of([world.decided("s", (), 2)], placed(("s", "a")))
    back = world.catalogue_of([world.decided("s", ["a"], 3)], gone)
    again = world.catalogue_of([world.decided("s", (), 4)], back)
    machine.turn(T0 + 100, gone)
    machine.turn(T0 + 200, back)
    machine.turn(T0 + 100 + PARAMS.idle_grace_ms, again)
    assert machine.done == [StartWorker("a", "a-1")]


def test_a_worker_that_does_not_end_is_killed_once() -> None:
    machine = Machine(Actuation(NODES))
    machine.turn(T0, placed(("s", "a")))
    gone = world.catalogue_of([world.decided("s", (), 2)], placed(("s", "a")))
    for after in (0, PARAMS.idle_grace_ms, PARAMS.idle_grace_ms + PARAMS.stop_grace_ms):
        machine.turn(T0 + after, gone)
    machine.turn(T0 + 60_000, gone)
    assert [i for i in machine.done if isinstance(i, KillWorker)] == [KillWorker("a", "a-1")]


def test_a_crash_fails_the_node_for_its_cooldown_and_then_a_new_incarnation_starts() -> None:
    machine = Machine(Actuation(NODES))
    catalogue = placed(("s", "a"))
    machine.turn(T0, catalogue)
    machine.ended("a-1", -9)
    machine.turn(T0 + 500, catalogue)
    report = machine.nodes("a")[-1]
    assert report.status == "failed"
    assert report.message is not None
    assert "-9" in report.message
    assert machine.actions("node.failed")
    machine.turn(T0 + 500 + PARAMS.cooldown_ms - 1, catalogue)
    assert machine.nodes("b")[-1].status == "ready"
    assert machine.done[-1:] == [ForgetWorker("a", "a-1")]
    machine.turn(T0 + 500 + PARAMS.cooldown_ms, catalogue)
    assert machine.done[-1:] == [StartWorker("a", "a-2")]


def test_each_further_crash_doubles_the_rest() -> None:
    machine = Machine(Actuation(NODES))
    catalogue, now = placed(("s", "a")), T0
    for _ in range(3):
        machine.turn(now, catalogue)
        machine.ended(next(iter(machine.running)), 1)
        machine.turn(now + 10, catalogue)
        now += 10_000_000
    rests = [action.parameters[0].value for action in machine.actions("node.failed")]
    assert rests == [str(PARAMS.cooldown_ms << crash) for crash in range(3)]


def test_a_worker_that_cannot_be_started_is_a_failed_deed_and_rests_its_node() -> None:
    machine = Machine(Actuation(NODES), refuse="no such file")
    machine.turn(T0, placed(("s", "a")))
    (action,) = machine.actions("worker.start")
    assert action.status == "failed"
    assert machine.nodes("a")[-1].status == "failed"
    machine.turn(T0 + 1, placed(("s", "a")))
    assert len(machine.done) == 1


def test_artifacts_by_other_schemes_are_refused_once_and_start_nothing() -> None:
    elsewhere = world.service("s", artifact="http://somewhere/m.onnx")
    catalogue = world.catalogue_of([elsewhere], placed(("s", "a")))
    machine = Machine(Actuation(NODES))
    machine.turn(T0, catalogue)
    machine.turn(T0 + 1, catalogue)
    assert not machine.done
    (action,) = machine.actions("service.refused")
    assert (action.status, action.target) == ("refused", "s")
    assert "http" in action.reason


def test_in_mode_recommend_nothing_is_started_and_nothing_is_stopped() -> None:
    recommend = [world.policy("place", "recommend")]
    machine = Machine(Actuation(NODES))
    machine.turn(T0, world.catalogue_of(recommend, placed(("s", "a"))))
    assert not machine.done
    assert machine.actions("service.refused")[0].policy == "place/digits"
    machine.turn(T0 + 1, placed(("s", "a")))
    gone = world.catalogue_of([world.decided("s", (), 2), *recommend], placed(("s", "a")))
    for after in (10, 10_000, 20_000):
        machine.turn(T0 + after, gone)
    assert machine.done == [StartWorker("a", "a-1")]


def test_an_older_generation_is_refused_once_and_the_newer_one_stays_in_force() -> None:
    machine = Machine(Actuation(NODES))
    old = placed(("s", "a"))
    machine.turn(T0, world.catalogue_of([world.decided("s", ["b"], 5)], old))
    for after in (1, 2, 60_000):
        machine.turn(T0 + after, old)
    assert machine.done == [StartWorker("b", "b-1")]
    (refused,) = machine.actions("service.refused")
    assert (refused.policy, refused.causes) == ("generations", ("placed-s-1",))
    assert "generation 5" in refused.reason


def test_after_a_removal_generations_may_begin_anew() -> None:
    machine = Machine(Actuation(NODES))
    newer = world.decided("s", ["b"], 5)
    catalogue = world.catalogue_of([newer], placed(("s", "a")))
    machine.turn(T0, catalogue)
    gone = world.without(catalogue, newer)
    machine.turn(T0 + 1, gone)
    machine.turn(T0 + 2, world.catalogue_of([world.decided("s", ["a"], 1)], gone))
    assert machine.done == [StartWorker("b", "b-1"), StartWorker("a", "a-1")]


def test_heartbeats_come_at_their_interval_and_tell_the_capacity() -> None:
    machine = Machine(Actuation(NODES))
    for after in range(0, 3000, 100):
        machine.turn(T0 + after, Catalogue())
    reports = machine.nodes("b")
    assert [r.heartbeat for r in reports] == [T0, T0 + 1000, T0 + 2000]
    assert (reports[0].cpu_milli, reports[0].speed) == (1000, 0.5)
    assert reports[0].expires_at == T0 + PARAMS.expiry_ms


def phases(events: Iterable[Event]) -> list[tuple[str, int]]:
    return [(e.phase, e.ready) for e in events if isinstance(e, DeploymentObserved)]


def test_a_deployment_is_reported_when_it_changes_and_not_otherwise() -> None:
    machine = Machine(Actuation(NODES))
    base = placed(("s", "a", "b"))
    ready = world.catalogue_of([world.instance("s", "a")], base)
    both = world.catalogue_of([world.instance("s", "b")], ready)
    for now, catalogue in enumerate((base, base, ready, both, both)):
        machine.turn(T0 + now, catalogue)
    assert phases(machine.events) == [("progressing", 0), ("degraded", 1), ("available", 2)]


def test_a_broken_model_is_a_failed_deployment_with_its_reason() -> None:
    machine = Machine(Actuation(NODES))
    broken = world.instance("s", "a", "failed", message="no valid ONNX")
    machine.turn(T0, world.catalogue_of([broken], placed(("s", "a"))))
    (event,) = [e for e in machine.events if isinstance(e, DeploymentObserved)]
    assert event.phase == "failed"
    assert "no valid ONNX" in event.message


def test_a_retired_service_is_removed_when_its_last_copy_has_gone() -> None:
    machine = Machine(Actuation(NODES))
    serving = world.catalogue_of([world.instance("s", "a")], placed(("s", "a")))
    retired = world.catalogue_of([world.decided("s", (), 2)], serving)
    stopped = world.catalogue_of([world.instance("s", "a", "stopped")], retired)
    for now, catalogue in enumerate((serving, retired, stopped)):
        machine.turn(T0 + now, catalogue)
    assert phases(machine.events)[-1] == ("removed", 0)


def test_expired_copies_do_not_count() -> None:
    machine = Machine(Actuation(NODES))
    late = world.instance("s", "a", expires_at=T0 + 10)
    catalogue = world.catalogue_of([late], placed(("s", "a")))
    machine.turn(T0, catalogue)
    machine.turn(T0 + 10, catalogue)
    assert phases(machine.events) == [("available", 1), ("progressing", 0)]

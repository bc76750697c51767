"""From placements to worker processes on this machine: what to start, stop and report.

A pure state machine: `Actuation.step` takes the clock, the catalogue and the processes as they
are, and returns instructions and events; `processes.LocalActuator` carries the instructions out;
`Actuation.settle` turns what came of them into events. The loop around it:

    step = actuation.step(now_ms, catalogue, actuator.processes())
    send(step.events)
    send(actuation.settle(now_ms, actuator.execute(step.instructions)))

Every node is idle (no process), running, stopping, or resting after a crash. One worker process
serves a node, whatever the number of services placed on it; `succession` has how it is renewed, and
how one that an earlier actuator started is taken over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from placement.authority import Limits, ruling
from placement.deeds import action, refused
from placement.local.bounds import bounds_of
from placement.local.deployments import DeploymentWatch
from placement.local.fleet import (
    BoundWorker,
    ForgetWorker,
    Instruction,
    KillWorker,
    LocalNode,
    Outcome,
    ProcessView,
    RelieveWorker,
    StartWorker,
    StopWorker,
)
from placement.local.slots import Slot
from placement.local.succession import abandon, adopt, renew, see_off, silent_ms
from schemas.authority import frozen
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, DeploymentObserved, PlacementDecided
from schemas.registrations import (
    ApplicationRegistered,
    InstanceReported,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)

CATALOGUE: tuple[type[Event], ...] = (
    PlacementDecided,
    InstanceReported,
    ServiceRegistered,
    ApplicationRegistered,
    PolicySelected,
    DeploymentObserved,
    NodeReported,
)
"""The event classes that `Actuation.step` looks up."""
_CRASHES_COUNTED = 4
_KINDS: dict[type, str] = {
    StartWorker: "worker.start",
    StopWorker: "worker.stop",
    RelieveWorker: "worker.relieve",
    KillWorker: "worker.kill",
    BoundWorker: "worker.bound",
}


@dataclass(frozen=True, slots=True)
class ActuationParams:
    """How the local actuator behaves; times in ms.

    A node rests `cooldown_ms` after its worker crashed, twice as long after each further crash
    (16 times at most) until a worker has lived for `stable_ms`. A worker without services is
    stopped after `idle_grace_ms`, and killed when it has not ended `stop_grace_ms` later. One
    whose heartbeats are `silent_ms` overdue stands still and is killed. A successor has
    `succession_ms` to be ready. With `hold` a worker has the cores and the memory that is placed
    on its node, and `overhead_mib` besides; one that holds more memory is killed.
    """

    heartbeat_ms: int = 1000
    expiry_ms: int = 5000
    cooldown_ms: int = 15_000
    idle_grace_ms: int = 3000
    stop_grace_ms: int = 10_000
    stable_ms: int = 60_000
    silent_ms: int = 10_000
    succession_ms: int = 60_000
    hold: bool = False
    overhead_mib: int = 512
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and what to say."""

    instructions: tuple[Instruction, ...]
    events: tuple[Event, ...]


class Actuation:
    """Decides for the nodes of one machine; one instance per process."""

    def __init__(self, nodes: Sequence[LocalNode], params: ActuationParams | None = None) -> None:
        self._params = params or ActuationParams()
        self._slots = {node.name: Slot(node) for node in nodes}
        self._deployments = DeploymentWatch()
        self._refused: set[tuple[str, str]] = set()
        self._newest: dict[str, PlacementDecided] = {}
        self._carried: dict[str, PlacementDecided] = {}
        self._held = False

    def step(self, now_ms: int, catalogue: Catalogue, processes: Iterable[ProcessView]) -> Step:
        """Compare what is wanted with what runs; heartbeats of the nodes are among the events."""
        views = {view.worker: view for view in processes}
        grace_ms = self._params.stop_grace_ms
        events: list[Event] = []
        instructions: list[Instruction] = []
        wanted = self._wanted(now_ms, catalogue, events)
        still = frozen(catalogue) is not None
        for name, slot in self._slots.items():
            if not still:
                instructions += adopt(slot, views.values(), now_ms, catalogue)
                instructions += see_off(slot, views.values(), now_ms, grace_ms)
            self._notice_end(slot, views.get(slot.worker), now_ms, instructions, events)
            if not still:
                there = wanted.get(name, [])
                instructions += self._next(slot, there, now_ms, catalogue)
                instructions += self._bound(slot, there, views.get(slot.worker))
            if now_ms >= slot.heartbeat_due:
                slot.heartbeat_due = now_ms + self._params.heartbeat_ms
                events.append(self._heartbeat(slot, now_ms))
        events += self._deployments.observe(catalogue, now_ms)
        return Step(tuple(instructions), tuple(events))

    def renew(self, node: str) -> None:
        """Have a node's worker make room for a new one; nodes that are not ours are none."""
        if node in self._slots:
            self._slots[node].renew = True

    def settle(self, now_ms: int, outcomes: Iterable[Outcome]) -> tuple[Event, ...]:
        """Turn what came of the instructions into events; a failed start lets its node rest."""
        events: list[Event] = []
        for outcome in outcomes:
            instruction = outcome.instruction
            slot = self._slots[instruction.node]
            if isinstance(instruction, ForgetWorker):
                continue
            kind = _KINDS[type(instruction)]
            status = "failed" if outcome.error else "done"
            details = {"worker": instruction.worker, "pid": str(outcome.pid)}
            details |= dict(outcome.details)
            if outcome.error:
                details["error"] = outcome.error
            events.append(
                action(now_ms, slot.node.name, kind, status, slot.why, details, causes=slot.causes)
            )
            if outcome.error and isinstance(instruction, StartWorker):
                if instruction.succeeds:
                    slot.successor = ""
                    continue
                slot.worker = ""
                events.append(
                    self._fail(slot, now_ms, f"the worker did not start: {outcome.error}")
                )
                events.append(self._heartbeat(slot, now_ms))
        return tuple(events)

    def _wanted(
        self, now_ms: int, catalogue: Catalogue, events: list[Event]
    ) -> dict[str, list[PlacementDecided]]:
        """Return what is to run per own node; refusals become events.

        Where a decision may not be carried out, what was carried out before goes on.
        """
        wanted: dict[str, list[PlacementDecided]] = {}
        placements = catalogue.of(PlacementDecided)
        self._forget_gone(placements)
        self._held = False
        for service, told in sorted(placements.items()):
            newest = self._valid(now_ms, told, events)
            ruled = ruling(newest, catalogue, self._params.limits)
            if ruled.decided is not None:
                self._carried[service] = ruled.decided
            if ruled.reason:
                self._held |= ruled.held
                self._refuse(now_ms, newest, ruled.policy, ruled.reason, events)
            carried = self._carried.get(service)
            if carried is not None:
                for node in {a.node for a in carried.assignments if a.node in self._slots}:
                    wanted.setdefault(node, []).append(carried)
        return wanted

    def _forget_gone(self, placements: Mapping[str, PlacementDecided]) -> None:
        """Let go of what is placed no more."""
        ids = {decided.event_id for decided in placements.values()}
        self._newest = {s: decided for s, decided in self._newest.items() if s in placements}
        self._carried = {s: decided for s, decided in self._carried.items() if s in placements}
        self._refused = {(told, policy) for told, policy in self._refused if told in ids}

    def _refuse(
        self, now_ms: int, told: PlacementDecided, policy: str, reason: str, events: list[Event]
    ) -> None:
        """Say once of a decision, and of a policy, that it is not carried out on nodes here."""
        before = self._carried.get(told.service)
        concerned = (*told.assignments, *(before.assignments if before is not None else ()))
        if (told.event_id, policy) in self._refused or not any(
            assignment.node in self._slots for assignment in concerned
        ):
            return
        self._refused.add((told.event_id, policy))
        events.append(refused(now_ms, told, policy, reason))

    def _valid(self, now_ms: int, told: PlacementDecided, events: list[Event]) -> PlacementDecided:
        """Return the placement to carry out: an older generation than before is refused."""
        newest = self._newest.get(told.service)
        if newest is None or told.generation >= newest.generation:
            self._newest[told.service] = told
            return told
        reason = f"generation {newest.generation} is carried out already"
        self._refuse(now_ms, told, "generations", reason, events)
        return newest

    def _notice_end(
        self,
        slot: Slot,
        view: ProcessView | None,
        now_ms: int,
        instructions: list[Instruction],
        events: list[Event],
    ) -> None:
        """Take note of a process that has ended: as asked, or by a crash."""
        if not slot.worker or (view is not None and view.exit_code is None):
            return
        if view is not None:
            instructions.append(ForgetWorker(slot.node.name, slot.worker))
        code = "unknown" if view is None else str(view.exit_code)
        details = {"worker": slot.worker, "exit_code": code}
        if slot.stop_asked is not None:
            name = slot.node.name
            events.append(
                action(now_ms, name, "worker.stopped", "done", "it ended as asked", details)
            )
        else:
            if now_ms - slot.started_at >= self._params.stable_ms:
                slot.crashes = 0
            why = f", killed because {slot.why}" if slot.killed else ""
            events.append(self._fail(slot, now_ms, f"worker {slot.worker} ended with {code}{why}"))
        slot.worker, slot.successor = slot.successor, ""
        slot.stop_asked, slot.killed, slot.idle_since = None, False, None

    def _fail(self, slot: Slot, now_ms: int, message: str) -> ActionTaken:
        rest = self._params.cooldown_ms << min(slot.crashes, _CRASHES_COUNTED)
        slot.crashes += 1
        slot.resting_until = now_ms + rest
        slot.message = f"{message}; the node rests {rest / 1000:g} s"
        slot.heartbeat_due = now_ms
        details = {"rest_ms": str(rest), "crashes": str(slot.crashes)}
        return action(now_ms, slot.node.name, "node.failed", "done", slot.message, details)

    def _next(
        self, slot: Slot, wanted: list[PlacementDecided], now_ms: int, catalogue: Catalogue
    ) -> list[Instruction]:
        """Return what brings a node nearer to what is wanted of it."""
        if not slot.worker:
            rested = now_ms >= slot.resting_until
            return [self._start(slot, wanted, now_ms, catalogue)] if wanted and rested else []
        if slot.stop_asked is not None:
            late = now_ms - slot.stop_asked >= self._params.stop_grace_ms
            return self._kill(slot, "it did not end when it was asked") if late else []
        if silent_ms(slot, catalogue, now_ms) >= self._params.silent_ms:
            return self._kill(slot, "its heartbeats stay away though the log is heard")
        if wanted:
            slot.idle_since = None
            return renew(slot, wanted, now_ms, catalogue, self._params.succession_ms)
        if self._held:
            slot.idle_since = None
        elif slot.idle_since is None:
            slot.idle_since = now_ms
        elif now_ms - slot.idle_since >= self._params.idle_grace_ms:
            given_up = abandon(slot, now_ms)
            slot.stop_asked = now_ms
            slot.why, slot.causes = "nothing is placed here any more", ()
            return [*given_up, StopWorker(slot.node.name, slot.worker)]
        return []

    def _bound(
        self, slot: Slot, wanted: list[PlacementDecided], view: ProcessView | None
    ) -> list[Instruction]:
        """Hold a worker to what is placed on its node, and end it where it has more memory."""
        if not (self._params.hold and wanted and slot.worker) or slot.stop_asked is not None:
            return []
        node = slot.node.name
        bounds = bounds_of(wanted, node, self._params.overhead_mib)
        if slot.bound != (slot.worker, bounds):
            slot.bound = (slot.worker, bounds)
            return [BoundWorker(node, slot.worker, bounds)]
        if view is not None and view.memory_mib > bounds.memory_mib:
            held = f"it holds {view.memory_mib} MiB of memory"
            return self._kill(slot, f"{held}, more than the {bounds.memory_mib} MiB it was given")
        return []

    def _kill(self, slot: Slot, why: str) -> list[Instruction]:
        if slot.killed:
            return []
        slot.killed = True
        slot.why, slot.causes = why, ()
        return [KillWorker(slot.node.name, slot.worker)]

    def _start(
        self, slot: Slot, wanted: list[PlacementDecided], now_ms: int, catalogue: Catalogue
    ) -> StartWorker:
        slot.worker = slot.next_worker(catalogue)
        slot.started_at, slot.message = now_ms, ""
        slot.why = "placed here: " + ", ".join(decided.service for decided in wanted)
        slot.causes = tuple(decided.event_id for decided in wanted)
        return StartWorker(slot.node.name, slot.worker)

    def _heartbeat(self, slot: Slot, now_ms: int) -> NodeReported:
        node = slot.node
        resting = now_ms < slot.resting_until
        return NodeReported(
            node=node.name,
            zone=node.zone,
            cpu_milli=node.cpu_milli,
            memory_mib=node.memory_mib,
            labels=node.labels,
            architecture=node.architecture,
            operating_system=node.operating_system,
            software=node.software,
            speed=node.speed,
            status="failed" if resting else "ready",
            message=slot.message if resting else None,
            heartbeat=now_ms,
            expires_at=now_ms + self._params.expiry_ms,
            source="local",
        )

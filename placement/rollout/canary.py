"""canary: brings a new version of a service in by steps, and takes it back when it does worse.

A policy `canary/<service>` names the new version, a variant of the service, in its parameter
`variant`; the others set the terms (`verdict.CanaryPolicy`). Step by step a greater share of the
copies runs it; latency and failures of the copies of both versions are observed, and when there
are enough the new one is promoted to the next step, at last to the whole, or rolled back: when it
is worse, when nobody can tell for too long, when the policy is removed on the way, or at any time
when another one says so in its parameter `rollback`. A step is two
events: the policy `share/<service>`, which place follows, and an ActionTaken that says why.

Bounds: one rollout for each service with such a policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from placement.errors import InvalidParameters
from placement.rollout.state import CanaryState, Rollout
from placement.rollout.steps import Begin, Step, take
from schemas.authority import CANARY, frozen
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken, PlacementDecided
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.partitioning import partition_of
from schemas.processing import Batch, Home, Spec
from schemas.registrations import PolicySelected, ServiceRegistered
from schemas.topics import PARTITIONS


@dataclass(frozen=True, slots=True)
class CanaryParams:
    """`look_ms`: how often (ms, at least 1) rollouts are looked at."""

    look_ms: int = 1_000


class Canary:
    """The rollouts of the services whose application's key falls into one partition."""

    def __init__(self, partition: int, params: CanaryParams, partitions: int = PARTITIONS) -> None:
        self._partition = partition
        self._partitions = partitions
        self._params = params
        self._rollouts: dict[str, Rollout] = {}
        self._next_look = 0
        self._selected: Mapping[str, PolicySelected] = {}
        self._policies: dict[str, PolicySelected] = {}

    def process(self, batch: Batch) -> Sequence[Event]:
        """Look when it is time, then take note of what the batch tells."""
        out: list[Event] = []
        if batch.now_ms >= self._next_look:
            step = self._params.look_ms
            self._next_look = (batch.now_ms // step + 1) * step
            self._follow(batch.catalogue)
            for service in sorted(self._policies.keys() | self._rollouts.keys()):
                out += self._look(service, batch)
        for record in batch.records:
            if isinstance(record.event, Observation):
                rollout = self._rollouts.get(record.event.service)
                if rollout is not None and self._mine(record.event.app):
                    take(rollout, record.event, batch.catalogue)
        return out

    def wake_at(self) -> int | None:
        """Return when it looks next."""
        return self._next_look

    def snapshot(self) -> bytes:
        """Return all rollouts as Avro."""
        rollouts = tuple(rollout for _, rollout in sorted(self._rollouts.items()))
        return pack_state(CanaryState(next_look=self._next_look, rollouts=rollouts))

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises schemas.errors.DecodeError when it is none."""
        state = unpack_state(data, CanaryState)
        self._next_look = state.next_look
        self._rollouts = {rollout.service: rollout for rollout in state.rollouts}

    def _mine(self, app: str) -> bool:
        return partition_of(app, self._partitions) == self._partition

    def _follow(self, catalogue: Catalogue) -> None:
        selected = catalogue.of(PolicySelected)
        if selected is not self._selected:
            self._selected = selected
            self._policies = {
                scope.removeprefix(CANARY): policy
                for scope, policy in selected.items()
                if scope.startswith(CANARY)
            }

    def _look(self, service: str, batch: Batch) -> Iterator[Event]:
        registered = batch.catalogue.get(ServiceRegistered, service)
        policy = self._policies.get(service)
        rollout = self._rollouts.get(service)
        if registered is None:
            self._rollouts.pop(service, None)
            return
        if not self._mine(registered.app) or frozen(batch.catalogue, registered.app) is not None:
            return
        if policy is None or policy.mode == "observe":
            if rollout is not None:
                yield from Step(rollout, batch.catalogue, batch.now_ms).withdraw()
                del self._rollouts[service]
            return
        if rollout is None or rollout.policy != policy.event_id:
            rollout, said = Begin(registered, policy, batch.catalogue, batch.now_ms).run()
            self._rollouts[service] = rollout
            yield from said
        else:
            yield from Step(rollout, batch.catalogue, batch.now_ms).run(policy)


def _share(states: Sequence[CanaryState], partition: int, home: Home) -> CanaryState:
    return CanaryState(
        next_look=max(state.next_look for state in states),
        rollouts=tuple(r for state in states for r in state.rollouts if home(r.app) == partition),
    )


def spec(params: CanaryParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts know this processor on so many partitions.

    Raises placement.errors.InvalidParameters.
    """
    chosen = params or CanaryParams()
    if chosen.look_ms < 1:
        raise InvalidParameters(f"CanaryParams.look_ms is {chosen.look_ms}; it must be at least 1")
    return Spec(
        name="canary",
        inputs=("weir.observations",),
        outputs=(PolicySelected, ActionTaken),
        build=lambda partition: Canary(partition, chosen, partitions),
        parameters=stable_id("parameters", repr(chosen)),
        state=CanaryState,
        sized=lambda count: spec(params, count),
        share=_share,
        portable=True,
        catalogue=(ServiceRegistered, PlacementDecided, PolicySelected),
    )

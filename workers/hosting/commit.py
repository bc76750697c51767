"""The two ways in which a host makes its work safe."""

from collections.abc import Callable
from typing import Protocol

from schemas.codec import Codec
from schemas.processing import Spec
from workers.clock import wall_ms
from workers.hosting.output import encoded
from workers.hosting.oversize import sendable
from workers.hosting.work import Work
from workers.kafka.member import Member
from workers.kafka.sending import Deliveries, Transactions
from workers.settings import Settings

Stalled = Callable[[], bool]


class Committer(Protocol):
    """Sends what a host's work holds, and commits."""

    def recover(self) -> None:
        """Settle what was given up, before anything is restored. Raises Aborted, HostStopped."""
        ...

    def send(self, work: Work) -> None:
        """Send what need not wait for the commit."""
        ...

    def commit(self, work: Work, member: Member, now_ms: int) -> None:
        """Make all work safe. Raises Aborted when it must be done again, and HostStopped."""
        ...


class AtOnce:
    """Outputs, snapshots and offsets in one Kafka transaction."""

    def __init__(self, spec: Spec, settings: Settings, codec: Codec, stalled: Stalled) -> None:
        transactional_id = f"weir-{spec.name}-{settings.host.slot}"
        self._name = spec.name
        self._codec = codec
        self._transactions = Transactions(settings.kafka, transactional_id, stalled)

    def recover(self) -> None:
        """Settle the transaction that was given up."""
        self._transactions.recover()

    def send(self, work: Work) -> None:
        """Send nothing: everything waits for the commit."""

    def commit(self, work: Work, member: Member, now_ms: int) -> None:
        """Commit the transaction."""
        outputs = sendable(work.held, self._codec, processor=self._name, now_ms=now_ms)
        states = encoded(work.snapshots(now_ms), self._codec)
        self._transactions.commit(outputs, states, work.offsets(), member.generation)
        work.committed(sum(len(state.value) for state in states), now_ms)


class AsTheyCome:
    """Outputs at once; offsets of what is no longer needed when the outputs are acknowledged."""

    def __init__(self, spec: Spec, settings: Settings, codec: Codec, stalled: Stalled) -> None:
        self._name = spec.name
        self._codec = codec
        self._deliveries = Deliveries(settings.kafka, stalled)

    def recover(self) -> None:
        """Do nothing: what was sent is sent."""

    def send(self, work: Work) -> None:
        """Send all outputs."""
        held = sendable(work.held, self._codec, processor=self._name, now_ms=wall_ms())
        self._deliveries.send(held)
        work.held = []

    def commit(self, work: Work, member: Member, now_ms: int) -> None:
        """Wait for the acknowledgements, then commit the oldest offsets needed."""
        self.send(work)
        self._deliveries.settle()
        if member.commit(work.offsets()):
            work.committed(0, now_ms)


def committer(spec: Spec, settings: Settings, codec: Codec, stalled: Stalled) -> Committer:
    """Return the way that a specification asks for.

    `stalled` is called again and again while Kafka takes nothing; when it returns False, waiting
    is given up. Raises KafkaUnavailable.
    """
    if spec.transactional:
        return AtOnce(spec, settings, codec, stalled)
    return AsTheyCome(spec, settings, codec, stalled)

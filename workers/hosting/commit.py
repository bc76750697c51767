"""The two ways in which a host makes its work safe."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from schemas.codec import Codec
from schemas.processing import Partition, Spec
from workers.clock import wall_ms
from workers.hosting.output import encoded
from workers.hosting.oversize import sendable
from workers.hosting.work import Work
from workers.kafka.member import Member
from workers.kafka.sending import CALL_S, Deliveries, Transactions, Wave
from workers.settings import Settings

Stalled = Callable[[], bool]


class Committer(Protocol):
    """Sends what a host's work holds, and commits."""

    def recover(self) -> None:
        """Settle or forget what was given up, before anything is restored.

        Raises Aborted, HostStopped.
        """
        ...

    def send(self, work: Work) -> None:
        """Send what need not wait for the commit."""
        ...

    def commit(self, work: Work, member: Member, now_ms: int) -> None:
        """Make all work safe, or see to it that `tend` will.

        Raises Aborted when it must be done again, and HostStopped.
        """
        ...

    def tend(self, member: Member) -> None:
        """Go on with what was begun, without waiting; raises as `commit` does."""
        ...

    def finish(self, work: Work, member: Member, now_ms: int) -> None:
        """Make all work safe before its partitions go; raises as `commit` does."""
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
        """Commit the outputs, and the work that they follow from."""
        work.hold_back(now_ms)
        self._commit(work, member, now_ms)

    def _commit(self, work: Work, member: Member, now_ms: int) -> None:
        outputs = sendable(work.held, self._codec, processor=self._name, now_ms=now_ms)
        states = encoded(work.snapshots(now_ms), self._codec)
        self._transactions.commit(outputs, states, work.offsets(), member.generation)
        work.committed([len(state.value) for state in states], now_ms)

    def tend(self, member: Member) -> None:
        """Do nothing: a commit waits for its end."""

    def finish(self, work: Work, member: Member, now_ms: int) -> None:
        """Commit what is not yet safe."""
        if work.commit_due() is not None:
            self._commit(work, member, now_ms)


class _Owed(NamedTuple):
    """Offsets to commit when all that was sent before is acknowledged; since when, s."""

    offsets: dict[Partition, int]
    sent: Wave
    since: float


class AsTheyCome:
    """Outputs at once; offsets of what is no longer needed when the outputs are acknowledged.

    Nobody waits for the acknowledgements, nor for the commits: a stream is not to stand still for
    them. What is committed late is done again after a crash, which readers recognise.
    """

    def __init__(self, spec: Spec, settings: Settings, codec: Codec, stalled: Stalled) -> None:
        self._name = spec.name
        self._codec = codec
        self._deliveries = Deliveries(settings.kafka, stalled)
        self._owed: deque[_Owed] = deque()

    def recover(self) -> None:
        """Forget what was to be committed: others may own it by now."""
        self._owed.clear()

    def send(self, work: Work) -> None:
        """Send all outputs."""
        held = sendable(work.held, self._codec, processor=self._name, now_ms=wall_ms())
        self._deliveries.send(held)
        work.held = []

    def commit(self, work: Work, member: Member, now_ms: int) -> None:  # noqa: ARG002 - `tend` does
        """Note the oldest offsets needed; `tend` commits them."""
        self.send(work)
        self._owed.append(_Owed(work.offsets(), self._deliveries.mark(), time.monotonic()))
        work.committed((), now_ms)

    def tend(self, member: Member) -> None:
        """Commit what is acknowledged; wait for that only where Kafka takes nothing for long."""
        if not self._owed:
            return
        self._deliveries.serve()
        if time.monotonic() - self._owed[0].since > CALL_S:
            self._deliveries.settle()
        offsets: dict[Partition, int] = {}
        while self._owed and not self._owed[0].sent.left:
            offsets |= self._owed.popleft().offsets
        if offsets:
            member.commit_later(offsets)

    def finish(self, work: Work, member: Member, now_ms: int) -> None:  # noqa: ARG002 - at once
        """Wait for the acknowledgements, then commit the oldest offsets needed."""
        self.send(work)
        self._deliveries.settle()
        offsets: dict[Partition, int] = {}
        for owed in self._owed:
            offsets |= owed.offsets
        self._owed.clear()
        offsets |= work.offsets()
        if offsets:
            member.commit(offsets)


def committer(spec: Spec, settings: Settings, codec: Codec, stalled: Stalled) -> Committer:
    """Return the way that a specification asks for.

    `stalled` is called again and again while Kafka takes nothing; when it returns False, waiting
    is given up. Raises KafkaUnavailable.
    """
    if spec.transactional:
        return AtOnce(spec, settings, codec, stalled)
    return AsTheyCome(spec, settings, codec, stalled)

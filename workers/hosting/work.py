"""The instances of a processor that a host owns, and what of their work is not yet safe."""

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import groupby

from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.packed import Packed
from schemas.processing import Output, Partition, Spec
from workers.deadletters import BadShare
from workers.hosting.budget import LONGEST_WAIT_MS, Renewals, SnapshotBudget
from workers.hosting.homes import Homes
from workers.hosting.state import Instance, Step
from workers.kafka.clients import RawMessage
from workers.kafka.sending import Outgoing
from workers.snapshots import keeping as snapshots

QUIET_MS = 1_000
"""How long work without outputs may go uncommitted: it would only be done again."""
MOST_HELD = 20_000


class Work:
    """Applies messages to instances and holds what follows until it is committed.

    Instance p owns partition p of every input; a singleton's one instance owns all. `partitions`
    has their number per topic.
    """

    def __init__(
        self,
        spec: Spec,
        codec: Codec,
        cluster: str,
        max_bad_share: float,
        partitions: Mapping[str, int],
    ) -> None:
        self._spec = spec
        self._codec = codec
        self._cluster = cluster
        self._homes = Homes({} if spec.singleton else partitions, spec.name)
        self._limit = BadShare(max_bad_share, spec.name)
        self._instances: dict[int, Instance] = {}
        self._since: dict[int, int] = {}
        """Since when (ms) instances have worked that is not committed."""
        self._telling: set[int] = set()
        self._later: dict[int, int] = {}
        self._renewals = Renewals()
        self._at_end: Set[Partition] = frozenset()
        self._not_before = 0
        self._budget = SnapshotBudget()
        self.held: list[Output | Packed | Outgoing] = []

    def index_of(self, place: Partition) -> int:
        """Return which instance owns a partition."""
        return 0 if self._spec.singleton else place[1]

    def take_over(
        self, committed: Mapping[Partition, int], found: Mapping[str, Snapshot]
    ) -> dict[Partition, tuple[int, int]]:
        """Make and restore an instance for each group of partitions.

        Returns what is to be read again and handed to `rebuild`: first offset and end.
        """
        self.drop()
        again: dict[Partition, tuple[int, int]] = {}
        for index in {self.index_of(place) for place in committed}:
            own = {at: offset for at, offset in committed.items() if self.index_of(at) == index}
            instance = Instance(self._spec, index, self._codec, self._cluster, self._homes)
            snapshot = found.get(snapshots.key_of(self._spec.name, index))
            first = instance.begin(snapshot, own)
            again |= {at: (offset, instance.positions[at]) for at, offset in first.items()}
            self._instances[index] = instance
            if snapshot is not None:
                self._renewals.written(index, len(snapshot.state), snapshot.taken_at)
        return again

    def rebuild(self, messages: Sequence[RawMessage], catalogue: Catalogue) -> None:
        """Hand messages that were applied before the snapshot to their instances again."""
        for index, group in self._by_instance(messages).items():
            self._instances[index].rebuild(group, catalogue)

    def drop(self) -> None:
        """Forget all instances and what they hold."""
        self._instances = {}
        self._renewals = Renewals()
        self._at_end = frozenset()
        self.forget()

    def forget(self) -> None:
        """Note that nothing is held any more."""
        self._since = {}
        self._telling = set()
        self._later = {}
        self.held = []

    def apply(
        self,
        messages: Sequence[RawMessage],
        now_ms: int,
        catalogue: Catalogue,
        at_end: Set[Partition],
    ) -> Step:
        """Apply messages, and the due timers of instances that have read all that waited.

        A timer that fired before what waits is read would take the host's absence for silence.
        Raises TooManyBad, when what followed is held already, and RegistryUnavailable.
        """
        self._notice(now_ms)
        step = Step()
        for index, group in self._by_instance(messages).items():
            part = self._instances[index].apply(group, now_ms, catalogue)
            self._take(index, part, step, now_ms)
        self._at_end = at_end
        for index, instance in self._awake():
            self._take(index, instance.wake(now_ms, catalogue), step, now_ms)
        self._limit.count(step.messages, step.bad)
        return step

    def _notice(self, now_ms: int) -> None:
        """Take back appointments of a clock that was ahead; note which states are written again."""
        self._since = {index: min(since, now_ms) for index, since in self._since.items()}
        self._not_before = min(self._not_before, now_ms + LONGEST_WAIT_MS)
        for index in self._instances if self._spec.transactional else ():
            if self._renewals.due(index, now_ms):
                self._since.setdefault(index, now_ms)

    def _awake(self) -> Iterator[tuple[int, Instance]]:
        for index, instance in self._instances.items():
            if self._at_end >= instance.positions.keys() or instance.full:
                yield index, instance

    def _take(self, index: int, part: Step, step: Step, now_ms: int) -> None:
        if part.messages or part.outputs:
            self._since.setdefault(index, now_ms)
        if part.outputs or part.moved:
            self._telling.add(index)
        self.held += [*part.outputs, *part.moved]
        step.add(part)

    def _by_instance(self, messages: Sequence[RawMessage]) -> dict[int, list[RawMessage]]:
        if len(self._instances) == 1:
            (index,) = self._instances
            return {index: list(messages)} if messages else {}
        if not messages:
            return {}
        groups: dict[int, list[RawMessage]] = {index: [] for index in self._instances}
        for partition, run in groupby(messages, type(messages[0]).partition):
            if partition in groups:
                groups[partition] += run
        return {index: group for index, group in groups.items() if group}

    @property
    def full(self) -> bool:
        """Whether an instance can take no more messages for now."""
        return any(instance.full for instance in self._instances.values())

    def commit_due(self) -> int | None:
        """Return when (ms) what is held must become safe; None when nothing is."""
        if not self._since:
            return None
        first = min(self._since.values())
        if len(self.held) >= MOST_HELD:
            return first
        return self._not_before if self.held else first + QUIET_MS

    def next_wake(self) -> int | None:
        """Return when (ms) the next timer or commit is due; None when there is neither."""
        times = [instance.wake_at() for _, instance in self._awake()]
        return min((at for at in (*times, self.commit_due()) if at is not None), default=None)

    def hold_back(self, now_ms: int) -> None:
        """Leave instances that tell nothing to a later commit, for as long as they may wait.

        Their states need not be written then, which costs more than what the others tell.
        """
        if self.held and now_ms < min(self._since.values()) + QUIET_MS:
            quiet = self._since.keys() - self._telling
            self._later = {index: self._since[index] for index in quiet}

    def _chosen(self) -> list[int]:
        return sorted(self._since.keys() - self._later.keys())

    def snapshots(self, now_ms: int) -> list[Snapshot]:
        """Return the states of the instances that have worked and are not held back."""
        return [self._instances[index].snapshot(now_ms) for index in self._chosen()]

    def offsets(self) -> dict[Partition, int]:
        """Return what to commit for the instances that have worked and are not held back."""
        offsets: dict[Partition, int] = {}
        for index in self._chosen():
            offsets |= self._instances[index].offsets()
        return offsets

    def positions(self) -> dict[Partition, int]:
        """Return the next offset to apply of every partition."""
        found: dict[Partition, int] = {}
        for instance in self._instances.values():
            found |= instance.positions
        return found

    def committed(self, sizes: Sequence[int], now_ms: int) -> None:
        """Note that all that was held is safe, and how large the snapshots were, in their order."""
        for index, size in zip(self._chosen(), sizes, strict=bool(sizes)):
            self._renewals.written(index, size, now_ms)
        later = self._later
        self.forget()
        self._since = later
        self._not_before = self._budget.spend(sum(sizes), now_ms)

"""Results, responses and labels to metrics, joined by application and request id in any order.

Each result, response and label counts once; a repeated one (the same event id, or the same
request) gives nothing again for as long as its request is remembered. Forgetting a request is
silent: every metric that its records allow has been reported. What an operator must know of is
told as actions: labels that met neither a result nor a response, labels that contradict the first
one of their request, and requests that had to be forgotten early. Whether instances are available
is sampled from the catalogue.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processors.deriving.availability import NEVER, Availability
from processors.deriving.classes import ClassEntry, Classes
from processors.deriving.joins import Joins, Key, MarkState
from processors.deriving.metrics import Naming, apply, fill
from processors.params import identity, require
from schemas.base import Event
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import MetricReport
from schemas.processing import Batch, Output, Partition, Spec
from schemas.records import KeyValue, SourceRange
from schemas.registrations import InstanceReported
from schemas.topics import PARTITIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveParams:
    """For how long (ms) records of a request may join, in steps of `mark_ms`, and for how many.

    When more than `max_requests` are open, the oldest tenth is forgotten, and that is told.
    Availability is sampled every `availability_ms` (0: never) until an instance was silent for
    `gone_ms`. Of the true classes `classes` per application, and `all_classes` together, have an
    accuracy of their own per partition, and so have `conditions` and `all_conditions` of the
    conditions of requests; one unseen for `class_ttl_ms` makes room for another.
    """

    ttl_ms: int = 600_000
    mark_ms: int = 10_000
    max_requests: int = 100_000
    availability_ms: int = 5_000
    gone_ms: int = 3_600_000
    classes: int = 256
    all_classes: int = 2_048
    class_ttl_ms: int = 86_400_000
    conditions: int = 64
    all_conditions: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveState:
    """Where marks began (the entries are read again from the log), what is named, last sample."""

    marks: tuple[MarkState, ...]
    following: tuple[SourceRange, ...]
    classes: tuple[ClassEntry, ...] = ()
    sampled_ms: int = NEVER
    conditions: tuple[ClassEntry, ...] = ()


class Derive:
    """Derives the metrics of the requests of one partition of `partitions`."""

    def __init__(self, params: DeriveParams, partition: int, partitions: int = PARTITIONS) -> None:
        self._params = params
        self._partition = partition
        self._joins = Joins(params.ttl_ms, params.mark_ms, params.max_requests, fill)
        self._classes = Classes(params.classes, params.all_classes, params.class_ttl_ms)
        self._conditions = Classes(params.conditions, params.all_conditions, params.class_ttl_ms)
        self._availability = Availability(
            params.availability_ms, params.gone_ms, partition, partitions
        )

    def process(self, batch: Batch) -> Sequence[Output]:
        """Return the metrics that each record makes possible, in the records' order."""
        now_ms = batch.now_ms
        outputs: list[Output] = [*self._expire(now_ms)]
        outputs.extend(self._availability.sample(now_ms, batch.catalogue))
        if batch.records:
            self._joins.advance(now_ms)
        naming = Naming(
            lambda app, label: self._classes.name(app, label, now_ms),
            lambda app, condition: self._conditions.name(app, condition, now_ms),
        )
        for record in batch.records:
            entry = self._joins.entry(record, _key_of(record.event))
            outputs.extend(apply(entry, record.event, naming))
            if gone := self._joins.evict():
                outputs.append(self._evicted(gone, now_ms))
        return outputs

    def wake_at(self) -> int | None:
        """Return when requests are forgotten or availability is sampled; 0 for at once."""
        times = (self._joins.due(), self._availability.due())
        return min((at for at in times if at is not None), default=None)

    def snapshot(self) -> bytes:
        """Return the state without the requests, which the log holds."""
        marks, following = self._joins.state()
        state = DeriveState(
            marks=marks,
            following=following,
            classes=self._classes.state(),
            sampled_ms=self._availability.sampled_ms,
            conditions=self._conditions.state(),
        )
        return pack_state(state)

    def restore(self, data: bytes) -> None:
        """Take over a state; its requests come with `rebuild`."""
        state = unpack_state(data, DeriveState)
        self._joins.take_over(state.marks, state.following)
        self._classes.take_over(state.classes)
        self._conditions.take_over(state.conditions)
        self._availability.sampled_ms = state.sampled_ms

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return where the records of remembered requests begin."""
        return self._joins.needed()

    def rebuild(self, batch: Batch) -> None:
        """Remember the requests of records that had been applied."""
        for record in batch.records:
            self._joins.again(record, _key_of(record.event))

    def _expire(self, now_ms: int) -> Iterator[ActionTaken]:
        orphaned: Counter[tuple[int, str]] = Counter()
        contradicted: Counter[tuple[int, str]] = Counter()
        for mark, entry in self._joins.expire(now_ms):
            if entry.truth is not None:
                orphaned[mark, entry.truth.app] += entry.orphaned
                contradicted[mark, entry.truth.app] += entry.contradicted
        within = f"within {self._params.ttl_ms / 1000:g} s"
        for kind, counts, words in (
            ("unmatched", orphaned, f"labels met neither result nor response {within}"),
            (
                "contradicted",
                contradicted,
                "requests were given a label and then another one; the first label counts",
            ),
        ):
            for (mark, app), count in sorted(counts.items()):
                if count:
                    yield self._told(kind, app, mark, count, words, now_ms)

    def _told(
        self, kind: str, app: str, mark: int, count: int, words: str, now_ms: int
    ) -> ActionTaken:
        return ActionTaken(
            event_id=stable_id("derive", kind, self._partition, app, mark),
            target=app,
            kind=f"label.{kind}",
            status="done",
            policy="",
            reason=f"{count} {words}",
            parameters=(KeyValue(key="count", value=str(count)),),
            taken_at=now_ms,
        )

    def _evicted(self, gone: Sequence[Key], now_ms: int) -> ActionTaken:
        return ActionTaken(
            event_id=stable_id("derive", "evicted", *gone[0], *gone[-1], len(gone)),
            target="derive",
            kind="join.evicted",
            status="done",
            policy="",
            reason=f"more than {self._params.max_requests} requests were open; the oldest "
            f"{len(gone)} were forgotten, labels that follow for them will not match",
            parameters=(KeyValue(key="count", value=str(len(gone))),),
            taken_at=now_ms,
        )


def _key_of(event: Event) -> Key:
    return event.app, event.request_id  # type: ignore[attr-defined]  # all inputs have both


def spec(params: DeriveParams | None = None, partitions: int = PARTITIONS) -> Spec:
    """Return how hosts run derive on so many partitions.

    Raises InvalidParameters.
    """
    chosen = params or DeriveParams()
    require(chosen, ttl_ms=1, mark_ms=1, max_requests=1, availability_ms=0, gone_ms=0)
    require(chosen, classes=0, all_classes=0, class_ttl_ms=1, conditions=0, all_conditions=0)
    return Spec(
        name="derive",
        inputs=("weir.results", "weir.responses", "weir.labels"),
        outputs=(MetricReport, ActionTaken),
        build=lambda partition: Derive(chosen, partition, partitions),
        parameters=identity(chosen),
        format=3,
        state=DeriveState,
        catalogue=(InstanceReported,),
        portable=True,
        sized=lambda count: spec(chosen, count),
    )

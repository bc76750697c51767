"""The batch host: runs one processor on a consumer group, exactly once into Kafka.

Poll, decode, apply, then outputs, dead letters, snapshots and offsets in one transaction. When
anything goes wrong in between, the instances are dropped and restored from what was committed.
Processors that want speed instead of transactions have outputs sent at once, and the oldest
offset that they still need committed when those are acknowledged.
"""

import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from schemas import topics
from schemas.codec import Codec
from schemas.processing import Partition, Spec
from workers.catalogue import CatalogueReader
from workers.clock import Clock, wall_ms
from workers.errors import Aborted, KafkaUnavailable, RegistryUnavailable, TooManyBad
from workers.hosting import metrics
from workers.hosting.commit import Committer, committer
from workers.hosting.sizes import sized
from workers.hosting.work import Work
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.clients import RawMessage
from workers.kafka.member import Member
from workers.registry import Registry
from workers.settings import Settings
from workers.snapshots import keeping as snapshots
from workers.telemetry import logger

RETRY_S = 0.5
PROMPT_FETCH_WAIT_MS, FETCH_WAIT_MS = 40, 100
"""Longest waits of a transactional host's fetch. To a prompt one Kafka answers as soon as there is
something, to others when there is enough; the embedded broker at the end of the wait alone, and
each empty fetch costs it about a millisecond."""
SMALL_BATCH = 200
"""Most messages a poll where outputs are not to wait for each other."""
LAG_EVERY_MS = 2_000
RESTS = 3.0
"""Of the time spent on a batch, how long its host then gathers the next one."""
LONGEST_GATHER_S, SHORT_GATHER_S = 0.015, 0.003
YOUNG = 50_000
"""New objects after which Python looks for garbage: several polls, whose messages are none."""


class BatchHost:
    """Runs the processor of a specification until told to stop; one thread, one consumer.

    A catalogue that is given is shared: somebody else begins and stops it.
    """

    def __init__(
        self,
        spec: Spec,
        settings: Settings,
        *,
        codec: Codec | None = None,
        clock: Clock = wall_ms,
        catalogue: CatalogueReader | None = None,
    ) -> None:
        self.spec = spec
        self._settings = settings
        self._clock = clock
        self._codec = codec or Registry(settings.registry).codec()
        self._own_catalogue = catalogue is None
        self._catalogue = catalogue or CatalogueReader(settings.kafka, self._codec, spec.catalogue)
        self._log = logger(__name__, processor=spec.name)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._must_restore = True
        self._sending = False
        self._paused = False
        self._full = False
        self._finished = False
        self.standing: Mapping[Partition, int] = {}
        """Where it reads on, per partition; empty while it cannot. Replaced, never changed."""
        self._next_lag = 0
        self._rest_until = 0.0

    @property
    def ready(self) -> bool:
        """Whether partitions were assigned and restored since the start."""
        return self._ready.is_set()

    @property
    def owned(self) -> set[Partition]:
        """The partitions that it works on; none while it restores."""
        return set(self.standing)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then commit and leave the group.

        Raises HostStopped, KafkaUnavailable, RegistryUnavailable. Whatever a processor raises is
        a bug: it ends the host without a commit, so that nothing is lost.
        """
        self._stop = stop
        partitions = self._check_topics()
        self.spec = sized(self.spec, partitions)
        cluster = kafka.cluster_id(self._settings.kafka)
        limit = self._settings.host.max_bad_share
        self._work = Work(self.spec, self._codec, cluster, limit, partitions)
        group = f"weir-{self.spec.name}"
        self._member = Member(
            self._settings.kafka,
            group,
            self.spec.inputs,
            self,
            self._fetch_ms(),
            gathering=not self.spec.prompt,
        )
        try:
            self._work_on()
        finally:
            if not self._finished:
                self._work.drop()
            self._member.close()
            if self._own_catalogue:
                self._catalogue.stop()
            self._log.info("host.stopped", clean=self._finished)

    def _fetch_ms(self) -> int:
        if not self.spec.transactional:
            return 0
        return PROMPT_FETCH_WAIT_MS if self.spec.prompt else FETCH_WAIT_MS

    def _work_on(self) -> None:
        if self._own_catalogue:
            self._catalogue.begin()
        self._committer: Committer = committer(
            self.spec, self._settings, self._codec, self._stalled
        )
        self._catalogue.wait()
        while not self._stop.is_set():
            self._careful_turn()
        self._finished = True

    def _check_topics(self) -> dict[str, int]:
        outputs = {topics.home_of(event).name for event in self.spec.outputs}
        needed = {*self.spec.inputs, *outputs, "weir.deadletters", snapshots.TOPIC}
        return kafka.required(self._settings.kafka, needed - {topics.TASKS_PREFIX})

    def _careful_turn(self) -> None:
        try:
            if self._must_restore and self._member.owned():
                self._committer.recover()
                self._restore_patiently()
            self._turn()
            self.standing = {} if self._must_restore else self._work.positions()
        except (Aborted, RegistryUnavailable) as error:
            self._log.warning("host.starts_over", reason=str(error))
            metrics.ABORTS.labels(self.spec.name).inc()
            self._work.drop()
            self._must_restore = True
            self._stop.wait(RETRY_S)

    def _restore_patiently(self) -> None:
        """Restore; a host that has worked already outlasts a broker that does not answer."""
        try:
            self._restore()
        except KafkaUnavailable as error:
            if not self.ready:
                raise
            raise Aborted(str(error)) from error

    def _restore(self) -> None:
        committed = self._member.committed(self._member.owned())
        keys = {snapshots.key_of(self.spec.name, self._work.index_of(place)) for place in committed}
        found = {}
        if self.spec.transactional:
            found = snapshots.read_latest(self._settings.kafka, self._codec, keys)
        again = self._work.take_over(committed, found)
        catalogue = self._catalogue.current()
        for messages in kafka_reading.read_ranges(self._settings.kafka, again):
            self._work.rebuild(messages, catalogue)
        self._member.read_from(self._work.positions())
        self._must_restore = False
        if not self.ready:
            gc.freeze()  # what is loaded by now stays: nobody need look for garbage in it again
            gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
        self._ready.set()
        self._log.info(
            "host.restored",
            partitions=len(committed),
            snapshots=len(found),
            read_again=sum(end - first for first, end in again.values()),
        )

    def _turn(self) -> None:
        messages = self._poll()
        if self._must_restore:
            return
        now_ms = self._clock()
        begun = time.perf_counter()
        try:
            step = self._work.apply(
                messages, now_ms, self._catalogue.current(), self._member.at_end
            )
        except TooManyBad:
            self._commit(now_ms)
            raise
        if step.messages or step.outputs:
            name = self.spec.name
            metrics.BATCH_SECONDS.labels(name).observe(time.perf_counter() - begun)
            metrics.MESSAGES.labels(name).inc(step.messages)
            metrics.OUTPUTS.labels(name).inc(len(step.outputs))
            metrics.BAD.labels(name).inc(step.bad)
            metrics.MOVED.labels(name).inc(len(step.moved))
            self._guarded(lambda: self._committer.send(self._work))
        self._commit_if_due(now_ms)
        self._guarded(lambda: self._committer.tend(self._member))
        self._resume()
        if messages:
            ended = time.perf_counter()
            self._rest_until = ended + RESTS * (ended - begun)
        self._report_lag(now_ms)

    def _poll(self) -> Sequence[RawMessage]:
        """Return the next messages; none while a processor can take no more."""
        most, wait_s = self._settings.host.batch, self._wait_s()
        if not self.spec.transactional:
            most = min(most, SMALL_BATCH)
        full = self._work.full
        if full != self._full:
            self._full = full
            self._log.warning("host.full" if full else "host.reads_on")
            if not full and self._work.positions():
                self._member.read_from(self._work.positions())
        if full:
            self._member.keep_alive(wait_s)
            return []
        return self._member.poll(most, wait_s, min(wait_s, self._gather_s()))

    def _gather_s(self) -> float:
        """Return how long to gather a batch: each is followed by a rest of its own length, thrice.

        So what comes after a pause is worked on at once, and a stream costs a quarter of a core
        until it needs more. Nothing waits longer than 15 ms for company; 3 ms where outputs are
        not to wait for each other.
        """
        left = self._rest_until - time.perf_counter()
        longest = LONGEST_GATHER_S if self.spec.transactional else SHORT_GATHER_S
        return min(max(0.0, left), longest)

    def _wait_s(self) -> float:
        longest = self._settings.host.poll_ms
        due = self._work.next_wake()
        if due is None:
            return longest / 1000
        return min(longest, max(1, due - self._clock())) / 1000

    def _commit_if_due(self, now_ms: int) -> None:
        due = self._work.commit_due()
        if due is not None and due <= now_ms:
            self._commit(now_ms)

    def _commit(self, now_ms: int) -> None:
        with metrics.COMMIT_SECONDS.labels(self.spec.name).time():
            self._guarded(lambda: self._committer.commit(self._work, self._member, now_ms))

    def _resume(self) -> None:
        """Read on after Kafka took nothing for a while, when nothing is held any more."""
        if self._paused and self._work.commit_due() is None:
            self._paused = False
            self._log.info("host.resumed")
            self._member.read_from(self._work.positions())

    def _guarded(self, call: Callable[[], None]) -> None:
        self._sending = True
        try:
            call()
        finally:
            self._sending = False

    def _stalled(self) -> bool:
        """Stay in the group while Kafka takes nothing; False when work was lost or must end."""
        if self._stop.is_set() or self._must_restore or not self._sending:
            return False
        self.standing = {}
        if not self._paused:
            self._paused = True
            self._log.warning("host.paused", reason="Kafka takes no outputs")
        self._member.keep_alive(0.2)
        return not self._must_restore

    def _report_lag(self, now_ms: int) -> None:
        if now_ms < self._next_lag:
            return
        self._next_lag = now_ms + LAG_EVERY_MS
        for (topic, partition), lag in self._member.lag(self._work.positions()).items():
            metrics.LAG.labels(self.spec.name, topic, str(partition)).set(lag)

    def assigned(self) -> None:
        """Note that instances must be restored before the next batch."""
        self._work.drop()
        self._must_restore = True

    def revoked(self) -> None:
        """Commit what is under way, unless a commit is what is under way."""
        if not self._sending and not self._must_restore:
            self._must_restore = True
            try:
                self._committer.finish(self._work, self._member, self._clock())
            except Aborted as error:
                self._log.warning("host.not_committed", reason=str(error))
        self.assigned()

    def lost(self) -> None:
        """Forget what is under way: others have done it or will do it."""
        self.assigned()

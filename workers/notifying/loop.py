"""notify at work: reads what remedies ask to be told, tells it, and says what became of it.

At least once. A process that begins, or is given the partition, reads the log anew: what was
asked for and has no outcome yet is told then. Calls take long, so that threads make them, one for
each receiver, while the reader stays in its group.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from schemas.codec import Codec
from schemas.decisions import ActionTaken
from schemas.errors import ContractError
from workers.clock import wall_ms
from workers.errors import HostStopped
from workers.hosting.decode import rows
from workers.hosting.output import outgoing
from workers.kafka.clients import RawMessage
from workers.kafka.member import Member
from workers.kafka.reading import read_all
from workers.kafka.sending import Deliveries
from workers.notifying.outbox import Message, Outbox
from workers.notifying.sending import attempt, terms_of
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

GROUP = "weir-notify"
TOPIC = "weir.actions"
BATCH, POLL_S = 500, 0.2

log = logger(__name__)
Tried = Future[tuple[str, bool, int]]


class _Owner:
    """Notes that the partition was given, so that the log is read anew."""

    def __init__(self) -> None:
        self.stale = True

    def assigned(self) -> None:
        """Read anew."""
        self.stale = True

    def revoked(self) -> None:
        """Let go: what has no outcome another will tell."""

    def lost(self) -> None:
        """Let go."""


def run(settings: Settings, stop: threading.Event, ready: threading.Event) -> None:
    """Tell by the receivers that the settings name until `stop` is set.

    Raises KafkaUnavailable or HostStopped for what does not pass.
    """
    registry = Registry(settings.registry)
    try:
        Notify(settings, registry.codec()).run(stop, ready)
    except ContractError as error:
        raise HostStopped(f"notify cannot go on: {error}") from error
    finally:
        registry.close()


class Notify:
    """The process: one outbox, one thread for each receiver."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._outbox = Outbox(terms_of(settings.notify))
        self._calls: dict[str, tuple[Message, Tried]] = {}

    def run(self, stop: threading.Event, ready: threading.Event) -> None:
        """Work until told to stop. What is under way then is told again by the next."""
        owner = _Owner()
        sending = Deliveries(self._settings.kafka, lambda: not stop.is_set())
        member = Member(self._settings.kafka, GROUP, [TOPIC], owner)
        calling = ThreadPoolExecutor(max(1, len(self._outbox.terms.receivers)), "notify")
        ready.set()
        try:
            while not stop.is_set():
                messages = member.poll(BATCH, POLL_S)
                if owner.stale and member.owned():
                    owner.stale = False
                    self._begin()
                said = self._take(messages) + self._settle()
                if member.owned():
                    self._call(calling)
                sending.send([outgoing(action, self._codec) for action in said])
                if messages:
                    sending.settle()
                    member.commit(_next(messages))
        finally:
            calling.shutdown(wait=False, cancel_futures=True)
            sending.settle()
            member.close()

    def _begin(self) -> None:
        self._outbox = Outbox(terms_of(self._settings.notify))
        found = self._actions(list(read_all(self._settings.kafka, [TOPIC])))
        self._outbox.restore(found, wall_ms())
        log.info("notify.begins", waiting=self._outbox.size, receivers=self._outbox.terms.receivers)

    def _actions(self, messages: Sequence[RawMessage]) -> list[ActionTaken]:
        good, bad = rows(messages, self._codec)
        for one in bad:
            log.warning("notify.unreadable", reason=str(one.error))
        return [record.event for record in good if isinstance(record.event, ActionTaken)]

    def _take(self, messages: Sequence[RawMessage]) -> list[ActionTaken]:
        now_ms = wall_ms()
        actions = self._actions(messages) if messages else []
        return [said for action in actions for said in self._outbox.take(action, now_ms)]

    def _settle(self) -> list[ActionTaken]:
        """Note what became of the calls that are done."""
        said: list[ActionTaken] = []
        for receiver, (message, tried) in list(self._calls.items()):
            if not tried.done():
                continue
            del self._calls[receiver]
            why, again, wait_ms = tried.result()
            if why:
                log.warning("notify.not_taken", receiver=receiver, reason=why, again=again)
                said += self._outbox.failed(message, why, wall_ms(), again=again, wait_ms=wait_ms)
            else:
                said += self._outbox.sent(message, wall_ms())
        return said

    def _call(self, calling: ThreadPoolExecutor) -> None:
        now_ms = wall_ms()
        for message in self._outbox.due(now_ms, self._calls):
            ends = self._outbox.ends_ms(now_ms)
            tried = calling.submit(attempt, self._settings.notify, message, ends)
            self._calls[message.receiver] = (message, tried)


def _next(messages: Sequence[RawMessage]) -> dict[tuple[str, int], int]:
    """Return the offset after the last message of each partition."""
    return {(str(m.topic()), int(m.partition() or 0)): int(m.offset() or 0) + 1 for m in messages}

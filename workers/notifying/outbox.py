"""What is to be told, to whom, when; what became of it. No clock, no I/O: time is an argument.

Notices that come shortly after one another for one receiver and application are one message. A
message that is not taken is tried again, each time after twice as long; at the end of its
attempts, or when it is refused for what it is, an action `notify.failed` says so. What was sent is
said by `notify.sent`, by which a new process knows what it need not send.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from workers.notifying.notices import (
    ALERTMANAGER,
    ASKED,
    FIRING,
    RECEIVERS,
    RESOLVED,
    Notice,
    message_id,
    notice_of,
)

SENT, FAILED = "notify.sent", "notify.failed"
MOST = 1_000
"""Notices in a message."""
REMEMBERED = 20_000
FIRST_WAIT_MS, LONGEST_WAIT_MS = 1_000, 60_000
FIRING_MS = 86_400_000
"""So long an alert is told again and again that nobody resolves."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who is told (of `RECEIVERS`), and how; times in ms."""

    receivers: tuple[str, ...]
    group_ms: int = 2_000
    attempts: int = 8
    queue: int = 10_000
    repeat_ms: int = 60_000
    max_age_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Message:
    """Notices for one receiver, and how often they were tried; not before an instant (ms).

    `again` tells alerts that are known, so that they do not end.
    """

    receiver: str
    notices: tuple[Notice, ...]
    attempts: int = 0
    not_before: int = 0
    again: bool = False

    @property
    def identity(self) -> str:
        """Return its id."""
        return message_id(self.receiver, self.notices)


@dataclass(slots=True)
class Outbox:
    """Everything that waits, in order; at most `Terms.queue` notices."""

    terms: Terms
    _waiting: dict[tuple[str, str], list[Notice]] = field(default_factory=dict)
    _since: dict[tuple[str, str], int] = field(default_factory=dict)
    _retried: list[Message] = field(default_factory=list)
    _known: dict[tuple[str, str], None] = field(default_factory=dict)
    _firing: dict[str, Notice] = field(default_factory=dict)
    _repeated: int = 0

    def restore(self, actions: Iterable[ActionTaken], now_ms: int) -> None:
        """Take over what the log says: what was asked for, and what became of it."""
        every = list(actions)
        for one in every:
            if one.kind in (SENT, FAILED):
                told = {entry.key: entry.value for entry in one.parameters}
                self._remember((told.get("receiver", ""), cause) for cause in one.causes)
        for one in every:
            if one.kind != ASKED:
                continue
            if (ALERTMANAGER, one.event_id) in self._known and one.taken_at > now_ms - FIRING_MS:
                self._note_firing(notice_of(one))
            if one.taken_at > now_ms - self.terms.max_age_ms:
                self._queue(one, now_ms)

    def take(self, action: ActionTaken, now_ms: int) -> list[ActionTaken]:
        """Note what an action asks for; return what cannot be told for want of a receiver or room.

        The same again, and other actions, change nothing.
        """
        if action.kind != ASKED:
            return []
        wanted = self._wanted(action)
        failed = [
            _outcome(
                FAILED, one, (notice_of(action),), "nobody is configured to be told", 0, now_ms
            )
            for one in wanted
            if one not in self.terms.receivers
        ]
        self._queue(action, now_ms)
        return failed + list(self._shed(now_ms))

    def due(self, now_ms: int, busy: Iterable[str] = ()) -> list[Message]:
        """Return, once, the messages that are to be sent now; one for each receiver not busy."""
        found: list[Message] = []
        taken = set(busy)
        for message in [m for m in self._retried if m.not_before <= now_ms]:
            if message.receiver not in taken:
                taken.add(message.receiver)
                self._retried.remove(message)
                found.append(message)
        for key, notices in list(self._waiting.items()):
            if key[0] not in taken and now_ms >= self._since[key] + self.terms.group_ms:
                taken.add(key[0])
                found.append(Message(key[0], tuple(notices[:MOST])))
                self._waiting[key] = notices[MOST:]
                if not self._waiting[key]:
                    del self._waiting[key], self._since[key]
        return found + list(self._repeats(now_ms, taken))

    def sent(self, message: Message, now_ms: int) -> list[ActionTaken]:
        """Note that a message was taken, and return what to say of it."""
        if message.receiver == ALERTMANAGER:
            self._repeated = self._repeated if self._firing else now_ms
            for notice in () if message.again else message.notices:
                self._note_firing(notice)
        if message.again:
            return []
        words = f"told {message.receiver} of {len(message.notices)}"
        return [_outcome(SENT, message.receiver, message.notices, words, message.attempts, now_ms)]

    def failed(
        self, message: Message, why: str, now_ms: int, *, again: bool, wait_ms: int = 0
    ) -> list[ActionTaken]:
        """Note that a message was not taken; return what to say when that is its end."""
        attempts = message.attempts + 1
        if message.again:
            return []
        if again and attempts < self.terms.attempts:
            pause = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << (attempts - 1))
            later = now_ms + max(pause, wait_ms)
            self._retried.append(replace(message, attempts=attempts, not_before=later))
            return []
        for notice in message.notices if message.receiver == ALERTMANAGER else ():
            if notice.status == RESOLVED:
                self._note_firing(notice)
        return [_outcome(FAILED, message.receiver, message.notices, why, attempts, now_ms)]

    @property
    def size(self) -> int:
        """Return how many notices wait."""
        retried = sum(len(message.notices) for message in self._retried)
        return retried + sum(map(len, self._waiting.values()))

    def ends_ms(self, now_ms: int) -> int:
        """Return until when an alert fires that is not told again."""
        return now_ms + 4 * self.terms.repeat_ms

    def _wanted(self, action: ActionTaken) -> tuple[str, ...]:
        named = next((p.value for p in action.parameters if p.key == "receiver"), "")
        return (named,) if named else self.terms.receivers or RECEIVERS[:1]

    def _queue(self, action: ActionTaken, now_ms: int) -> None:
        for receiver in self._wanted(action):
            if (receiver, action.event_id) in self._known or receiver not in self.terms.receivers:
                continue
            self._remember([(receiver, action.event_id)])
            key = (receiver, action.app)
            self._since.setdefault(key, now_ms)
            self._waiting.setdefault(key, []).extend(self._as_told(receiver, notice_of(action)))

    def _as_told(self, receiver: str, notice: Notice) -> Iterator[Notice]:
        """Yield a notice, after the end of the alert whose labels it changes."""
        before = self._firing.get(notice.finding) if receiver == ALERTMANAGER else None
        if before is not None and before.labels != notice.labels:
            yield replace(before, status=RESOLVED, at=notice.at)
        yield notice

    def _remember(self, keys: Iterable[tuple[str, str]]) -> None:
        self._known |= dict.fromkeys(keys)
        for key in list(self._known)[: max(0, len(self._known) - REMEMBERED)]:
            del self._known[key]

    def _note_firing(self, notice: Notice) -> None:
        if notice.status == FIRING:
            self._firing[notice.finding] = notice
        elif self._firing.get(notice.finding, notice).labels == notice.labels:
            self._firing.pop(notice.finding, None)

    def _repeats(self, now_ms: int, taken: set[str]) -> Iterator[Message]:
        """Yield the alerts that fire, from time to time, so that they go on."""
        for finding in [f for f, one in self._firing.items() if one.at <= now_ms - FIRING_MS]:
            del self._firing[finding]
        waits = now_ms - self._repeated < self.terms.repeat_ms
        if waits or not self._firing or ALERTMANAGER in taken:
            return
        self._repeated = now_ms
        yield Message(ALERTMANAGER, tuple(self._firing.values())[-MOST:], again=True)

    def _shed(self, now_ms: int) -> Iterator[ActionTaken]:
        """Let the oldest go where too much waits, and say so."""
        while self.size > self.terms.queue and self._waiting:
            key = min(self._waiting, key=lambda one: self._since[one])
            gone = self._waiting[key].pop(0)
            if not self._waiting[key]:
                del self._waiting[key], self._since[key]
            why = f"more than {self.terms.queue} notices wait"
            yield _outcome(FAILED, key[0], (gone,), why, 0, now_ms)


def _outcome(
    kind: str, receiver: str, notices: tuple[Notice, ...], why: str, attempts: int, now_ms: int
) -> ActionTaken:
    identity = message_id(receiver, notices)
    told = {"receiver": receiver, "message": identity, "notices": str(len(notices))}
    if attempts:
        told["attempts"] = str(attempts)
    return ActionTaken(
        event_id=stable_id(kind, identity),
        target=receiver,
        kind=kind,
        status="done" if kind == SENT else "failed",
        policy=notices[0].remedy,
        reason=why,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
        taken_at=now_ms,
        causes=tuple(dict.fromkeys(one.event_id for one in notices)),
        app=notices[0].app,
    )

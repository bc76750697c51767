"""Dead letters mended by hand: read from Kafka, sent again, or given up; each deed is an event.

A copy carries, in the header `weir-retry-for`, the names of those who had refused the original:
they alone take it, because whoever had not refused it has applied it, or will when it comes to it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from schemas import checks, topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.decisions import ActionTaken, DeadLetter
from schemas.errors import ContractError, DecodeError, InvalidEvent, UnknownContract
from schemas.partitioning import partition_of_bytes
from workers import letters
from workers.errors import RecoveryRefused
from workers.hosting.output import encoded
from workers.hosting.retries import HEADER
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.resending import Copy, Place, Resender, read_at
from workers.kafka.sending import Outgoing
from workers.letters import Case
from workers.registry import FORGET_UNKNOWN_S
from workers.settings import KafkaSettings
from workers.telemetry import logger

TRANSACTIONAL_ID = "weir-deadletters"
ORIGIN = "weir-retry-of"
"""Header of a copy: topic/partition/offset of the original."""
AT_ONCE = 200

log = logger(__name__)
E = TypeVar("E", bound=Event)
Choice = Callable[[Sequence[Case]], Sequence[Case]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case: `done` or not, in words, and where the copy stands."""

    case: Case
    done: bool
    told: str
    copy: Place | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How bold a retry is: `again` repeats what was settled, `force` sends what is still bad."""

    again: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    case: Case
    processors: tuple[str, ...]
    copy: Copy
    note: str


def read_cases(settings: KafkaSettings, codec: Codec) -> list[Case]:
    """Return all cases on weir.deadletters with what was done about them, newest first.

    Raises KafkaUnavailable, RegistryUnavailable.
    """
    found = _events(kafka_reading.read_all(settings, ["weir.deadletters"]), codec, DeadLetter)
    start = letters.TARGET.encode()
    deeds = (
        message
        for message in kafka_reading.read_all(settings, ["weir.actions"])
        if (message.key() or b"").startswith(start)
    )
    return letters.cases_of(list(found), list(_events(deeds, codec, ActionTaken)))


def _events(messages: Iterable[kafka.RawMessage], codec: Codec, kind: type[E]) -> Iterator[E]:
    for message in messages:
        try:
            yield codec.decode(message.value() or b"", kind)
        except ContractError as error:
            log.warning("letter.unreadable", offset=message.offset(), error=str(error))


def retry(
    settings: KafkaSettings, codec: Codec, choose: Choice, terms: Terms, now_ms: int
) -> list[Outcome]:
    """Send the originals of the chosen cases again, each for those who had refused it.

    A copy and the event that records it are one transaction: whoever retries a second time is
    told. What cannot be sent says why. Raises KafkaUnavailable, RegistryUnavailable, and
    RecoveryRefused when somebody else retries at the same time.
    """
    with Resender(settings, TRANSACTIONAL_ID) as resender:
        plans, outcomes = _plans(settings, codec, choose, terms, now_ms)
        for first in range(0, len(plans), AT_ONCE):
            part = plans[first : first + AT_ONCE]
            outcomes += _send(resender, codec, part, now_ms)
    return outcomes


def rehearse(
    settings: KafkaSettings, codec: Codec, choose: Choice, terms: Terms, now_ms: int
) -> list[Outcome]:
    """Return what `retry` would do, and do nothing; raises as it does."""
    plans, outcomes = _plans(settings, codec, choose, terms, now_ms)
    return outcomes + [
        Outcome(plan.case, done=False, told=f"would be sent again {plan.note}") for plan in plans
    ]


def discard(
    settings: KafkaSettings, codec: Codec, choose: Choice, reason: str, now_ms: int
) -> list[Outcome]:
    """Record that nothing is to be done about the chosen cases; they are kept, with the reason.

    Raises as `retry` does.
    """
    with Resender(settings, TRANSACTIONAL_ID) as resender:
        chosen = list(choose(read_cases(settings, codec)))
        events = [letters.discarded(case, reason, now_ms) for case in chosen]
        resender.commit(encoded(events, codec))
    return [Outcome(case, done=True, told="discarded") for case in chosen]


def pause_ms(cases: Iterable[Case], now_ms: int) -> int:
    """Return how long readers may yet remember, in ms, that a schema of these is unknown."""
    unknown = (
        letter.detected_at
        for case in cases
        for letter in case.letters
        if letter.error == "unknown-schema"
    )
    newest = max(unknown, default=0)
    return max(0, round(newest + FORGET_UNKNOWN_S * 1000) + 1_000 - now_ms)


def _plans(
    settings: KafkaSettings, codec: Codec, choose: Choice, terms: Terms, now_ms: int
) -> tuple[list[_Plan], list[Outcome]]:
    chosen = list(choose(read_cases(settings, codec)))
    standing = read_at(settings, [case.place for case in chosen])
    counts = kafka.partition_counts(settings, needed={case.letter.topic for case in chosen})
    planner = _Planner(settings, codec, terms, now_ms, counts)
    plans: list[_Plan] = []
    outcomes: list[Outcome] = []
    for case in chosen:
        try:
            plans.append(planner.plan(case, standing.get(case.place)))
        except RecoveryRefused as refusal:
            outcomes.append(Outcome(case, done=False, told=str(refusal)))
    return plans, outcomes


def _send(resender: Resender, codec: Codec, plans: Sequence[_Plan], now_ms: int) -> list[Outcome]:
    placed: list[Place] = []

    def tell(places: Sequence[Place]) -> Sequence[Outgoing]:
        placed.extend(places)
        pairs = zip(plans, places, strict=True)
        events = [letters.retried(plan.case, plan.processors, at, now_ms) for plan, at in pairs]
        return encoded(events, codec)

    resender.send([plan.copy for plan in plans], tell)
    return [
        Outcome(plan.case, done=True, told=f"sent again {plan.note}", copy=place)
        for plan, place in zip(plans, placed, strict=True)
    ]


class _Planner:
    """Decides, case by case, what is to be sent where, or why nothing is."""

    def __init__(
        self,
        settings: KafkaSettings,
        codec: Codec,
        terms: Terms,
        now_ms: int,
        counts: Mapping[str, int],
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._terms = terms
        self._now_ms = now_ms
        self._counts = counts
        self._newest: dict[str, dict[tuple[int, bytes], int]] = {}

    def plan(self, case: Case, standing: kafka.RawMessage | None) -> _Plan:
        """Return what to send for a case; raises RecoveryRefused."""
        processors = self._readers(case)
        letter = case.letter
        _refuse_foreign(letter.topic)
        if standing is not None and letters.is_original(letter, standing.value()):
            key, value, headers = standing.key(), standing.value(), standing.headers() or []
            note = f"for {', '.join(processors)}"
        elif letters.keeps_whole(letter):
            key, value, headers = letter.key, letter.payload, []
            note = f"for {', '.join(processors)}, without headers: the log has lost the original"
        else:
            raise RecoveryRefused(
                f"{_text(case.place)} is no longer on the log and the letter holds "
                f"{len(letter.payload)} of {letter.length} bytes: it cannot be sent; discard it"
            )
        self._refuse_superseded(case, key)
        event = self._check(letter.topic, key, value)
        own = [(HEADER, ",".join(processors).encode()), (ORIGIN, _text(case.place).encode())]
        kept = [(name, text) for name, text in headers if name not in (HEADER, ORIGIN)]
        partition = self._partition(letter, key, event)
        copy = Copy(letter.topic, partition, key, value, (*kept, *own))
        return _Plan(case, processors, copy, note)

    def _readers(self, case: Case) -> tuple[str, ...]:
        if case.unsettled:
            return case.unsettled
        if self._terms.again:
            return case.refused_by
        last = case.deeds[-1]
        then = f"; it was refused again as {case.again[:12]}" if case.again else ""
        raise RecoveryRefused(f"settled already ({last.reason}){then}; --again does it once more")

    def _refuse_superseded(self, case: Case, key: bytes | None) -> None:
        """Keep an old entry of a compacted topic from taking the place of a newer one."""
        topic, partition, offset = case.place
        if not topics.topic_named(topic).compacted or self._terms.force:
            return
        if topic not in self._newest:
            self._newest[topic] = {
                (int(message.partition() or 0), message.key() or b""): int(message.offset() or 0)
                for message in kafka_reading.read_all(self._settings, [topic])
            }
        if self._newest[topic].get((partition, key or b""), -1) > offset:
            raise RecoveryRefused(
                "a newer entry stands under its key, which it would undo; discard it, or --force"
            )

    def _check(self, topic: str, key: bytes | None, value: bytes | None) -> Event | None:
        """Return the event if it can be read now; what is as bad as before is not sent."""
        home = topics.topic_named(topic)
        try:
            if len(value or b"") > home.max_bytes:
                raise DecodeError(
                    "too-large", f"{len(value or b'')} bytes; at most {home.max_bytes}"
                )
            event: Event = self._codec.decode(value or b"", *home.events)
            checks.check(event, self._now_ms)
            if home.compacted and topics.key_of(event).encode() != key:
                raise InvalidEvent("key", home.key[0], f"the key must be {topics.key_of(event)!r}")
        except ContractError as error:
            if self._terms.force:
                return None
            raise RecoveryRefused(f"would be refused again: {error}; --force sends it") from error
        return event

    def _partition(self, letter: DeadLetter, key: bytes | None, event: Event | None) -> int:
        count = self._counts.get(letter.topic, 0)
        if count == 0:
            raise RecoveryRefused(f"the topic {letter.topic} is gone; discard it")
        if event is not None:
            return partition_of_bytes(topics.key_of(event).encode(), count)
        return partition_of_bytes(key, count) if key else min(letter.partition, count - 1)


def _refuse_foreign(topic: str) -> None:
    """Keep what an intake refused of others' topics with those who wrote it."""
    try:
        topics.topic_named(topic)
    except UnknownContract as error:
        raise RecoveryRefused(
            f"{topic} is none of our topics: mend it where it was written, then discard this"
        ) from error


def _text(place: Place) -> str:
    return "/".join(str(part) for part in place)

"""Reads QoA4ML's reports from a topic of JSON, at least once; malformed ones become dead letters.

A batch's offsets are committed when Kafka has its events. Translations are the same at every
repeat: a report that does not say when it was made counts as made at its record's timestamp.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence

from schemas.decisions import DeadLetter
from schemas.errors import InvalidEvent
from workers.clock import wall_ms
from workers.deadletters import Refused, dead_letter
from workers.intake import qoa4ml, qoa4ml_events
from workers.intake.delivering import Retry, Unfit
from workers.intake.deltas import Draft
from workers.intake.qoa4ml import Malformed
from workers.intake.receiving import Receiver
from workers.intake.translated import Translated
from workers.kafka.clients import RawMessage
from workers.kafka.member import Member
from workers.settings import KafkaSettings
from workers.telemetry import logger

BATCH = 200
POLL_S = 0.2
RETRY_S = 1.0
SOURCE = "qoa4ml-topic"

log = logger(__name__)


class _Nobody:
    """An owner that keeps nothing per partition: reading goes on at what is committed."""

    def assigned(self) -> None:
        """Read on."""

    def revoked(self) -> None:
        """Let go: what was not committed is read again by another."""

    def lost(self) -> None:
        """Let go."""


class ReportTopic:
    """Reads a topic in a thread of its own, for the event loop in which the receiver works."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        receiver: Receiver,
        loop: asyncio.AbstractEventLoop,
        cluster: str = "",
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._receiver = receiver
        self._loop = loop
        self._cluster = cluster

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set. Raises KafkaUnavailable for what does not pass."""
        member = Member(self._settings, f"weir-intake-{self._topic}", [self._topic], _Nobody())
        try:
            while not stop.is_set():
                messages = member.poll(BATCH, POLL_S)
                if messages and self._taken(messages, stop):
                    member.commit(_next(messages))
        finally:
            member.close()

    def _taken(self, messages: Sequence[RawMessage], stop: threading.Event) -> bool:
        """Tell whether Kafka has what messages say; False when asked to stop before."""
        try:
            return self._insist(lambda _, __: self._translate(messages), stop)
        except Unfit as error:
            whole = Malformed(str(error))
        if len(messages) == 1:
            letter = Translated([self._letter(messages[0], whole)])
            return self._insist(lambda _, __: letter, stop)
        half = len(messages) // 2
        return self._taken(messages[:half], stop) and self._taken(messages[half:], stop)

    def _insist(self, translate: Callable[[Draft, int], Translated], stop: threading.Event) -> bool:
        """Try until Kafka has the events; False when asked to stop before. Raises Unfit."""
        while True:
            try:
                taking = self._receiver.take(SOURCE, translate)
                asyncio.run_coroutine_threadsafe(taking, self._loop).result()
            except Retry as error:
                log.warning("intake.waits", topic=self._topic, reason=str(error))
            else:
                return True
            if stop.wait(RETRY_S):
                return False

    def _translate(self, messages: Sequence[RawMessage]) -> Translated:
        out = Translated()
        for message in messages:
            try:
                found = self._read(message)
            except Malformed as error:
                out.refused["malformed reports"] += 1
                out.events.append(self._letter(message, error))
                continue
            out.events += found.events
            out.refused += found.refused
            out.passed += found.passed
        return out

    def _read(self, message: RawMessage) -> Translated:
        value = message.value() or b""
        most = self._receiver.settings.max_body
        if len(value) > most:
            raise Malformed(f"{len(value)} bytes; at most {most} are taken")
        report = qoa4ml.read(value)
        stamp = message.timestamp()[1]
        names = self._receiver.terms.names
        return qoa4ml_events.translate(report, names, stamp if stamp > 0 else wall_ms())

    def _letter(self, message: RawMessage, error: Malformed) -> DeadLetter:
        invalid = InvalidEvent("malformed-report", "", str(error))
        return dead_letter(
            Refused.of(message),
            invalid,
            processor="intake",
            now_ms=wall_ms(),
            cluster=self._cluster,
        )


def _next(messages: Sequence[RawMessage]) -> dict[tuple[str, int], int]:
    """Return the offset after the last message of each partition."""
    return {(str(m.topic()), int(m.partition() or 0)): int(m.offset() or 0) + 1 for m in messages}

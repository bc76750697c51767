"""The narrator at work: reads diagnoses from Kafka, sends what became of them, at least once.

Offsets are committed when the broker has the narratives of all before them. Calls take long, so
that a thread makes them while the reader stays in its group.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.observing import QualityEvaluated
from schemas.quality import DiagnosisNarrated
from workers.errors import HostStopped
from workers.hosting.decode import rows
from workers.hosting.output import outgoing
from workers.kafka.clients import RawMessage
from workers.kafka.member import Member
from workers.kafka.reading import read_all
from workers.kafka.sending import Deliveries
from workers.narrating.narrator import Narrator
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

GROUP = "weir-narrate"
INPUT, OUTPUT = "weir.quality", "weir.narratives"
BATCH, POLL_S, ALIVE_S = 500, 0.5, 0.2

log = logger(__name__)


class _Nobody:
    """An owner that keeps nothing per partition: reading goes on at what is committed."""

    def assigned(self) -> None:
        """Read on."""

    def revoked(self) -> None:
        """Let go: what was not committed is read again by another."""

    def lost(self) -> None:
        """Let go."""


def run(settings: Settings, stop: threading.Event, ready: threading.Event) -> None:
    """Narrate by the endpoint that the settings name until `stop` is set.

    Raises KafkaUnavailable or HostStopped for what does not pass.
    """
    registry = Registry(settings.registry)
    narrator = Narrator(settings.narrate, stop.wait)
    try:
        codec = registry.codec()
        good, _ = rows(list(read_all(settings.kafka, [OUTPUT])), codec)
        narrator.remember(r.event for r in good if isinstance(r.event, DiagnosisNarrated))
        ready.set()
        log.info("narrate.ready", model=settings.narrate.model)
        _Loop(settings, codec, narrator, stop).run()
    except ContractError as error:
        raise HostStopped(f"narrate cannot go on: {error}") from error
    finally:
        registry.close()


class _Loop:
    """Reads, lets a thread ask, and stays in its group meanwhile."""

    def __init__(
        self, settings: Settings, codec: Codec, narrator: Narrator, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._narrator = narrator
        self._stop = stop
        self._sending = Deliveries(settings.kafka, lambda: not stop.is_set())
        self._asking = ThreadPoolExecutor(1, "narrate")

    def run(self) -> None:
        """Work until told to stop."""
        member = Member(self._settings.kafka, GROUP, [INPUT], _Nobody())
        try:
            while not self._stop.is_set():
                messages = member.poll(BATCH, POLL_S)
                if messages and self._narrated(messages, member):
                    member.commit(_next(messages))
        finally:
            self._asking.shutdown()
            member.close()

    def _narrated(self, messages: Sequence[RawMessage], member: Member) -> bool:
        """Narrate what is wanted of some messages; False when asked to stop before the end."""
        good, bad = rows(messages, self._codec)
        for one in bad:
            log.warning("narrate.unreadable", reason=str(one.error))
        verdicts = [r.event for r in good if isinstance(r.event, QualityEvaluated)]
        wanted = self._narrator.wanted(verdicts)
        for diagnosis in wanted:
            asked = self._asking.submit(self._narrator.narrate, diagnosis)
            while not asked.done():
                member.keep_alive(ALIVE_S)
            narrative = asked.result()
            if narrative is None:
                return False
            self._sending.send([outgoing(narrative, self._codec)])
        if wanted:
            self._sending.settle()
            member.commit(_next(messages))
            member.read_from(member.committed(member.owned()))
        return True


def _next(messages: Sequence[RawMessage]) -> dict[tuple[str, int], int]:
    """Return the offset after the last message of each partition."""
    return {(str(m.topic()), int(m.partition() or 0)): int(m.offset() or 0) + 1 for m in messages}

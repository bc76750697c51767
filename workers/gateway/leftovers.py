"""Topics of answers that gateways left behind which ended without an orderly end.

A gateway writes a record to its own topic every `workers.client.BEAT_S`, so that one whose newest
record is much older belongs to nobody.
"""

from workers.client import BEAT_S
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka.ends import End, ends
from workers.settings import KafkaSettings
from workers.telemetry import logger

PREFIX = "weir-replies.gateway-"
STALE_MS = round(3000 * BEAT_S)

log = logger(__name__)


def remove(settings: KafkaSettings, now_ms: int) -> list[str]:
    """Delete the topics of gateways that are gone, and return their names.

    What cannot be deleted stays, and is told. Raises KafkaUnavailable when no broker answers.
    """
    counts = kafka.partition_counts(settings)
    found = [name for name in counts if name.startswith(PREFIX)]
    if not found:
        return []
    ended = ends(settings, {(name, 0) for name in found})
    left = sorted(name for (name, _), end in ended.items() if is_stale(end, now_ms))
    try:
        kafka.delete_topics(settings, left)
    except KafkaUnavailable as error:  # perhaps it may not; who serves does not depend on it
        log.warning("gateway.leftovers", topics=left, error=str(error))
        return []
    if left:
        log.info("gateway.cleaned", topics=left)
    return left


def is_stale(end: End, now_ms: int) -> bool:
    """Return whether nobody has written for long: what was written is old, or gone by retention.

    A topic that never held anything may just have been made.
    """
    if end.newest_ms is None:
        return end.high > 0
    return now_ms - end.newest_ms > STALE_MS

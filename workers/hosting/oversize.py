"""Outputs that their topics do not take: dead letters stand in their place, the rest goes on."""

import hashlib
from collections.abc import Iterable, Iterator

from schemas.codec import Codec
from schemas.decisions import DeadLetter
from schemas.errors import UnknownContract
from schemas.identity import stable_id
from schemas.packed import Packed
from schemas.processing import Output
from schemas.topics import topic_named
from workers.deadletters import KEPT_BYTES
from workers.hosting.output import encoded, outgoing
from workers.kafka.sending import Outgoing

ENVELOPE = 512
"""What a broker counts of a message besides key and value, bytes, and then some."""
ANY_TOPIC_TAKES = 1_000_000
"""No topic of the table takes less."""
NOWHERE = -1
"""Partition and offset of what never stood on a topic."""


def sendable(
    outputs: Iterable[Output | Packed | Outgoing],
    codec: Codec,
    *,
    processor: str,
    now_ms: int,
) -> list[Outgoing]:
    """Encode outputs in their order; a dead letter stands for each that Kafka would refuse.

    Refused for good, it would end the transaction of everything that was decided with it, again
    and again. Raises EncodeError.
    """
    return list(_each(encoded(outputs, codec), codec, processor, now_ms))


def _each(
    records: Iterable[Outgoing], codec: Codec, processor: str, now_ms: int
) -> Iterator[Outgoing]:
    for record in records:
        most = None if len(record.value) < ANY_TOPIC_TAKES - len(record.key) else _most(record)
        if most is None or len(record.key) + len(record.value) <= most:
            yield record
        else:
            yield outgoing(_letter(record, most, processor, now_ms), codec)


def _most(record: Outgoing) -> int | None:
    """Return how many bytes of key and value a topic takes; None where others say so."""
    try:
        return topic_named(record.topic).max_bytes - ENVELOPE
    except UnknownContract:
        return None


def _letter(record: Outgoing, most: int, processor: str, now_ms: int) -> DeadLetter:
    length, digest = len(record.value), hashlib.sha256(record.value).hexdigest()
    return DeadLetter(
        event_id=stable_id("deadletter", "output", processor, record.topic, digest),
        topic=record.topic,
        partition=NOWHERE,
        offset=NOWHERE,
        timestamp=now_ms,
        key=record.key[:KEPT_BYTES],
        payload=record.value[:KEPT_BYTES],
        length=length,
        sha256=digest,
        error="output-too-large",
        field="",
        message=(
            f"{processor} decided {length} bytes where {record.topic} takes {most}: this was not "
            "sent; make smaller what it is made of (see the first bytes in payload)"
        ),
        processor=processor,
        detected_at=now_ms,
    )

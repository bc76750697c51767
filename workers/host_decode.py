"""From messages to events, as rows or as columns, and what was wrong with the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from schemas import checks, columns
from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.errors import ContractError, DecodeError
from schemas.observing import MetricReport
from schemas.processing import Columns, Partition, Record
from schemas.topics import Topic, topic_named
from workers.kafka import RawMessage


@dataclass(frozen=True, slots=True)
class Bad:
    """A message that cannot be used, and why."""

    message: RawMessage
    error: ContractError


def by_partition(messages: Iterable[RawMessage]) -> dict[Partition, list[RawMessage]]:
    """Group messages by where they stood, in their order."""
    groups: dict[Partition, list[RawMessage]] = {}
    for message in messages:
        place = (message.topic(), message.partition())
        group = groups.get(place)  # type: ignore[arg-type]
        if group is None:
            groups[place] = [message]  # type: ignore[index]
        else:
            group.append(message)
    return groups


def rows(messages: Sequence[RawMessage], codec: Codec) -> tuple[list[Record], list[Bad]]:
    """Decode messages of any topics one by one."""
    good: list[Record] = []
    bad: list[Bad] = []
    for message in messages:
        try:
            record = _record(message, codec)
        except ContractError as error:
            bad.append(Bad(message, error))
        else:
            if record is not None:
                good.append(record)
    return good, bad


def _record(message: RawMessage, codec: Codec) -> Record | None:
    topic = topic_named(str(message.topic()))
    value = message.value()
    if value is None and topic.compacted:
        return None
    _check_size(value, topic)
    event = codec.decode(value or b"", *topic.events)
    timestamp = message.timestamp()[1]
    checks.check(event, timestamp)
    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
    return Record(event, topic.name, partition, offset, timestamp)


def frame(
    messages: Sequence[RawMessage], topic: str, codec: Codec
) -> tuple[pl.DataFrame, list[Bad]]:
    """Decode messages of one partition of a topic with one event class to columns.

    The frame has the event's fields and `_offset`, Int64, ascending.
    """
    home = topic_named(topic)
    event = home.events[0]
    values = [message.value() or b"" for message in messages]
    bad = [Bad(messages[row], error) for row, error in _oversize(values, home)]
    if bad:
        refused = {id(wrong.message) for wrong in bad}
        messages = [message for message in messages if id(message) not in refused]
        values = [message.value() or b"" for message in messages]
    decoded = columns.decode(values, event, codec)
    bad += [Bad(messages[wrong.row], wrong.error) for wrong in decoded.bad]
    placed = _placed(decoded.frame, messages)
    good, refusals = checks.check_frame(placed, event)
    bad += [Bad(messages[wrong.row], wrong.error) for wrong in refusals]
    return good.drop("_row", "_timestamp"), sorted(
        bad, key=lambda wrong: wrong.message.offset() or 0
    )


def batch_of(frame: pl.DataFrame, place: Partition, now_ms: int, catalogue: Catalogue) -> Columns:
    """Return what a processor takes of a frame of one partition."""
    if topic_named(place[0]).events[0] is not MetricReport:
        return Columns(frame, *place, now_ms=now_ms, catalogue=catalogue)
    lean, series = columns.metrics(frame)
    return Columns(lean, *place, now_ms=now_ms, catalogue=catalogue, series=series)


def _placed(decoded: pl.DataFrame, messages: Sequence[RawMessage]) -> pl.DataFrame:
    offsets = pl.Series("_offset", [message.offset() for message in messages], dtype=pl.Int64)
    times = pl.Series(
        "_timestamp", [message.timestamp()[1] for message in messages], dtype=pl.Int64
    )
    if decoded.height < len(messages):
        kept = decoded["_row"]
        offsets, times = offsets.gather(kept), times.gather(kept)
    return decoded.with_columns(offsets, times)


def _oversize(values: Sequence[bytes], topic: Topic) -> list[tuple[int, DecodeError]]:
    if max(map(len, values), default=0) <= topic.max_bytes:
        return []
    return [
        (row, _too_large(len(value), topic))
        for row, value in enumerate(values)
        if len(value) > topic.max_bytes
    ]


def _check_size(value: bytes | None, topic: Topic) -> None:
    if value is not None and len(value) > topic.max_bytes:
        raise _too_large(len(value), topic)


def _too_large(length: int, topic: Topic) -> DecodeError:
    return DecodeError(
        "too-large",
        f"{length} bytes where {topic.name} takes at most {topic.max_bytes}; "
        "send what is large by reference",
    )

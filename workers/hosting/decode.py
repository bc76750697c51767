"""From messages to events, one by one, and what was wrong with the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from schemas import checks
from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.processing import Partition, Record
from schemas.topics import topic_named
from workers.kafka.clients import RawMessage


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


Reads = Mapping[type[Event], tuple[str, ...]]


def rows(
    messages: Sequence[RawMessage], codec: Codec, reads: Reads = MappingProxyType({})
) -> tuple[list[Record], list[Bad]]:
    """Decode messages of any topics one by one; `reads` as `Spec.reads` has it."""
    good: list[Record] = []
    bad: list[Bad] = []
    for message in messages:
        try:
            record = _record(message, codec, reads)
        except ContractError as error:
            bad.append(Bad(message, error))
        else:
            if record is not None:
                good.append(record)
    return good, bad


def _record(message: RawMessage, codec: Codec, reads: Reads) -> Record | None:
    topic = topic_named(str(message.topic()))
    value = message.value()
    if value is None and topic.compacted:
        return None
    checks.check_size(len(value or b""), topic)
    fields = reads.get(topic.events[0]) if len(topic.events) == 1 else None
    event = codec.decode(value or b"", *topic.events, fields=fields)
    timestamp = message.timestamp()[1]
    checks.check(event, timestamp)
    partition, offset = int(message.partition() or 0), int(message.offset() or 0)
    return Record(event, topic.name, partition, offset, timestamp)

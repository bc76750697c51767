"""What a host sends: outputs of processors, encoded."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from schemas import topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.packed import Packed
from schemas.packing import encode_many
from schemas.processing import Directed, Output
from workers.kafka_sending import Outgoing


def outgoing(output: Output | Packed, codec: Codec) -> Outgoing:
    """Encode an output for the topic and key that the topic table, or the output itself, says.

    Raises EncodeError.
    """
    if isinstance(output, Packed):
        value = codec.framed(output.kind, output.body)
        return Outgoing(topics.home_of(output.kind).name, output.key.encode(), value)
    if isinstance(output, Directed):
        key = topics.key_of(output.event).encode()
        partition = -1 if output.partition is None else output.partition
        return Outgoing(output.topic, key, codec.encode(output.event), partition)
    return Outgoing(topics.topic_of(output), topics.key_of(output).encode(), codec.encode(output))


def encoded(outputs: Iterable[Output | Outgoing], codec: Codec) -> list[Outgoing]:
    """Encode outputs in their order; what is encoded already stays. Raises EncodeError."""
    found: list[Outgoing] = []
    for kind, run in groupby(outputs, type):
        if kind is Outgoing or kind is Directed:
            found += [one if isinstance(one, Outgoing) else outgoing(one, codec) for one in run]
        else:
            found += _alike(list(run), codec)  # type: ignore[arg-type]  # events, by their type
    return found


def _alike(events: Sequence[Event], codec: Codec) -> Iterator[Outgoing]:
    """Encode events of one class."""
    names = map(topics.topic_of, events)
    keys = map(str.encode, map(topics.key_of, events))
    return map(Outgoing, names, keys, encode_many(events, codec))

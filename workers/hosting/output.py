"""What a host sends: outputs of processors, encoded."""

from collections.abc import Iterable
from itertools import groupby

from schemas import topics
from schemas.base import Event
from schemas.codec import Codec
from schemas.packed import Packed
from schemas.processing import Directed, Output
from workers.kafka.sending import Outgoing


def outgoing(output: Output | Packed, codec: Codec) -> Outgoing:
    """Encode an output for the topic and key that the topic table, or the output itself, says.

    Raises EncodeError.
    """
    if isinstance(output, Packed):
        value = codec.framed(output.kind, output.body)
        topic = output.topic or topics.home_of(output.kind).name
        return Outgoing(topic, output.key.encode(), value)
    if isinstance(output, Directed):
        key = topics.key_of(output.event).encode()
        partition = -1 if output.partition is None else output.partition
        return Outgoing(output.topic, key, codec.encode(output.event), partition)
    return Outgoing(topics.topic_of(output), topics.key_of(output).encode(), codec.encode(output))


def encoded(outputs: Iterable[Output | Packed | Outgoing], codec: Codec) -> list[Outgoing]:
    """Encode outputs in their order; what is encoded already stays. Raises EncodeError."""
    found: list[Outgoing] = []
    for kind, run in groupby(outputs, _kind):
        if kind is None:
            found += [one if isinstance(one, Outgoing) else outgoing(one, codec) for one in run]
        else:
            topic, prefix = topics.home_of(kind).name, codec.framed(kind, b"")
            found += [Outgoing(topic, one.key.encode(), prefix + one.body) for one in run]  # type: ignore[union-attr]  # packed, by their kind
    return found


def _kind(output: Output | Packed | Outgoing) -> type[Event] | None:
    return output.kind if type(output) is Packed and not output.topic else None

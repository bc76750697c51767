"""What a host sends: outputs of processors, encoded."""

from collections.abc import Iterable

from schemas import topics
from schemas.codec import Codec
from schemas.processing import Directed, Output
from workers.kafka_sending import Outgoing


def outgoing(output: Output, codec: Codec) -> Outgoing:
    """Encode an output for the topic and key that the topic table, or the output itself, says.

    Raises EncodeError.
    """
    if isinstance(output, Directed):
        key = topics.key_of(output.event).encode()
        partition = -1 if output.partition is None else output.partition
        return Outgoing(output.topic, key, codec.encode(output.event), partition)
    return Outgoing(topics.topic_of(output), topics.key_of(output).encode(), codec.encode(output))


def encoded(outputs: Iterable[Output | Outgoing], codec: Codec) -> list[Outgoing]:
    """Encode outputs in their order; what is encoded already stays. Raises EncodeError."""
    return [
        output if isinstance(output, Outgoing) else outgoing(output, codec) for output in outputs
    ]

"""Messages that somebody sent again by hand: for those readers alone that had refused the original.

Whoever had not refused it has applied it, or will when it comes to it, so that a copy would count
twice there.
"""

from collections.abc import Sequence

from workers.kafka.clients import RawMessage

HEADER = "weir-retry-for"
"""Names, separated by commas, the processors that are to take a copy."""


def meant_for(messages: Sequence[RawMessage], processor: str) -> Sequence[RawMessage]:
    """Return the messages without the copies that are meant for others.

    Messages are of one class. Hardly any has headers: whether one has is asked first, because it
    costs little.
    """
    if not messages or not any(map(type(messages[0]).headers, messages)):
        return messages
    return [message for message in messages if _takes(message, processor)]


def _takes(message: RawMessage, processor: str) -> bool:
    meant = [value for name, value in message.headers() or () if name == HEADER]
    if not meant:
        return True
    names = (meant[-1] or b"").decode("utf-8", "replace").split(",")
    return processor in names

"""From messages of any one event class to the columns that hot processors take."""

from collections.abc import Sequence

import polars as pl

from schemas import checks, columns
from schemas.base import Event
from schemas.checks_frame import check_frame
from schemas.codec import Codec
from schemas.errors import ContractError
from schemas.processing import Partition
from schemas.topics import Topic
from workers.hosting.columns import TIMESTAMP, Read
from workers.hosting.decode import Bad
from workers.kafka.clients import RawMessage


class FrameReader:
    """Reads the messages of one topic, which has one event class and no mover."""

    def __init__(self, codec: Codec, topic: Topic) -> None:
        self._codec = codec
        self._topic = topic
        self._event: type[Event] = topic.events[0]

    def read(self, messages: Sequence[RawMessage], _: Partition) -> Read:
        """Read messages of one partition in the order of their offsets."""
        bad = [Bad(message, error) for message in messages if (error := self._too_large(message))]
        large = {id(one.message) for one in bad}
        messages = [message for message in messages if id(message) not in large]
        values = [message.value() or b"" for message in messages]
        decoded = columns.decode(values, self._event, self._codec)
        bad += [Bad(messages[wrong.row], wrong.error) for wrong in decoded.bad]
        frame = decoded.frame
        rows = frame["_row"].to_list()
        frame = frame.with_columns(
            pl.Series("_offset", [messages[row].offset() for row in rows], dtype=pl.Int64),
            pl.Series(
                "_timestamp", [TIMESTAMP(messages[row].timestamp()) for row in rows], dtype=pl.Int64
            ),
        )
        good, refused = check_frame(frame, self._event)
        bad += [Bad(messages[wrong.row], wrong.error) for wrong in refused]
        return Read(good.drop("_row", "_timestamp"), None, bad, [])

    def _too_large(self, message: RawMessage) -> ContractError | None:
        try:
            checks.check_size(len(message.value() or b""), self._topic)
        except ContractError as error:
            return error
        return None

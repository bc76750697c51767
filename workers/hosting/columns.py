"""From metric messages to the columns that hot processors take, and what was wrong with the others.

Imported only where there is such a processor: what decodes here is compiled, and loads slowly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.catalogue import Catalogue
from schemas.codec import Codec
from schemas.columns_metrics import MetricDecoder, Metrics
from schemas.processing import Columns, Partition
from schemas.topics import SERIES
from workers.hosting.decode import Bad
from workers.hosting.homes import Homes, sent_again
from workers.kafka.clients import RawMessage
from workers.kafka.sending import Outgoing

TIMESTAMP = itemgetter(1)
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Read:
    """What messages of one partition say; `moved` are those that belong elsewhere."""

    frame: pl.DataFrame
    series: pl.DataFrame | None
    bad: list[Bad]
    moved: list[Outgoing]

    def batch(self, place: Partition, now_ms: int, catalogue: Catalogue) -> Columns:
        """Return it as a processor takes it."""
        return Columns(self.frame, *place, now_ms, catalogue, self.series)


class ColumnReader:
    """Reads the metrics of one instance."""

    def __init__(self, codec: Codec, homes: Homes) -> None:
        self._decoder = MetricDecoder(codec)
        self._homes = homes

    def read(self, messages: Sequence[RawMessage], place: Partition) -> Read:
        """Read messages of one partition, all of one class, in the order of their offsets."""
        if not messages:
            none = np.empty(0, np.int64)
            return self._settled(self._decoder.decode([], none, none), messages, place)
        kind, count = type(messages[0]), len(messages)
        timestamps = np.fromiter(map(TIMESTAMP, map(kind.timestamp, messages)), np.int64, count)
        metrics = self._decoder.decode(_values(messages), timestamps, _offsets(messages))
        return self._settled(metrics, messages, place)

    def _settled(self, found: Metrics, messages: Sequence[RawMessage], place: Partition) -> Read:
        bad = [Bad(messages[wrong.row], wrong.error) for wrong in found.bad]
        astray = self._homes.astray(found.homes, place)
        if not astray.any():
            return Read(found.frame, found.series, bad, [])
        gone = pl.Series(astray)[found.frame["_series"]]
        moved: list[Outgoing] = []
        if self._homes.moves(place[0]):
            homes = self._homes.of(found.homes, place)
            by_offset = {message.offset(): message for message in messages}
            texts = ["/".join(row) for row in found.series.select(SERIES).iter_rows()]
            rows = found.frame.filter(gone).select("_offset", "_series")
            moved = [
                sent_again(by_offset[offset], texts[series], int(homes[series]))
                for offset, series in rows.iter_rows()
            ]
        return Read(found.frame.filter(~gone), found.series, bad, moved)


def _values(messages: Sequence[RawMessage]) -> list[bytes]:
    values = list(map(type(messages[0]).value, messages))
    return cast(list[bytes], values) if all(values) else [value or b"" for value in values]


def _offsets(messages: Sequence[RawMessage]) -> Longs:
    """Return the offsets, which ascend: where they are as many as they span, none is asked for."""
    first, last, count = messages[0].offset(), messages[-1].offset(), len(messages)
    if first is not None and last == first + count - 1:
        return np.arange(first, first + count)
    return np.fromiter((message.offset() or 0 for message in messages), np.int64, count)

"""From windows that are told to observations, written as Avro at once.

The bytes are those of version 3 of the record. What the windows of a batch share is written once;
a series' fields are its key, whose encoding is the same. A test holds this to the schema.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from processors.observing.closing import CLOSED, Closing
from processors.observing.rows import Floats, Ints
from processors.observing.series import SeriesBook
from processors.observing.summaries import statistics
from processors.observing.windows import EXTRAS
from schemas.columns_block import varint
from schemas.identity import identity_of, joined_parts
from schemas.observing import Observation
from schemas.packed import Packed
from schemas.processing import Partition

_LITTLE = 16_384
_LONGS = [varint(number) for number in range(_LITTLE)]
_NULL = b"\0"
_SOME = b"\x02"
_ONE_ITEM, _END = b"\x02", b"\0"
_ID = b"\x40"
"""Length of an event id, 32 digits."""


def observations(
    closing: Closing,
    book: SeriesBook,
    late: Mapping[int, int],
    source: Partition,
    now_ms: int,
) -> list[Packed]:
    """Return the observations of windows, in the order of their ends and lowest offsets.

    `late` has the late events that a window counts, by its number.
    """
    made = statistics(closing.rows, closing.starts)
    order = np.lexsort((made.low, closing.begins, closing.ends))
    series = closing.series[order].tolist()
    points = (made.mean, made.std, made.min, made.max, *made.quantiles)
    counts = [_long(late.get(n, 0)) for n in order.tolist()] if late else [_END] * len(order)
    tail = _long(now_ms) + _ONE_ITEM + _text(source[0]) + _long(source[1])
    kind = _END + _text(closing.windowing.kind)
    columns = zip(
        _ids(closing, book, order),
        _longs(_revisions(closing)[order]),
        series,
        _longs(closing.begins[order]),
        _longs(closing.ends[order]),
        _longs(made.count[order]),
        _doubles(np.stack(points, axis=1)[order]),
        counts,
        _longs(made.low[order]),
        _longs(made.high[order]),
        _extras(closing, made.count, (made.first, made.last), made.distinct, order),
        strict=True,
    )
    begin = b"\1" if closing.rank == CLOSED else b"\0"
    window = _text(closing.windowing.name)
    return [
        Packed(
            Observation,
            book.names(number)[0],
            b"".join(
                (
                    *(_ID, event_id.encode(), revision, begin, book.raw(number), window, since),
                    *(until, count, numbers, late_count, tail, low, high),
                    *(book.key(number), kind, extra),
                )
            ),
        )
        for (
            event_id,
            revision,
            number,
            since,
            until,
            count,
            numbers,
            late_count,
            low,
            high,
            extra,
        ) in columns
    ]


def _long(value: int) -> bytes:
    return _LONGS[value] if 0 <= value < _LITTLE else _zigzag(value)


def _zigzag(value: int) -> bytes:
    """Return an Avro long of any sign; only event times can be below 0."""
    if value >= 0:
        return varint(value)
    rest, out = -2 * value - 1, bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _text(value: str) -> bytes:
    data = value.encode()
    return varint(len(data)) + data


def _longs(values: Ints) -> list[bytes]:
    """Return Avro longs; equal neighbours, as windows on a grid have them, are written once."""
    numbers: list[int] = values.tolist()
    if numbers and numbers[0] == numbers[-1] and bool((values == values[0]).all()):
        return [_long(numbers[0])] * len(numbers)
    return [_LONGS[n] if 0 <= n < _LITTLE else _zigzag(n) for n in numbers]


def _doubles(table: Floats) -> list[bytes]:
    """Return the rows of a table of numbers as Avro doubles one after the other."""
    width = table.shape[1] * 8
    data = np.ascontiguousarray(table, "<f8").tobytes()
    return [data[at : at + width] for at in range(0, len(data), width)]


def _extras(
    closing: Closing, count: Ints, ends: tuple[Floats, Floats], distinct: Ints, order: Ints
) -> Iterator[bytes]:
    """Yield rate, first, last and distinct, blank where a definition leaves them out."""
    asked = closing.windowing.functions or EXTRAS
    rate = count / np.maximum(closing.ends - closing.begins, 1) * 1000
    if "rate" not in asked:
        rate = np.zeros_like(rate)
    if "distinct" not in asked:
        distinct = np.zeros_like(distinct)
    first, last = (
        [_SOME + one for one in _doubles(values[order][:, None])]
        if name in asked
        else [_NULL] * len(order)
        for name, values in zip(("first", "last"), ends, strict=True)
    )
    parts = (_doubles(rate[order][:, None]), first, last, _longs(distinct[order]))
    return map(b"".join, zip(*parts, strict=True))


def _revisions(closing: Closing) -> Ints:
    """Return rising numbers for what is told of a window: how many early instants it has passed.

    They follow from times alone, so that a restart goes on with them.
    """
    early = closing.windowing.early_ms
    if not early:
        return np.zeros(len(closing), np.int64)
    passed: Ints = closing.at // early - closing.begins // early
    return passed + 1 if closing.rank == CLOSED else passed


def _ids(closing: Closing, book: SeriesBook, order: Ints) -> Iterator[str]:
    """Yield event ids: of the series, the definition, and the window's place or first event."""
    series = closing.series[order].tolist()
    windowing = closing.windowing
    if closing.anchors is not None:
        begins, anchors = closing.begins[order].tolist(), closing.anchors[order].tolist()
        for number, begin, anchor in zip(series, begins, anchors, strict=True):
            tail = joined_parts(windowing.name, windowing.kind, begin, anchor)
            yield identity_of(book.stem(number) + tail)
        return
    name, size, lateness = windowing.name, windowing.size_ms, windowing.lateness_ms
    ends = closing.ends[order].tolist()
    tails = {end: joined_parts(name, end - size, end, lateness) for end in set(ends)}
    for number, end in zip(series, ends, strict=True):
        yield identity_of(book.stem(number) + tails[end])

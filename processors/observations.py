"""From windows that are told to observations."""

from collections.abc import Iterator, Mapping

import numpy as np

from processors.observe_series import SeriesBook
from processors.summaries import statistics
from processors.windows import EXTRAS
from processors.windows_closing import CLOSED, Closing
from processors.windows_rows import Ints
from schemas.identity import identity_of, joined_parts
from schemas.observing import Observation
from schemas.processing import Partition
from schemas.records import SourceRange


def observations(
    closing: Closing,
    book: SeriesBook,
    late: Mapping[int, int],
    source: Partition,
    now_ms: int,
) -> list[Observation]:
    """Return the observations of windows, in the order of their ends and lowest offsets.

    `late` has the late events that a window counts, by its number.
    """
    made = statistics(closing.rows, closing.starts)
    order = np.lexsort((made.low, closing.begins, closing.ends))
    rate = made.count / np.maximum(closing.ends - closing.begins, 1) * 1000
    asked = closing.windowing.functions or EXTRAS
    if "rate" not in asked:
        rate = np.zeros_like(rate)
    distinct = made.distinct if "distinct" in asked else np.zeros_like(made.distinct)
    numbers = (made.mean, made.std, made.min, made.max, *made.quantiles, rate)
    whole = (closing.series, closing.begins, closing.ends, made.count, distinct)
    columns = [column[order].tolist() for column in (*whole, made.low, made.high, *numbers)]
    first = made.first[order].tolist() if "first" in asked else [None] * len(order)
    last = made.last[order].tolist() if "last" in asked else [None] * len(order)
    told = [late.get(number, 0) for number in order.tolist()] if late else [0] * len(order)
    topic, partition = source
    final, kind, window = closing.rank == CLOSED, closing.windowing.kind, closing.windowing.name
    revisions = _revisions(closing)[order].tolist()
    ids = _ids(closing, book, order)
    return [
        Observation(
            event_id=event_id,
            revision=revision,
            final=final,
            app=names[0],
            stage=names[1],
            service=names[2],
            instance=names[3],
            node=names[4],
            metric=names[5],
            unit=names[6],
            window=window,
            window_start=begin,
            window_end=end,
            count=count,
            mean=mean,
            std=std,
            min=least,
            max=most,
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            late_count=late_count,
            emitted_at=now_ms,
            sources=(
                SourceRange(
                    topic=topic,
                    partition=partition,
                    first=low,
                    last=high,
                    series=book.key(series),
                ),
            ),
            kind=kind,
            rate=per_second,
            first=begins_with,
            last=ends_with,
            distinct=distinct,
        )
        for (
            event_id,
            revision,
            names,
            late_count,
            begins_with,
            ends_with,
            series,
            begin,
            end,
            count,
            distinct,
            low,
            high,
            mean,
            std,
            least,
            most,
            p50,
            p90,
            p95,
            p99,
            per_second,
        ) in zip(
            ids,
            revisions,
            map(book.names, columns[0]),
            told,
            first,
            last,
            *columns,
            strict=True,
        )
    ]


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
    name = closing.windowing.name
    begins = closing.begins[order].tolist()
    if closing.anchors is not None:
        anchors = closing.anchors[order].tolist()
        for number, begin, anchor in zip(series, begins, anchors, strict=True):
            tail = joined_parts(name, closing.windowing.kind, begin, anchor)
            yield identity_of(book.stem(number) + tail)
        return
    end = int(closing.ends[0])
    size = closing.windowing.size_ms
    tail = joined_parts(name, end - size, end)
    for number in series:
        yield identity_of(book.stem(number) + tail)

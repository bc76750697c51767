"""Windows that are told: their rows, put together by series, and when they were due."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.observing.rows import Ids, Ints, Rows, by_series, joined, starts_of
from processors.observing.windows import Windowing

CLOSED, EXPIRED, EARLY, SENT = range(4)
"""Ranks of what is due at the same instant of event time, in the order in which it is told."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Windows of one windowing that are due at one instant, each of one series.

    `at` is an event time; `rank` CLOSED or EARLY. Window g is [begins[g], ends[g]) of series[g]
    and holds the rows from starts[g] to the next start. `anchors`, where a grid does not tell
    windows of a series apart, are the offsets of the events that do.
    """

    windowing: Windowing
    at: int
    rank: int
    rows: Rows
    starts: Ints
    series: Ids
    begins: Ints
    ends: Ints
    anchors: Ints | None = None

    def __len__(self) -> int:
        return len(self.starts)


def on_grid(
    windowing: Windowing, at: int, rank: int, window: tuple[int, int], rows: Rows
) -> Closing:
    """Return one window of time for all series that have rows in it, given in any order.

    Trailing windows keep the last events of each series, and hold those alone that have an event
    since the interval before.
    """
    order = by_series(rows.series)
    if windowing.size_events:
        order = _latest(windowing, rows, order, window[1])
    rows = rows[order]
    starts = starts_of(rows.series)
    begins = np.full(len(starts), window[0])
    if windowing.size_events and len(starts):
        begins = np.minimum.reduceat(rows.times, starts)
    series = rows.series[starts]
    ends = np.full(len(starts), window[1])
    return Closing(windowing, at, rank, rows, starts, series, begins, ends)


def together(closings: Sequence[Closing]) -> Closing:
    """Return closings of one windowing on a grid as one, in their order; `at` is the last one's."""
    if len(closings) == 1:
        return closings[0]
    lengths = [len(closing.rows) for closing in closings]
    places = np.cumsum([0, *lengths[:-1]])
    last = closings[-1]
    return Closing(
        last.windowing,
        last.at,
        last.rank,
        joined([closing.rows for closing in closings]),
        np.concatenate([one.starts + at for one, at in zip(closings, places, strict=True)]),
        np.concatenate([closing.series for closing in closings]),
        np.concatenate([closing.begins for closing in closings]),
        np.concatenate([closing.ends for closing in closings]),
    )


def _latest(windowing: Windowing, rows: Rows, order: Ints, end: int) -> Ints:
    order = np.lexsort((rows.offsets, rows.times, rows.series))
    starts = starts_of(rows.series[order])
    count = np.diff(starts, append=len(order))
    back = np.repeat(starts + count, count) - np.arange(len(order))
    newest = np.repeat(rows.times[order[starts + count - 1]], count) if len(starts) else back
    return order[(back <= windowing.size_events) & (newest >= end - windowing.interval_ms)]


def chosen(closing: Closing, groups: Ints) -> Closing:
    """Return some of the windows, in the given order."""
    count = np.diff(closing.starts, append=len(closing.rows))[groups]
    index, starts = ranges(closing.starts[groups], count)
    anchors = None if closing.anchors is None else closing.anchors[groups]
    return Closing(
        closing.windowing,
        closing.at,
        closing.rank,
        closing.rows[index],
        starts,
        closing.series[groups],
        closing.begins[groups],
        closing.ends[groups],
        anchors,
    )


def ranges(starts: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Return the indices of ranges one after the other, and where each begins among them."""
    firsts = np.cumsum(count) - count
    index = np.arange(int(count.sum())) + np.repeat(starts - firsts, count)
    return index, firsts

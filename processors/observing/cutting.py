"""Where the events of one series, in order, are cut into sessions, counts and trailing windows.

Event times ascend, and none below `until` is still to come. A run is a part without a silence of
`limit` ms; a series begins anew with each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from processors.observing.rows import Ints
from processors.observing.windows import COUNT, SESSION, Windowing


@dataclass(frozen=True, slots=True)
class Window:
    """The events from `low` to `high`, [begin, end) in time; closed by `due`."""

    low: int
    high: int
    begin: int
    end: int
    due: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What events amount to: closed windows, open ones, and how the series stands.

    Events from `keep` on are still needed, those from `fresh` on have been in no closed window's
    count; `skip` more are to be passed over. `live` tells whether the run goes on.
    """

    closed: tuple[Window, ...]
    open: tuple[Window, ...]
    keep: int
    fresh: int
    skip: int
    live: bool


Cutter = Callable[[Ints, int, int, int], Parts]
"""From event times, the first that is new, how many to pass over, and `until`."""


def limit_of(windowing: Windowing, forget_ms: int) -> int:
    """Return the silence that ends a run."""
    return windowing.gap_ms if windowing.kind == SESSION else forget_ms


def cutter_of(windowing: Windowing, forget_ms: int) -> Cutter:
    """Return what cuts the events of a series."""
    limit = limit_of(windowing, forget_ms)
    size, interval = windowing.size_ms, windowing.interval_events
    if windowing.kind == SESSION:
        return lambda times, _, _skip, until: sessions(times, limit, size, until)
    if windowing.kind == COUNT:
        most = windowing.size_events
        return lambda times, _, skip, until: counts(times, skip, (most, interval), limit, until)
    return lambda times, new, _, until: trailing(times, new, (size, interval), limit, until)


def runs(times: Ints, limit: int) -> list[tuple[int, int]]:
    """Return where runs begin and end."""
    breaks = (np.flatnonzero(np.diff(times) >= limit) + 1).tolist()
    return list(pairwise([0, *breaks, len(times)]))


def sessions(times: Ints, gap: int, size: int, until: int) -> Parts:
    """Cut into runs, and those into parts of at most `size` ms (0: any)."""
    found: list[Window] = []
    for low, high in runs(times, gap):
        start = low
        while start < high:
            begin, end, stop = int(times[start]), int(times[high - 1]) + gap, high
            if size and begin + size < end:
                end = begin + size
                stop = start + int(np.searchsorted(times[start:high], end))
            found.append(Window(start, stop, begin, end, end))
            start = stop
    closed = tuple(window for window in found if window.due <= until)
    keep = closed[-1].high if closed else 0
    live = int(times[-1]) + gap > until
    return Parts(closed, tuple(found[len(closed) :]), keep, keep, 0, live)


def counts(times: Ints, skip: int, sizes: tuple[int, int], limit: int, until: int) -> Parts:
    """Cut into windows of so many events, one beginning every so many (`sizes`)."""
    size, interval = sizes
    closed: list[Window] = []
    place, live, high = skip, True, 0
    for low, high in runs(times, limit):
        place = low + skip if low == 0 else low
        while place + size <= high:
            closed.append(_of_events(times, place, place + size, 1))
            place += interval
        live = int(times[high - 1]) + limit > until
        if high < len(times) or not live:
            closed += [_of_events(times, at, high, limit) for at in range(place, high, interval)]
            place = high
    keep = min(place, high)
    still = [_of_events(times, at, high, limit) for at in range(place, high, interval)]
    return Parts(tuple(closed), tuple(still), keep, keep, place - keep, live)


def _of_events(times: Ints, low: int, high: int, wait: int) -> Window:
    last = int(times[high - 1])
    return Window(low, high, int(times[low]), last + 1, last + wait)


def trailing(times: Ints, new: int, sizes: tuple[int, int], limit: int, until: int) -> Parts:
    """Cut windows of so many ms that end with every so many events (`sizes`), from `new` on."""
    size, interval = sizes
    closed: list[Window] = []
    fresh, keep, high = new, 0, 0
    for low, high in runs(times, limit):
        fresh = max(low, new)
        for last in range(fresh + interval - 1, high, interval):
            end = int(times[last]) + 1
            first = max(low, int(np.searchsorted(times, end - size)))
            closed.append(Window(first, last + 1, end - size, end, end))
            fresh = last + 1
        keep = max(low, min(fresh, int(np.searchsorted(times, int(times[high - 1]) + 1 - size))))
    live = int(times[-1]) + limit > until
    if not live:
        keep = fresh = high
    return Parts(tuple(closed), (), keep, fresh, 0, live)

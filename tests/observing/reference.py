"""Observations as anyone would compute them who has all the data and all the time.

Lists, dictionaries and numpy; nothing of processors is used here. `rows` are those of one
partition in the order of their arrival, lateness and sizes are in ms. Each function returns the
windows that end, as lists of rows with where they begin and end, and the rows that came late.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

SETTLE_MS = 100


class Row(NamedTuple):
    """A metric: where it stood in its partition, when it was measured (ms), whose it is, what."""

    offset: int
    at: int
    service: str
    value: float


class Window(NamedTuple):
    """A window of a service, from `start` up to, not including, `end` (ms), and its rows."""

    service: str
    start: int
    end: int
    rows: tuple[Row, ...]


Computed = tuple[list[Window], list[Row]]
Cut = Callable[[Row], Iterable[tuple[int, int]]]
"""From a row to start and end of the windows that it lies in, the first one first."""


def spans(size: int, interval: int, align: int = 0) -> Cut:
    """Return how windows of a size, one each interval, are cut; tumbling where both are equal."""

    def cut(row: Row) -> Iterator[tuple[int, int]]:
        last = align + (row.at - align) // interval * interval
        starts = range(last, row.at - size, -interval)
        return ((start, start + size) for start in reversed(starts))

    return cut


def on_grid(rows: list[Row], cut: Cut, lateness: int) -> Computed:
    """Tumbling and hopping windows: each closes when the newest time reaches end plus lateness."""
    newest, late = rows[0].at, list[Row]()
    found: dict[tuple[str, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        newest = max(newest, row.at)
        for number, (start, end) in enumerate(cut(row)):
            if newest < end + lateness:
                found[row.service, start, end].append(row)
            elif number == 0:
                late.append(row)
    closed = {place: part for place, part in found.items() if place[2] + lateness <= newest}
    return [Window(*place, tuple(part)) for place, part in closed.items()], late


def trailing_time(rows: list[Row], most: int, size: int, interval: int, lateness: int) -> Computed:
    """The last `most` rows before each instant, of services with a row since the one before."""
    windows, late = on_grid(rows, spans(size, interval), lateness)
    told = []
    for service, _, end, part in windows:
        latest = sorted(part, key=lambda row: (row.at, row.offset))[-most:]
        if latest[-1].at >= end - interval:
            told.append(Window(service, latest[0].at, end, tuple(latest)))
    return told, late


def settled(rows: list[Row], lateness: int) -> tuple[dict[str, list[Row]], int, list[Row]]:
    """Return the rows of each service that can be put in order, up to where (ms), and the late."""
    newest, late = rows[0].at, list[Row]()
    kept: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        newest = max(newest, row.at)
        if row.at < horizon(newest, lateness):
            late.append(row)
        else:
            kept[row.service].append(row)
    end = horizon(newest, lateness)
    ordered = {
        service: sorted((r for r in part if r.at < end), key=lambda row: (row.at, row.offset))
        for service, part in kept.items()
    }
    return {service: part for service, part in ordered.items() if part}, end, late


def horizon(newest: int, lateness: int) -> int:
    """Return the event time before which all is settled."""
    return newest // SETTLE_MS * SETTLE_MS - lateness


def sessions(rows: list[Row], gap: int, longest: int, lateness: int) -> Computed:
    """Rows of a service with no silence of `gap` between them, none `longest` after the first."""
    found, until, late = settled(rows, lateness)
    windows = []
    for service, part in found.items():
        groups = [[part[0]]]
        for before, row in pairwise(part):
            if row.at - before.at >= gap or (longest and row.at - groups[-1][0].at >= longest):
                groups.append([])
            groups[-1].append(row)
        for group in groups:
            end = group[-1].at + gap
            if longest:
                end = min(end, group[0].at + longest)
            if group is not groups[-1] or end <= until:
                windows.append(Window(service, group[0].at, end, tuple(group)))
    return windows, late


def counts(rows: list[Row], size: int, interval: int, lateness: int) -> Computed:
    """`size` rows of a service, beginning every `interval` rows."""
    found, _, late = settled(rows, lateness)
    windows = [
        Window(service, part[first].at, part[first + size - 1].at + 1, tuple(part[first:][:size]))
        for service, part in found.items()
        for first in range(0, len(part) - size + 1, interval)
    ]
    return windows, late


def trailing_events(rows: list[Row], size: int, interval: int, lateness: int) -> Computed:
    """With every `interval`-th row of a service, what was measured within `size` before it."""
    found, _, late = settled(rows, lateness)
    windows = []
    for service, part in found.items():
        for last in range(interval - 1, len(part), interval):
            end = part[last].at + 1
            inside = tuple(row for row in part[: last + 1] if row.at >= end - size)
            windows.append(Window(service, end - size, end, inside))
    return windows, late


def statistics(window: Window) -> dict[str, float]:
    """Return everything that an observation says of the rows of a window."""
    values = np.asarray([row.value for row in window.rows])
    timely = sorted(window.rows, key=lambda row: (row.at, row.offset))
    span = window.end - window.start
    return {
        "count": len(values),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        **{f"p{q}": float(np.percentile(values, q)) for q in (50, 90, 95, 99)},
        "rate": len(values) * 1000 / span if span else 0.0,
        "first": timely[0].value,
        "last": timely[-1].value,
        "distinct": len(set(values)),
    }

"""Windows on a grid of event time: each row is kept once, in a pane that windows share.

A pane is as long as the greatest common divisor of size and interval; a window is a run of panes.
Rows stay in the order of their offsets, so that a window which closes in the middle of a batch
takes the rows before that offset.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np

from processors.observing.closing import CLOSED, EARLY, Closing, chosen, on_grid
from processors.observing.rows import Flags, Ids, Ints, Rows, joined
from processors.observing.windows import Windowing

Cut = Callable[[int], int | None]
"""From an instant to the offset of the first row that came when newest had reached it."""
_CHUNKS = 16
"""So many chunks of about equal size are put together: each row is copied a few times at most."""


@dataclass(frozen=True, slots=True)
class Late:
    """Rows that missed a window: a mask over those that were offered; ends and closes of all."""

    rows: Flags
    ends: Ints
    closes: Ints


class Panes:
    """The open windows of one windowing of time."""

    def __init__(self, windowing: Windowing) -> None:
        self.windowing = windowing
        self.told = 0
        self._step = gcd(windowing.size_ms, windowing.interval_ms)
        self._panes: dict[int, list[Rows]] = {}
        self._done: int | None = None

    def add(self, rows: Rows, running: Ints) -> Late | None:
        """Take rows, with newest as it was when each came; return the late ones, None for none."""
        w = self.windowing
        since = rows.times - w.align_ms
        first = self._first(int(since.min()))
        late = None
        if self._close(first) <= running[-1] or w.interval_ms > w.size_ms:
            rows, since, late = self._sorted_out(rows, since, running)
        if len(rows):
            self._put(rows, since // self._step)
        return late

    def _sorted_out(self, rows: Rows, since: Ints, running: Ints) -> tuple[Rows, Ints, Late | None]:
        w = self.windowing
        first = (since - w.size_ms) // w.interval_ms + 1
        last = since // w.interval_ms
        after = w.align_ms + w.size_ms
        closes = first * w.interval_ms + after + w.lateness_ms
        missed = (running >= closes) & (first <= last)
        keep = (first <= last) & (running < last * w.interval_ms + after + w.lateness_ms)
        late = Late(missed, first * w.interval_ms + after, closes) if missed.any() else None
        return rows[keep], since[keep], late

    def again(self, rows: Rows, running: Ints, newest: int) -> None:  # noqa: ARG002 - one interface with Ordered
        """Take rows that had been taken before, and forget those that no open window holds."""
        since = rows.times - self.windowing.align_ms
        last = since // self.windowing.interval_ms
        end = last * self.windowing.interval_ms + self.windowing.size_ms
        keep = (end > since) & (end + self.windowing.align_ms + self.windowing.lateness_ms > newest)
        if keep.any():
            self._put(rows[keep], since[keep] // self._step)

    def resume(self, newest: int) -> None:
        """Go on from where newest stood, after the last call of `again`."""
        self._done = newest

    def _put(self, rows: Rows, panes: Ints) -> None:
        low, high = int(panes.min()), int(panes.max())
        if low == high:
            self._append(low, rows)
            return
        for pane in np.unique(panes) if high - low > 8 else range(low, high + 1):
            part = rows[np.flatnonzero(panes == pane)]
            if len(part):
                self._append(int(pane), part)

    def _append(self, pane: int, rows: Rows) -> None:
        chunks = self._panes.setdefault(pane, [])
        chunks.append(rows)
        while len(chunks) >= _CHUNKS and len(chunks[-_CHUNKS]) <= 4 * len(chunks[-1]):
            chunks[-_CHUNKS:] = [joined(chunks[-_CHUNKS:])]

    def _first(self, since: int) -> int:
        return (since - self.windowing.size_ms) // self.windowing.interval_ms + 1

    def _close(self, number: int) -> int:
        w = self.windowing
        return number * w.interval_ms + w.align_ms + w.size_ms + w.lateness_ms

    def _between(self, after: int | None, until: int | None) -> list[int]:
        """Return the windows with panes that close after one instant, by another; None: any."""
        w = self.windowing
        lead = w.align_ms + w.size_ms + w.lateness_ms
        low = None if after is None else (after - lead) // w.interval_ms + 1
        high = None if until is None else (until - lead) // w.interval_ms
        found: set[int] = set()
        for pane in self._panes:
            begin = pane * self._step
            first, last = self._first(begin), begin // w.interval_ms
            first = first if low is None else max(first, low)
            last = last if high is None else min(last, high)
            found.update(range(first, last + 1))
        return sorted(found)

    def close(self, before: int | None, newest: int, cut: Cut) -> Iterator[Closing]:
        """Yield the windows that are due after `before` and by `newest`, and forget their panes."""
        if not self._panes:
            self._done = newest
            return
        for number in self._between(before, newest):
            rows = self._rows(number, cut(self._close(number)))
            if len(rows):
                closing = on_grid(
                    self.windowing, self._close(number), CLOSED, self._span(number), rows
                )
                if len(closing):
                    yield closing
        self._done, w = newest, self.windowing
        high = (newest - w.align_ms - w.size_ms - w.lateness_ms) // w.interval_ms
        for pane in [p for p in self._panes if p * self._step // w.interval_ms <= high]:
            del self._panes[pane]

    def early(self, at: int, newest: int, cut: int | None) -> Iterator[Closing]:
        """Yield what windows hold that are open at `newest`, of series with new rows.

        `at` is the instant that calls for it; rows from offset `cut` on came after it.
        """
        for number in self._between(newest, None):
            rows = self._rows(number, cut)
            if not len(rows) or int(rows.offsets.max()) < self.told:
                continue
            closing = on_grid(self.windowing, at, EARLY, self._span(number), rows)
            fresh = np.maximum.reduceat(closing.rows.offsets, closing.starts) >= self.told
            yield closing if fresh.all() else chosen(closing, np.flatnonzero(fresh))
        last = [int(chunks[-1].offsets[-1]) + 1 for chunks in self._panes.values()]
        self.told = max([self.told, *last]) if cut is None else cut

    def _span(self, number: int) -> tuple[int, int]:
        start = number * self.windowing.interval_ms + self.windowing.align_ms
        return start, start + self.windowing.size_ms

    def _rows(self, number: int, cut: int | None) -> Rows:
        begin = number * self.windowing.interval_ms
        low, high = begin // self._step, (begin + self.windowing.size_ms) // self._step
        parts: list[Rows] = []
        for pane in sorted(pane for pane in self._panes if low <= pane < high):
            chunks = self._panes[pane]
            if len(chunks) > 1:
                chunks = self._panes[pane] = [joined(chunks)]
            (rows,) = chunks
            if cut is not None and rows.offsets[-1] >= cut:
                rows = rows[: int(np.searchsorted(rows.offsets, cut))]
            parts.append(rows)
        return joined([part for part in parts if len(part)])

    def due(self) -> int | None:
        """Return when the next window closes, in event time; None when none is open."""
        w = self.windowing
        lowest = min(self._panes, default=None)
        if lowest is None:
            return None
        first = self._first(lowest * self._step)
        if self._done is not None:
            lead = w.align_ms + w.size_ms + w.lateness_ms
            first = max(first, (self._done - lead) // w.interval_ms + 1)
        return self._close(first)

    def news(self) -> bool:
        """Tell whether windows hold anything that was not told early."""
        return any(int(chunks[-1].offsets[-1]) >= self.told for chunks in self._panes.values())

    def oldest(self) -> int | None:
        """Return the lowest offset that it holds."""
        return min((int(chunks[0].offsets[0]) for chunks in self._panes.values()), default=None)

    def held(self) -> int:
        """Return how many rows it holds."""
        return sum(len(rows) for chunks in self._panes.values() for rows in chunks)

    def used(self) -> Iterator[Ids]:
        """Yield the series of its rows."""
        for chunks in self._panes.values():
            for rows in chunks:
                yield rows.series

    def renumber(self, ids: Ids) -> None:
        """Number series anew."""
        for pane, chunks in self._panes.items():
            self._panes[pane] = [rows.renumbered(ids) for rows in chunks]

    def packed(self) -> bytes:
        """Return what the log does not tell: nothing."""
        return b""

    def unpack(self, data: bytes) -> None:
        """Take over what `packed` returned."""

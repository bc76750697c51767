"""Session, count and trailing windows: the events of each series in the order of their times.

What has settled lies in segments, each sorted by series and order, one after the other in time.
Only series in which something may close are taken out of them and cut. Per series numbers tell
which those are; what the log cannot tell, where a run was last cut, is kept in `progress`.
"""

from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np

from processors.observing.closing import CLOSED, EARLY, Closing, ranges
from processors.observing.cutting import Parts, Window, cutter_of, limit_of
from processors.observing.panes import Cut, Late
from processors.observing.rows import Flags, Ids, Ints, Rows, by_series, joined, spans_of, starts_of
from processors.observing.windows import COUNT, SESSION, SETTLE_MS, TRAILING, Windowing

Progress = tuple[int, int, int]
"""Event time and offset of the last event that was cut off, and how many to pass over."""
_SEGMENTS = 32
_NEVER = -(1 << 62)
_Told = tuple[int, int, Window, int]
"""A window, with its series and where the events of that begin, and the instant it is told at."""


class Ordered:
    """The open windows of one windowing by order; `digest` identifies a series across restarts."""

    def __init__(self, windowing: Windowing, forget_ms: int, digest: Callable[[int], int]) -> None:
        self.windowing = windowing
        self.told = _NEVER
        self._digest = digest
        self._limit = limit_of(windowing, forget_ms)
        self._cut = cutter_of(windowing, forget_ms)
        self._fresh: list[Rows] = []
        self._segments: list[Rows] = []
        self._settled = _NEVER
        self._grow(64)
        self._progress: dict[int, Progress] = {}
        self._waiting: dict[int, Progress] = {}
        self._next: int | None = None

    def _grow(self, size: int) -> None:
        self._have = np.zeros(size, np.int64)
        self._last = np.full(size, _NEVER)
        self._lead = np.full(size, _NEVER)
        self._skip = np.zeros(size, np.int64)

    def _reserve(self, size: int) -> None:
        old = (self._have, self._last, self._lead, self._skip)
        if size <= len(self._have):
            return
        self._grow(2 * size)
        for mine, theirs in zip((self._have, self._last, self._lead, self._skip), old, strict=True):
            mine[: len(theirs)] = theirs

    def add(self, rows: Rows, running: Ints) -> Late | None:
        """Take rows, with newest as it was when each came; return the late ones, None for none."""
        late = None
        if int(rows.times.min()) < self._behind(int(running[-1])):
            missed = rows.times < running // SETTLE_MS * SETTLE_MS - self.windowing.lateness_ms
            if missed.any():
                late = Late(missed, rows.times + 1, rows.times + self.windowing.lateness_ms)
                rows = rows[~missed]
        if len(rows):
            self._fresh.append(rows)
        return late

    def _behind(self, newest: int) -> int:
        return newest // SETTLE_MS * SETTLE_MS - self.windowing.lateness_ms

    def close(self, before: int | None, newest: int, cut: Cut) -> Iterator[Closing]:  # noqa: ARG002 - one interface with Panes
        """Yield the windows that are due by `newest`."""
        until = self._behind(newest)
        if until <= self._settled:
            return
        self._settled = until
        rows, told = self._cut_due(self._note(self._ready(until)))
        self._waiting = {d: one for d, one in self._waiting.items() if one[0] + self._limit > until}
        self._next = self._next_close()
        yield from self._closings(rows, told)

    def _ready(self, until: int) -> Rows:
        """Take from the fresh rows those that have settled, and sort them."""
        fresh = joined(self._fresh)
        ready = fresh.times < until
        self._fresh = [rest] if len(rest := fresh[~ready]) else []
        rows = fresh[ready]
        return rows[np.lexsort((rows.offsets, rows.times, rows.series))]

    def _note(self, rows: Rows) -> Flags:
        """Put settled rows on the segments; return in which series something may close."""
        starts = starts_of(rows.series)
        ids, count = rows.series[starts], np.diff(starts, append=len(rows))
        if len(rows):
            self._adopt(ids)
            last, begins = self._last[ids], rows.times[starts]
            anew = (last != _NEVER) & (begins - last >= self._limit) & (self._have[ids] == 0)
            for series in ids[anew].tolist():
                self._forget(series)
            self._lead[ids] = np.where(self._have[ids] == 0, begins, self._lead[ids])
            self._have[ids] += count
            self._segments.append(rows)
            self._compact()
        due: Flags = np.zeros(len(self._have), np.bool_)
        if len(rows):
            previous = np.roll(rows.times, 1)
            previous[starts] = np.where(last == _NEVER, begins, last)
            due[rows.series[rows.times - previous >= self._limit]] = True
            self._last[ids] = rows.times[starts + count - 1]
        return due | self._may_close()

    def _adopt(self, ids: Ids) -> None:
        """Make room for series, and give those that come back after a restart what was kept."""
        self._reserve(int(ids.max()) + 1)
        if not self._waiting:
            return
        for series in ids[self._last[ids] == _NEVER].tolist():
            found = self._waiting.pop(self._digest(series), None)
            if found is not None:
                self._progress[series] = found
                self._last[series], _, self._skip[series] = found

    def _may_close(self) -> Flags:
        w = self.windowing
        due: Flags = (self._last != _NEVER) & (self._last + self._limit <= self._settled)
        if w.kind == SESSION:
            if w.size_ms:
                due |= (self._have > 0) & (self._lead + w.size_ms <= self._settled)
            return due
        need = self._skip + w.size_events if w.kind == COUNT else w.interval_events
        due |= self._have >= need
        return due

    def _compact(self) -> None:
        if len(self._segments) > _SEGMENTS:
            rows = joined(self._segments)
            self._segments = [rows[by_series(rows.series)]]

    def _taken(self, due: Flags) -> Rows:
        """Take the rows of some series out of the segments, in order."""
        masks = [due[rows.series] for rows in self._segments]
        pairs = list(zip(self._segments, masks, strict=True))
        taken = joined([rows[mine] for rows, mine in pairs if mine.any()])
        rest = [rows if not mine.any() else rows[~mine] for rows, mine in pairs]
        self._segments = [rows for rows in rest if len(rows)]
        return taken[by_series(taken.series)]

    def _cut_due(self, due: Flags) -> tuple[Rows, list[_Told]]:
        """Cut the series in which something may close; what is still needed goes back."""
        if not due.any():
            return joined([]), []
        rows = self._taken(due)
        told: list[_Told] = []
        keep = np.zeros(len(rows), np.bool_)
        for low, high in spans_of(rows.series):
            series = int(rows.series[low])
            new = high - low - int(self._have[series])
            parts = self._cut(rows.times[low:high], new, int(self._skip[series]), self._settled)
            told += [(series, low, window, self._instant(window.due)) for window in parts.closed]
            keep[low + parts.keep : high] = True
            self._stand(series, rows[low:high], parts)
            due[series] = False
        for series in np.flatnonzero(due & (self._last + self._limit <= self._settled)).tolist():
            self._forget(series)
        if keep.any():
            self._segments.append(rows[keep])
        return rows, told

    def _instant(self, due: int) -> int:
        return -(-(due + self.windowing.lateness_ms) // SETTLE_MS) * SETTLE_MS

    def _stand(self, series: int, rows: Rows, parts: Parts) -> None:
        """Note how a series stands after it was cut."""
        if not parts.live:
            self._forget(series)
            return
        self._have[series] = len(rows) - parts.fresh
        self._skip[series] = parts.skip
        if parts.fresh < len(rows):
            self._lead[series] = rows.times[parts.fresh]
        if parts.fresh and (parts.closed or parts.skip or series in self._progress):
            last = parts.fresh - 1
            self._progress[series] = (int(rows.times[last]), int(rows.offsets[last]), parts.skip)

    def _forget(self, series: int) -> None:
        self._have[series] = self._skip[series] = 0
        self._last[series] = _NEVER
        self._progress.pop(series, None)

    def _closings(self, rows: Rows, told: list[_Told]) -> Iterator[Closing]:
        for at, group in groupby(sorted(told, key=lambda one: one[3]), key=lambda one: one[3]):
            yield self._closing(rows, list(group), at, CLOSED)

    def _closing(self, rows: Rows, told: list[_Told], at: int, rank: int) -> Closing:
        table = np.array(
            [(low + w.low, w.high - w.low, w.begin, w.end) for _, low, w, _ in told], np.int64
        )
        series = np.array([series for series, *_ in told], np.uint32)
        index, starts = ranges(table[:, 0], table[:, 1])
        at_end = table[:, 1] - 1 if self.windowing.kind == TRAILING else 0
        anchors = rows.offsets[table[:, 0] + at_end]
        return Closing(
            self.windowing,
            at,
            rank,
            rows[index],
            starts,
            series,
            table[:, 2],
            table[:, 3],
            anchors,
        )

    def early(self, at: int, newest: int, cut: int | None) -> Iterator[Closing]:  # noqa: ARG002 - one interface with Panes
        """Yield what open windows hold that has settled, of series with something new."""
        news = (self._have > 0) & (self._last >= self.told)
        found = joined([rows[news[rows.series]] for rows in self._segments])
        rows = found[by_series(found.series)]
        told: list[_Told] = []
        for low, high in spans_of(rows.series):
            series = int(rows.series[low])
            new = high - low - int(self._have[series])
            parts = self._cut(rows.times[low:high], new, int(self._skip[series]), self._settled)
            told += [(series, low, window, at) for window in parts.open]
        self.told = self._settled
        if told:
            yield self._closing(rows, told, at, EARLY)

    def again(self, rows: Rows, running: Ints, newest: int) -> None:  # noqa: ARG002 - one interface with Panes
        """Take rows that had been taken before, as `add` does."""
        self.add(rows, running)

    def resume(self, newest: int) -> None:
        """Settle, after the last call of `again`, what had settled; nothing is told again."""
        self._settled = self._behind(newest)
        rows = self._ready(self._settled)
        if len(rows):
            self._adopt(rows.series[starts_of(rows.series)])
            done = self._done(rows)
            if self.windowing.kind == TRAILING and done.any():
                self._segments.append(rows[done])
            rows = rows[~done]
        self._cut_due(self._note(rows))
        self._next = self._next_close()

    def _done(self, rows: Rows) -> Flags:
        """Return which rows had been cut off."""
        times = np.full(len(self._have), _NEVER)
        offsets = np.full(len(self._have), -1)
        for series, (time, offset, _) in self._progress.items():
            times[series], offsets[series] = time, offset
        before, same = rows.times < times[rows.series], rows.times == times[rows.series]
        done: Flags = before | (same & (rows.offsets <= offsets[rows.series]))
        return done

    def _next_close(self) -> int | None:
        """Return when, in event time, something settled closes should no event come."""
        alive = self._last != _NEVER
        if not alive.any():
            return None
        first = int(self._last[alive].min()) + self._limit
        if self.windowing.kind == SESSION and self.windowing.size_ms and (self._have > 0).any():
            first = min(first, int(self._lead[self._have > 0].min()) + self.windowing.size_ms)
        return self._instant(first)

    def due(self) -> int | None:
        """Return when something closes or settles, in event time, should no event come."""
        times = [self._instant(int(rows.times.min()) + 1) for rows in self._fresh]
        return min((at for at in (*times, self._next) if at is not None), default=None)

    def news(self) -> bool:
        """Tell whether open windows have, or may soon have, something that was not told early."""
        return bool(self._fresh) or bool(((self._have > 0) & (self._last >= self.told)).any())

    def oldest(self) -> int | None:
        """Return the lowest offset that it holds."""
        return min((int(rows.offsets.min()) for rows in self._all()), default=None)

    def held(self) -> int:
        """Return how many rows it holds."""
        return sum(map(len, self._all()))

    def _all(self) -> Iterator[Rows]:
        yield from self._segments
        yield from self._fresh

    def used(self) -> Iterator[Ids]:
        """Yield the series that it knows."""
        yield np.flatnonzero(self._last != _NEVER).astype(np.uint32)
        for rows in self._fresh:
            yield rows.series

    def renumber(self, ids: Ids) -> None:
        """Number series anew."""
        self._segments = [rows.renumbered(ids) for rows in self._segments]
        self._fresh = [rows.renumbered(ids) for rows in self._fresh]
        known = np.flatnonzero(self._last != _NEVER)
        old = (self._have[known], self._last[known], self._lead[known], self._skip[known])
        self._grow(len(self._have))
        now = (self._have, self._last, self._lead, self._skip)
        for mine, theirs in zip(now, old, strict=True):
            mine[ids[known]] = theirs
        self._progress = {int(ids[series]): one for series, one in self._progress.items()}

    def packed(self) -> bytes:
        """Return the progress of all series: (digest, time, offset, to pass over) as int64."""
        mine = {self._digest(series): one for series, one in self._progress.items()}
        rows = sorted((digest, *one) for digest, one in (mine | self._waiting).items())
        return np.array(rows, "<i8").tobytes()

    def unpack(self, data: bytes) -> None:
        """Take over progress."""
        rows = np.frombuffer(data, "<i8").reshape(-1, 4).tolist()
        self._waiting = {digest: (time, offset, skip) for digest, time, offset, skip in rows}

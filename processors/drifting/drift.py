"""Metrics to drifts: ADWIN by River on every watched series, with a confirmation step.

ADWIN: Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007,
as River 0.26 and later implements it (older versions skip buckets). A detector starts afresh
after an alarm; what is before and after it is estimated by `processors.drifting.concepts`. Values
are expected within 0 and 1; for other metrics MetricDefined gives the range.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import polars as pl
from river.drift.adwin import (  # type: ignore[attr-defined]  # River has no list of exports
    AdaptiveWindowing,
)

from processors.drifting.events import discarded, drift_detected, full
from processors.drifting.pasts import Ints
from processors.drifting.series import Key, Rows, SeriesState, WatchedSeries, Window
from processors.drifting.watch import Drift, WatchParams
from processors.entries import UNKNOWN, Entries
from processors.params import identity, require
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import DriftDetected
from schemas.processing import Columns, Home, Output, Spec
from schemas.registrations import MetricDefined
from schemas.topics import SERIES

RIVER = version("river")
UNWATCHED = -2
Codes = npt.NDArray[np.uint32]
_Ranges = dict[str, tuple[float, float]]
_LEVELS = {
    "app": pl.col("service") == "",
    "service": (pl.col("service") != "") & (pl.col("instance") == ""),
    "instance": pl.col("instance") != "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftParams:
    """What is watched, and how.

    `metrics` at `levels` (app, service, instance) are watched, at most `max_series` of them per
    partition; a series is forgotten after `stale_ms` of event time without an event. `delta` is
    ADWIN's significance, `clock` the events between its checks, `grace` those before its first.
    """

    metrics: tuple[str, ...] = ("error", "confidence")
    levels: tuple[str, ...] = ("app", "service", "instance")
    delta: float = 0.002
    clock: int = 8
    grace: int = 30
    max_series: int = 1_000
    stale_ms: int = 3_600_000
    watch: WatchParams = field(default_factory=WatchParams)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """All series, and the River version whose bytes they hold."""

    river: str
    newest: int
    full: bool
    series: tuple[SeriesState, ...]


class Detect:
    """Watches the series of one partition of weir.metrics."""

    def __init__(self, params: DriftParams) -> None:
        self._params = params
        self._series = WatchedSeries(params.watch, self._window)
        self._entries = Entries()
        self._newest = 0
        self._full = False
        self._discarded = ""
        levels = pl.any_horizontal([_LEVELS[name] for name in params.levels])
        self._watched = pl.col("metric").is_in(list(params.metrics)) & levels

    def process(self, batch: Columns) -> Sequence[Output]:
        """Feed the watched series; return the drifts confirmed, in the order of their offsets.

        Raises TypeError when the batch does not say which series there are.
        """
        if batch.frame.is_empty():
            return []
        if batch.series is None:
            raise TypeError("drift takes columns of metrics, which come with their series")
        outputs: list[Output] = []
        if self._discarded:
            outputs.append(discarded(self._discarded, RIVER, batch.now_ms))
            self._discarded = ""
        if self._series.forget(self._newest - self._params.stale_ms):
            self._entries.forget()
        rows, refused = self._rows(batch, batch.series)
        if refused and not self._full:
            self._full = True
            outputs.append(full(self._params.max_series, batch.now_ms))
        found: list[tuple[int, Drift]] = []
        for begun, part in self._series.lives(rows, self._params.stale_ms):
            ranges = _ranges(batch.catalogue) if begun else {}
            for number in begun:
                self._begin(ranges, self._series.key(number), self._newest)
            found += self._series.feed(part)
        found.sort(key=lambda one: one[1].last)
        return [*outputs, *(self._told(batch, number, drift) for number, drift in found)]

    def wake_at(self) -> int | None:
        """Return None: only events tell of drift."""
        return None

    def snapshot(self) -> bytes:
        """Return all series with their detectors."""
        return pack_state(
            DriftState(
                river=self._discarded or RIVER,
                newest=self._newest,
                full=self._full,
                series=self._series.state(),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; one that another River wrote is discarded, which is told."""
        state = unpack_state(data, DriftState)
        self._newest, self._full = state.newest, state.full
        self._series = WatchedSeries(self._params.watch, self._window)
        self._entries.forget()
        self._discarded = "" if state.river == RIVER else state.river
        for one in () if self._discarded else state.series:
            self._series.take_over(one, self._window(one.window))

    def _rows(self, batch: Columns, series: pl.DataFrame) -> tuple[Rows, bool]:
        """Return the events of the watched series, and whether others had to be refused."""
        frame = batch.frame
        times = frame["event_time"].to_numpy()
        newest = np.maximum(np.maximum.accumulate(times), self._newest)
        self._newest = int(newest[-1])
        codes = frame["_series"].to_numpy()
        known, refused = self._numbers(batch, series, codes, newest)
        numbers = known[codes]
        kept = np.flatnonzero(numbers >= 0)
        kept = kept[np.argsort(numbers[kept], kind="stable")]
        offsets, values = frame["_offset"].to_numpy(), frame["value"].to_numpy()
        rows = Rows(numbers[kept], times[kept], offsets[kept], values[kept], newest[kept])
        return rows, refused

    def _numbers(
        self, batch: Columns, series: pl.DataFrame, codes: Codes, newest: Ints
    ) -> tuple[Ints, bool]:
        """Return the number of each row of a frame of series, below 0 if it is not watched.

        Where a decoder has numbered them, known ones are found by that, else by their keys.
        """
        if "_entry" not in series.columns:
            return self._by_key(batch, series, _first(codes, series.height), newest)
        entries = series["_entry"].to_numpy()
        numbers = self._entries.find(entries)
        unknown = np.flatnonzero(numbers == UNKNOWN)
        if not len(unknown):
            return numbers, False
        first = _first(codes, series.height)[unknown]
        numbers[unknown], refused = self._by_key(batch, series[unknown], first, newest)
        self._entries.note(entries, numbers)
        return numbers, refused

    def _by_key(
        self, batch: Columns, series: pl.DataFrame, first: Ints, newest: Ints
    ) -> tuple[Ints, bool]:
        """Return the numbers, and whether series were refused; they stay UNKNOWN.

        Watched series begin with their first event, at the place `first`.
        """
        watched = series.select(self._watched).to_series().to_numpy()
        numbers = np.where(watched, UNKNOWN, UNWATCHED)
        rows = np.flatnonzero(watched & (first >= 0))
        rows = rows[np.argsort(first[rows])]
        ranges, refused = _ranges(batch.catalogue), False
        for row, key in zip(rows.tolist(), series.select(SERIES)[rows].iter_rows(), strict=True):
            number = self._series.number(key)
            if number is None and len(self._series) < self._params.max_series:
                number = self._begin(ranges, key, int(newest[first[row]]))
            refused = refused or number is None
            numbers[row] = UNKNOWN if number is None else number
        return numbers, refused

    def _begin(self, ranges: _Ranges, key: Key, seen: int) -> int:
        low, high = ranges.get(key[SERIES.index("metric")], (0.0, 1.0))
        return self._series.begin(key, low, high - low, seen)

    def _told(self, batch: Columns, number: int, drift: Drift) -> DriftDetected:
        return drift_detected(batch, self._series.key(number), self._series.scale(number), drift)

    def _window(self, state: bytes | None = None) -> Window:
        """Return River's sliding window itself: the ADWIN around it adds only calls."""
        params = self._params
        window = AdaptiveWindowing(
            delta=params.delta, clock=params.clock, grace_period=params.grace
        )
        if state is not None:
            window.__setstate__(state)
        return window


def _first(codes: Codes, series: int) -> Ints:
    """Return the place of the first event of each series, -1 where there is none."""
    first = np.full(series, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def _ranges(catalogue: Catalogue) -> _Ranges:
    """Return the ranges that are defined for metrics; of several for one the first counts."""
    ranges: _Ranges = {}
    for one in catalogue.of(MetricDefined).values():
        if one.low is not None and one.high is not None:
            ranges.setdefault(one.metric, (one.low, one.high) if one.low < one.high else (0.0, 1.0))
    return ranges


def _share(states: Sequence[DriftState], partition: int, home: Home) -> DriftState:
    every = (one for state in states for one in state.series)
    series = tuple(one for one in every if home("/".join(one.key)) == partition)
    newest = max(state.newest for state in states)
    return DriftState(river=states[0].river, newest=newest, full=False, series=series)


def spec(params: DriftParams | None = None) -> Spec:
    """Return how hosts run drift.

    Raises InvalidParameters.
    """
    chosen = params or DriftParams()
    require(chosen, clock=1, grace=1, max_series=1, stale_ms=1)
    require(chosen.watch, min_before=1, confirm_events=1, confirm_every=1, blocks=16)
    return Spec(
        name="drift",
        inputs=("weir.metrics",),
        outputs=(DriftDetected, ActionTaken),
        build=lambda _partition: Detect(chosen),
        parameters=identity(chosen),
        columnar=True,
        catalogue=(MetricDefined,),
        state=DriftState,
        share=_share,
    )

"""Metrics to drifts: a detector on every watched series, with a confirmation step.

ADWIN unless a policy says otherwise: Bifet and Gavalda, "Learning from time-changing data with
adaptive windowing", SDM 2007, as River 0.26 and later implements it (older versions skip buckets).
A policy of `drift/APP/METRIC` is heeded before that of `drift/APP`, and that before `drift`; the
first lets its metric be watched, too. A detector starts afresh after an alarm; what is before and
after it is estimated by `processors.drifting.concepts`. Values are expected within 0 and 1; for
other metrics MetricDefined gives the range, and ks, psi and kswin need none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import polars as pl
from river._river_rust.drift import AdaptiveWindowing  # `river.drift` would load scikit-learn

from processors.drifting.banking import banked
from processors.drifting.banks import Bank, Window
from processors.drifting.changes import Drift
from processors.drifting.choosing import Choosing
from processors.drifting.detectors import ADWIN, PARAMETERS, Choice, DriftDetector, default
from processors.drifting.events import discarded, drift_detected, full
from processors.drifting.pasts import Ints
from processors.drifting.series import Key, Rows, SeriesState, WatchedSeries
from processors.drifting.watch import WatchParams
from processors.entries import UNKNOWN, Entries
from processors.errors import InvalidParameters
from processors.params import identity, require
from processors.refusals import detector_failed
from processors.vocabulary import CLASS_ACCURACY
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import DriftDetected
from schemas.processing import Columns, Home, Output, Spec
from schemas.registrations import MetricDefined, PolicySelected
from schemas.topics import SERIES

RIVER = version("river")
UNWATCHED = -2
MOST = 1e100
"""The largest value that is watched: the squares of larger ones could not be added up."""
Codes = npt.NDArray[np.uint32]
_Ranges = dict[str, tuple[float, float]]
_METRIC = SERIES.index("metric")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftParams:
    """What is watched, and how.

    `metrics` (those that end in a dot: all that begin so) at `levels` (app, service, instance) are
    watched by `detector`, at most `max_series` of them per partition; a series is forgotten after
    `stale_ms` of event time without an event. `delta` is ADWIN's significance unless a policy
    gives it, `clock` the events between its checks, `grace` those before its first.
    """

    metrics: tuple[str, ...] = ("error", "confidence", CLASS_ACCURACY)
    levels: tuple[str, ...] = ("app", "service", "instance")
    detector: str = ADWIN
    delta: float = 0.002
    clock: int = 8
    grace: int = 30
    max_series: int = 1_000
    stale_ms: int = 3_600_000
    watch: WatchParams = field(default_factory=WatchParams)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """All series, the River version whose bytes they hold, what was refused and what failed."""

    river: str
    newest: int
    full: bool
    refused: tuple[str, ...]
    failed: tuple[str, ...]
    series: tuple[SeriesState, ...]


class Detect:
    """Watches the series of one partition of weir.metrics."""

    def __init__(
        self, params: DriftParams, plugins: Mapping[str, DriftDetector] | None = None
    ) -> None:
        self._params = params
        self._plugins = dict(plugins or {})
        self._series = WatchedSeries(params.watch, self._bank)
        self._entries = Entries()
        usual = default(params.detector)
        if params.detector == ADWIN:
            usual = Choice(detector=ADWIN, given=(params.delta,))
        self._choosing = Choosing(params.metrics, params.levels, usual, self._plugins)
        self._failed: tuple[str, ...] = ()
        self._newest = 0
        self._full = False
        self._discarded = ""

    def process(self, batch: Columns) -> Sequence[Output]:
        """Feed the watched series; return what is told of them, in the order of their offsets.

        Raises TypeError when the batch does not say which series there are.
        """
        if batch.frame.is_empty():
            return []
        if batch.series is None:
            raise TypeError("drift takes columns of metrics, which come with their series")
        outputs: list[Output] = [*self._select(batch)]
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
        told = (self._told(batch, number, drift) for number, drift in found)
        return [*outputs, *told, *self._failures(batch.now_ms)]

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
                refused=self._choosing.refused,
                failed=self._failed,
                series=self._series.state(),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state, but for the series whose detector is no longer there.

        ADWIN's windows that another River wrote are discarded, which is told.
        """
        state = unpack_state(data, DriftState)
        self._newest, self._full, self._failed = state.newest, state.full, state.failed
        self._choosing.forget(state.refused)
        self._series = WatchedSeries(self._params.watch, self._bank)
        self._entries.forget()
        self._discarded = "" if state.river == RIVER else state.river
        for one in state.series:
            known = one.choice.detector in PARAMETERS or one.choice.detector in self._plugins
            if known and not (self._discarded and one.choice.detector == ADWIN):
                self._series.take_over(one)

    def _select(self, batch: Columns) -> list[ActionTaken]:
        """Heed the policies where they have changed; their series begin anew."""
        refused = self._choosing.select(batch.catalogue, batch.now_ms)
        if refused is None:
            return []
        ranges = _ranges(batch.catalogue)
        for key, number in self._series.keys().items():
            if not self._choosing.still(key):
                self._series.end(key)
            elif self._choosing.choice(key) != self._series.choice(number):
                self._begin(ranges, key, self._newest)
        self._entries.forget()
        return refused

    def _failures(self, now_ms: int) -> list[ActionTaken]:
        """Tell once of each detector of others that it fails."""
        if not self._plugins:
            return []
        failing = self._series.failures()
        new = [name for name in sorted(failing) if name not in self._failed]
        self._failed += tuple(new)
        return [detector_failed("drift", name, failing[name], now_ms) for name in new]

    def _rows(self, batch: Columns, series: pl.DataFrame) -> tuple[Rows, bool]:
        """Return the events of the watched series, and whether others had to be refused.

        What is no number, or beyond MOST, is passed over.
        """
        frame = batch.frame
        times = frame["event_time"].to_numpy()
        newest = np.maximum(np.maximum.accumulate(times), self._newest)
        self._newest = int(newest[-1])
        codes = frame["_series"].to_numpy()
        known, refused = self._numbers(batch, series, codes, newest)
        numbers = known[codes]
        kept = np.flatnonzero((numbers >= 0) & (np.abs(frame["value"].to_numpy()) <= MOST))
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
        watched = self._choosing.watched(series)
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
        low, high = ranges.get(key[_METRIC], (0.0, 1.0))
        return self._series.begin(key, self._choosing.choice(key), (low, high - low), seen)

    def _told(self, batch: Columns, number: int, drift: Drift) -> DriftDetected:
        key, detector = self._series.key(number), self._series.choice(number).detector
        return drift_detected(batch, key, detector, self._series.scale(number), drift)

    def _bank(self, choice: Choice) -> Bank:
        return banked(choice, self._window, self._plugins)

    def _window(self, delta: float, state: bytes | None) -> Window:
        """Return River's sliding window itself: the ADWIN around it adds only calls."""
        params = self._params
        window = AdaptiveWindowing(delta=delta, clock=params.clock, grace_period=params.grace)
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
    return DriftState(
        river=states[0].river,
        newest=max(state.newest for state in states),
        full=False,
        refused=tuple(dict.fromkeys(name for state in states for name in state.refused)),
        failed=tuple(dict.fromkeys(name for state in states for name in state.failed)),
        series=tuple(one for one in every if home("/".join(one.key)) == partition),
    )


def spec(
    params: DriftParams | None = None, *, plugins: Mapping[str, DriftDetector] | None = None
) -> Spec:
    """Return how hosts run drift, with Weir's detectors and those of others.

    Raises InvalidParameters.
    """
    chosen, others = params or DriftParams(), dict(plugins or {})
    if chosen.detector not in (*PARAMETERS, *others):
        raise InvalidParameters(f"DriftParams.detector is {chosen.detector!r}; nobody knows it")
    require(chosen, clock=1, grace=1, max_series=1, stale_ms=1)
    require(chosen.watch, min_before=1, confirm_events=1, confirm_every=1, blocks=75)
    return Spec(
        name="drift",
        prompt=True,
        inputs=("weir.metrics",),
        outputs=(DriftDetected, ActionTaken),
        build=lambda _partition: Detect(chosen, others),
        parameters=identity(chosen),
        columnar=True,
        catalogue=(MetricDefined, PolicySelected),
        format=2,
        state=DriftState,
        share=_share,
    )

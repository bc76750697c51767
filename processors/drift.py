"""Metrics to drifts: ADWIN by River on every watched series, with a confirmation step.

ADWIN: Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", SDM 2007,
as River 0.26 and later implements it (older versions skip buckets). A detector starts afresh
after an alarm; what is before and after it is estimated by `processors.concepts`. Values are
expected within 0 and 1; for other metrics MetricDefined gives the range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import polars as pl
from river.drift import ADWIN

from processors.params import identity, require
from processors.watch import Drift, Watch, WatchParams, WatchState, Window
from schemas.codec import pack_state, unpack_state
from schemas.columns import whole
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import DriftDetected
from schemas.processing import Columns, Home, Output, Spec
from schemas.records import KeyValue, SourceRange
from schemas.registrations import MetricDefined
from schemas.topics import SERIES

DETECTOR = "adwin"
RIVER = version("river")
_LEVELS = {
    "app": pl.col("service") == "",
    "service": (pl.col("service") != "") & (pl.col("instance") == ""),
    "instance": pl.col("instance") != "",
}
_Key = tuple[str, ...]


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
class SeriesState:
    """One series as state; `seen` is the partition's newest event time at its last event."""

    key: tuple[str, ...]
    low: float
    span: float
    seen: int
    window: bytes
    watch: WatchState


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """All series, and the River version whose bytes they hold."""

    river: str
    newest: int
    full: bool
    series: tuple[SeriesState, ...]


@dataclass(slots=True)
class _Series:
    """One series: its watch, and its range, by which values are brought to 0..1."""

    watch: Watch
    low: float
    span: float
    seen: int


class Detect:
    """Watches the series of one partition of weir.metrics."""

    def __init__(self, params: DriftParams) -> None:
        self._params = params
        self._series: dict[_Key, _Series] = {}
        self._newest = 0
        self._full = False
        self._discarded = ""
        levels = pl.any_horizontal([_LEVELS[name] for name in params.levels])
        self._watched = pl.col("metric").is_in(list(params.metrics)) & levels

    def process(self, batch: Columns) -> Sequence[Output]:
        """Feed the watched series; return the drifts confirmed, in the order of their offsets."""
        if batch.frame.is_empty():
            return []
        outputs: list[Output] = [*self._tell_discarded(batch.now_ms)]
        stale = [key for key, one in self._series.items() if self._stale(one, self._newest)]
        for gone in stale:
            del self._series[gone]
        drifts: list[tuple[int, DriftDetected]] = []
        frame = batch.frame if batch.series is None else whole(batch.frame, batch.series)
        for row in self._grouped(frame):
            key: _Key = row[: len(SERIES)]
            if key not in self._series and len(self._series) >= self._params.max_series:
                outputs.extend(self._refuse(batch.now_ms))
                continue
            drifts.extend(self._feed(batch, key, row[len(SERIES) :]))
        return [*outputs, *(event for _, event in sorted(drifts, key=lambda item: item[0]))]

    def wake_at(self) -> int | None:
        """Return None: only events tell of drift."""
        return None

    def snapshot(self) -> bytes:
        """Return all series with their detectors."""
        series = tuple(
            SeriesState(
                key=key,
                low=one.low,
                span=one.span,
                seen=one.seen,
                window=bytes(_bytes_of(one.watch.window)),
                watch=one.watch.state(),
            )
            for key, one in self._series.items()
        )
        return pack_state(
            DriftState(
                river=self._discarded or RIVER,
                newest=self._newest,
                full=self._full,
                series=() if self._discarded else series,
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; one that another River wrote is discarded, which is told."""
        state = unpack_state(data, DriftState)
        self._newest, self._full = state.newest, state.full
        self._series = {}
        self._discarded = "" if state.river == RIVER else state.river
        if self._discarded:
            return
        for one in state.series:
            watch = self._watch()
            watch.take_over(one.watch, self._window(one.window))
            self._series[one.key] = _Series(watch, one.low, one.span, one.seen)

    def _grouped(self, frame: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
        """Yield, per watched series, its key and the lists of its events."""
        newest = pl.max_horizontal(pl.col("event_time").cum_max(), pl.lit(self._newest))
        frame = frame.with_columns(newest.alias("_newest"))
        self._newest = int(frame["_newest"][-1])
        watched = frame.filter(self._watched)
        if watched.is_empty():
            return iter(())
        lists = ("event_time", "_offset", "value", "_newest")
        return watched.group_by(SERIES, maintain_order=True).agg(lists).iter_rows()

    def _feed(
        self, batch: Columns, key: _Key, events: tuple[Any, ...]
    ) -> Iterator[tuple[int, DriftDetected]]:
        times, offsets, values, instants = events
        start = 0
        for end in [*self._gaps(key, instants), len(values)]:
            one = self._series.get(key) or self._begin(batch, key)
            part = slice(start, end)
            if start < end:
                scaled = values[part]
                if (one.low, one.span) != (0.0, 1.0):
                    scaled = [(value - one.low) / one.span for value in scaled]
                one.seen = instants[end - 1]
                for drift in one.watch.feed(times[part], offsets[part], scaled):
                    yield drift.last, _event(batch, key, one, drift)
            if end < len(values):
                self._series.pop(key, None)
            start = end

    def _gaps(self, key: _Key, instants: list[int]) -> list[int]:
        """Return the places before which the series was silent for too long."""
        known = self._series.get(key)
        first = instants[0] if known is None else known.seen
        if instants[-1] - first <= self._params.stale_ms:
            return []
        before = [first, *instants]
        pairs = enumerate(zip(before, instants, strict=False))
        return [i for i, (old, new) in pairs if new - old > self._params.stale_ms]

    def _begin(self, batch: Columns, key: _Key) -> _Series:
        metric = key[SERIES.index("metric")]
        low, high = _range(metric, batch)
        self._series[key] = _Series(self._watch(), low, high - low, self._newest)
        return self._series[key]

    def _watch(self) -> Watch:
        return Watch(self._params.watch, self._window)

    def _window(self, state: bytes | None = None) -> Window:
        """Return River's sliding window itself: the ADWIN around it adds only calls."""
        params = self._params
        adwin = ADWIN(delta=params.delta, clock=params.clock, grace_period=params.grace)
        window: Any = vars(adwin)["_helper"]
        if state is not None:
            window.__setstate__(state)
        helper: Window = window
        return helper

    def _stale(self, one: _Series, newest: int) -> bool:
        return newest - one.seen > self._params.stale_ms

    def _tell_discarded(self, now_ms: int) -> Iterator[ActionTaken]:
        if not self._discarded:
            return
        found, self._discarded = self._discarded, ""
        yield ActionTaken(
            event_id=stable_id("drift", "snapshot.discarded", found, RIVER, now_ms),
            target="drift",
            kind="snapshot.discarded",
            status="done",
            policy="",
            reason=f"the detectors were saved by River {found}, this is River {RIVER}; they start "
            "afresh and need some events before they can tell a drift again",
            taken_at=now_ms,
        )

    def _refuse(self, now_ms: int) -> Iterator[ActionTaken]:
        if self._full:
            return
        self._full = True
        yield ActionTaken(
            event_id=stable_id("drift", "series.refused", self._params.max_series, now_ms),
            target="drift",
            kind="series.refused",
            status="refused",
            policy="",
            reason=f"{self._params.max_series} series are watched already; further ones are not",
            parameters=(KeyValue(key="max_series", value=str(self._params.max_series)),),
            taken_at=now_ms,
        )


def _bytes_of(window: Any) -> bytes:
    state: bytes = window.__getstate__()
    return state


def _range(metric: str, batch: Columns) -> tuple[float, float]:
    for defined in batch.catalogue.of(MetricDefined).values():
        if defined.metric == metric and defined.low is not None and defined.high is not None:
            return (defined.low, defined.high) if defined.low < defined.high else (0.0, 1.0)
    return 0.0, 1.0


def _event(batch: Columns, key: _Key, one: _Series, drift: Drift) -> DriftDetected:
    app, stage, service, instance, node, metric = key
    std = drift.before.std or drift.after.std
    change = drift.after.mean - drift.before.mean
    source = SourceRange(
        topic=batch.topic,
        partition=batch.partition,
        first=drift.first,
        last=drift.last,
        series="/".join(key),
    )
    return DriftDetected(
        event_id=stable_id("drift", *key, DETECTOR, drift.first, drift.last),
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        node=node,
        metric=metric,
        detector=DETECTOR,
        status="confirmed",
        kind=drift.kind,
        cause_class=metric if metric in ("error", "confidence") else "metric",
        before=one.low + one.span * drift.before.mean,
        after=one.low + one.span * drift.after.mean,
        width=drift.after.count,
        degree=abs(change) / std if std else 0.0,
        since=drift.since,
        detected_at=drift.detected_at,
        sources=(source,),
    )


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

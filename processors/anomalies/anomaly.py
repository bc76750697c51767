"""Observations to verdicts, second tier of quality: values that a series hardly ever had before.

A series is bad from a window that its detector flags, at the false-alarm rate that the operator
states, and good again after `clear_windows` windows in a row that are not flagged. A level that
stays becomes the usual one. Windows are judged in event-time order; older ones are passed over,
unless so many come in a row that the clock must have been set back. After a gap of `stale_ms`, and
under another detector, a series begins anew.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from processors.anomalies.detectors import (
    WEIR,
    Detector,
    Judge,
    Judged,
    Memories,
    PlainJudge,
    WeirJudge,
)
from processors.anomalies.multivariate import NUMBERS, VECTOR_DETECTORS, VectorDetector
from processors.anomalies.policies import OFF, Choice, failed, policies_of, refusal
from processors.anomalies.series import Due, SeriesState, Watched, judged, key_of, withdrawn
from processors.anomalies.univariate import DETECTORS
from processors.errors import InvalidParameters
from processors.measures import STATISTICS, combined
from processors.params import identity, require
from processors.recent import Recent
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import Observation, QualityEvaluated
from schemas.processing import Batch, Home, Output, Spec
from schemas.registrations import PolicySelected


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyParams:
    """How series are judged unless a policy says otherwise, and how many.

    Of `max_series` per partition, beyond which the longest unused is forgotten, each takes 4 kB.
    `weekly` false alarms a week are accepted of each. See the module for the others; `back`
    windows older than the newest judged, in a row, mean that the clock was set back.
    """

    detector: str = WEIR
    statistic: str = "mean"
    weekly: float = 2.0
    clear_windows: int = 8
    back: int = 60
    stale_ms: int = 86_400_000
    max_series: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyState:
    """All series, the longest unused first, the policies refused and the detectors that failed."""

    series: tuple[SeriesState, ...]
    refused: tuple[str, ...]
    failed: tuple[str, ...]


class Anomalies:
    """Judges the series of one partition of weir.observations."""

    def __init__(self, params: AnomalyParams, detectors: Mapping[str, Detector]) -> None:
        self._params = params
        known: dict[str, Detector | VectorDetector]
        known = {**detectors, **DETECTORS, **VECTOR_DETECTORS}
        self._judges: dict[str, Judge] = {name: PlainJudge(each) for name, each in known.items()}
        self._judges[WEIR] = WeirJudge()
        self._default = Choice(
            detector=params.detector, statistic=params.statistic, weekly=params.weekly
        )
        self._selected: Mapping[str, PolicySelected] | None = None
        self._policies = policies_of({}, (), self._default)
        self._refused: tuple[str, ...] = ()
        self._failed: tuple[str, ...] = ()
        self._forget_all()

    def _forget_all(self) -> None:
        self._series: Recent[tuple[str, ...], Watched] = Recent(self._params.max_series)
        self._memories = {name: Memories(judge) for name, judge in self._judges.items()}
        self._due: list[Due] = []

    def process(self, batch: Batch) -> Sequence[Output]:
        """Return the verdicts that change; early observations are not judged."""
        if not batch.records:
            return []
        outputs: list[Output] = [*self._select(batch)]
        for record in batch.records:
            if isinstance(record.event, Observation) and record.event.final:
                outputs += self._take(record.event, batch.now_ms)
        return [*outputs, *self._judge(batch.now_ms)]

    def wake_at(self) -> int | None:
        """Return None: only observations change a verdict."""
        return None

    def snapshot(self) -> bytes:
        """Return all series."""
        series = tuple(
            one.state(self._memories[one.detector].packed(one.row))
            for _, one in self._series.items()
        )
        return pack_state(AnomalyState(series=series, refused=self._refused, failed=self._failed))

    def restore(self, data: bytes) -> None:
        """Take over all series, but for those whose detector is no longer there."""
        state = unpack_state(data, AnomalyState)
        self._forget_all()
        for one in state.series:
            if one.detector in self._memories:
                memories = self._memories[one.detector]
                watched = Watched.of(one, memories.take())
                memories.unpack(watched.row, one.memory)
                self._series.put(watched.key, watched)
        self._refused, self._failed, self._selected = state.refused, state.failed, None

    def _select(self, batch: Batch) -> list[ActionTaken]:
        selected = batch.catalogue.of(PolicySelected)
        if selected is self._selected:
            return []
        self._selected = selected
        self._policies = policies_of(selected, self._judges, self._default)
        known, self._refused = self._refused, tuple(self._policies.refused)
        return [
            refusal(event_id, *said, batch.now_ms)
            for event_id, said in self._policies.refused.items()
            if event_id not in known
        ]

    def _take(self, seen: Observation, now_ms: int) -> list[Output]:
        """Let a window wait to be judged; what ends a series is told after all before it."""
        choice = self._policies.of(seen.app, seen.metric) or self._default
        outputs: list[Output] = []
        if choice.detector == OFF:
            return self._end(seen, now_ms)
        one, forgotten = self._series.use(key_of(seen), lambda: self._watched(seen, choice))
        if forgotten is not None:
            outputs += [*self._judge(now_ms), *self._dropped(forgotten[1], now_ms)]
        if one.detector != choice.detector:
            outputs += [*self._judge(now_ms), *self._dropped(one, now_ms)]
            one = self._watched(seen, choice)
            self._series.put(one.key, one)
        if one.last_end and seen.window_end - one.last_end > self._params.stale_ms:
            outputs += [*self._judge(now_ms), *self._quieted(one, "begun anew after a gap", now_ms)]
            self._memories[one.detector].clear(one.row)
        if one.follows(seen, self._params.back):
            names, values = _values(seen, choice)
            rate = choice.rate(seen.window_end - seen.window_start)
            self._due.append(Due(one, seen, names, values, rate))
        return outputs

    def _watched(self, seen: Observation, choice: Choice) -> Watched:
        return Watched(key_of(seen), choice.detector, self._memories[choice.detector].take())

    def _judge(self, now_ms: int) -> list[Output]:
        """Judge what waits; return the verdicts in the order of the windows."""
        due, self._due = self._due, []
        found = Judged.of(len(due))
        for name in dict.fromkeys(each.series.detector for each in due):
            places = [at for at, each in enumerate(due) if each.series.detector == name]
            part = self._judged([due[at] for at in places], self._memories[name])
            found.scores[places], found.fresh[places] = part.scores, part.fresh
            found.usual[places] = part.usual
        outputs = self._failures(now_ms)
        told = zip(
            due, found.scores.tolist(), found.fresh.tolist(), found.usual.tolist(), strict=True
        )
        for each, score, new, usual in told:
            if each.series.turn(score, each.rate, new=new, clear=self._params.clear_windows):
                outputs.append(judged(each, score, usual, now_ms))
        return outputs

    def _judged(self, due: Sequence[Due], memories: Memories) -> Judged:
        values = np.array([each.values for each in due], np.float64)
        return memories.judge.judge(
            memories.states,
            np.array([each.series.row for each in due], np.int64),
            np.array([each.seen.window_end for each in due], np.int64),
            values if values.shape[1] > 1 else values[:, 0].copy(),
            np.array([each.rate for each in due], np.float64),
        )

    def _failures(self, now_ms: int) -> list[Output]:
        """Tell once of each detector that it fails."""
        failing = {name: judge.failure for name, judge in self._judges.items() if judge.failure}
        new = [name for name in sorted(failing) if name not in self._failed]
        self._failed += tuple(new)
        return [failed(name, failing[name], now_ms) for name in new]

    def _end(self, seen: Observation, now_ms: int) -> list[Output]:
        one = self._series.get(key_of(seen))
        if one is None:
            return []
        outputs = [*self._judge(now_ms), *self._dropped(one, now_ms)]
        self._series.drop(one.key)
        return outputs

    def _dropped(self, one: Watched, now_ms: int) -> list[Output]:
        self._memories[one.detector].give_back(one.row)
        return self._quieted(one, "no longer judged", now_ms)

    def _quieted(self, one: Watched, why: str, now_ms: int) -> list[Output]:
        """Withdraw the verdict on a series, if it is bad."""
        if not one.raised:
            return []
        one.raised = False
        return [withdrawn(one, why, now_ms)]


def _values(seen: Observation, choice: Choice) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the statistics of a window that its detector judges, and their values."""
    if choice.detector in VECTOR_DETECTORS:
        return NUMBERS, tuple(float(getattr(seen, name)) for name in NUMBERS)
    return (choice.statistic,), (combined([seen], choice.statistic),)


def _share(states: Sequence[AnomalyState], partition: int, home: Home) -> AnomalyState:
    every = (one for state in states for one in state.series)
    return AnomalyState(
        series=tuple(one for one in every if home(one.key[0]) == partition),
        refused=tuple(dict.fromkeys(name for state in states for name in state.refused)),
        failed=tuple(dict.fromkeys(name for state in states for name in state.failed)),
    )


def spec(
    params: AnomalyParams | None = None, *, plugins: Mapping[str, Detector] | None = None
) -> Spec:
    """Return how hosts run quality, second tier, with Weir's detectors and those of others.

    Raises InvalidParameters.
    """
    chosen, others = params or AnomalyParams(), dict(plugins or {})
    if chosen.detector not in (WEIR, *DETECTORS, *VECTOR_DETECTORS, *others):
        raise InvalidParameters(f"AnomalyParams.detector is {chosen.detector!r}; nobody knows it")
    if chosen.statistic not in STATISTICS:
        raise InvalidParameters(f"AnomalyParams.statistic is {chosen.statistic!r}; nobody knows it")
    if not 0.0 < chosen.weekly < math.inf:
        raise InvalidParameters(f"AnomalyParams.weekly is {chosen.weekly}; it must be above 0")
    require(chosen, clear_windows=1, back=1, stale_ms=1, max_series=1)
    return Spec(
        name="anomaly",
        inputs=("weir.observations",),
        outputs=(QualityEvaluated, ActionTaken),
        build=lambda _partition: Anomalies(chosen, others),
        parameters=identity(chosen),
        state=AnomalyState,
        share=_share,
        portable=True,
        catalogue=(PolicySelected,),
    )

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
from functools import partial

import numpy as np
import polars as pl

from processors.anomalies.batches import Windows
from processors.anomalies.detectors import WEIR, Detector, Judge, Memories, PlainJudge, WeirJudge
from processors.anomalies.joining import Joining
from processors.anomalies.multivariate import VECTOR_DETECTORS, VectorDetector
from processors.anomalies.policies import OFF, Choice, joints_of, policies_of
from processors.anomalies.series import (
    KEYS,
    METRIC,
    Judgement,
    Key,
    Watched,
    again,
    judged,
    withdrawn,
)
from processors.anomalies.state import AnomalyState, share
from processors.anomalies.univariate import DETECTORS
from processors.errors import InvalidParameters
from processors.measures import STATISTICS
from processors.params import identity, require
from processors.recent import Recent
from processors.refusals import detector_failed, policy_refused
from schemas.catalogue import Catalogue
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import QualityEvaluated
from schemas.processing import Columns, Output, Spec
from schemas.quality import SilenceDefined
from schemas.registrations import InstanceReported, NodeReported, PolicySelected


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyParams:
    """How series are judged unless a policy says otherwise, and how many.

    Of `max_series` per partition, beyond which the longest unused is forgotten, each takes 4 kB.
    `weekly` false alarms a week are accepted of each. See the module for the others; `back`
    windows older than the newest judged, in a row, mean that the clock was set back. While a raised
    verdict is silenced, it looks every `look_ms` whether it still is.
    """

    detector: str = WEIR
    statistic: str = "mean"
    weekly: float = 2.0
    clear_windows: int = 8
    back: int = 60
    stale_ms: int = 86_400_000
    look_ms: int = 5_000
    max_series: int = 1_000


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
        self._catalogue, self._now_ms = Catalogue(), 0
        self._forget_all()

    def _forget_all(self) -> None:
        self._series: Recent[Key, Watched] = Recent(self._params.max_series)
        self._memories = {name: Memories(judge) for name, judge in self._judges.items()}
        self._silenced: dict[Key, Watched] = {}
        self._joining = Joining(self._params.max_series)
        self._looked = 0

    def process(self, batch: Columns) -> Sequence[Output]:
        """Return the verdicts that change; early observations are not judged."""
        self._catalogue, self._now_ms = batch.catalogue, batch.now_ms
        if batch.frame.is_empty():
            return self._look()
        outputs: list[Output] = [*self._select()]
        frame = batch.frame.filter(pl.col("final"))
        frame = self._joining.joined(frame)
        return [*outputs, *self._take(frame)] if frame.height else outputs

    def wake_at(self) -> int | None:
        """Return when to see whether silences have ended; None while nothing is silenced."""
        return self._looked + self._params.look_ms if self._silenced else None

    def snapshot(self) -> bytes:
        """Return all series."""
        series = tuple(
            one.state(self._memories[one.detector].packed(one.row))
            for _, one in self._series.items()
        )
        state = AnomalyState(
            series=series,
            refused=self._refused,
            failed=self._failed,
            looked=self._looked,
            joints=tuple(self._joining.states()),
        )
        return pack_state(state)

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
                if watched.raised and watched.silenced_by:
                    self._silenced[watched.key] = watched
        self._refused, self._failed, self._selected = state.refused, state.failed, None
        self._looked = state.looked
        self._joining = Joining(self._params.max_series, state.joints)

    def _look(self) -> list[Output]:
        """Tell what is raised and no longer silenced."""
        due = self.wake_at()
        if due is None or self._now_ms < due:
            return []
        self._looked = self._now_ms
        outputs: list[Output] = []
        for key, one in sorted(self._silenced.items()):
            if not one.silence(self._catalogue, self._now_ms):
                del self._silenced[key]
                outputs.append(again(one, self._now_ms))
        return outputs

    def _select(self) -> list[Output]:
        selected = self._catalogue.of(PolicySelected)
        if selected is self._selected:
            return []
        self._selected = selected
        self._policies = policies_of(selected, self._judges, self._default)
        known, self._refused = self._refused, tuple(self._policies.refused)
        gone = self._joining.select(joints_of(selected, self._policies))
        ended: list[Output] = [one for key in gone for one in self._end(key)]
        return ended + [
            policy_refused("anomaly", event_id, *said, self._now_ms)
            for event_id, said in self._policies.refused.items()
            if event_id not in known
        ]

    def _take(self, frame: pl.DataFrame) -> list[Output]:
        """Judge windows: all at once, or one by one where series end or begin anew among them."""
        found = frame.select(KEYS).unique(maintain_order=True)
        busy = [self._busy(key) for key in found.iter_rows()]
        if not all(busy):
            found = found.filter(busy)
            frame = frame.join(found, on=KEYS, how="semi")
        keys = found.rows()
        if not keys:
            return []
        if not self._at_once(keys, frame):
            outputs: list[Output] = []
            for at, key in enumerate(frame.select(KEYS).iter_rows()):
                outputs += self._one(key, frame[at : at + 1])
            return outputs
        watched = [self._series.use(key, partial(self._watched, key))[0] for key in keys]
        coded = found.with_row_index("_code")
        joined = frame.select(KEYS).join(coded, on=KEYS, how="left", maintain_order="left")
        codes = joined["_code"].to_numpy().astype(np.int64)
        outputs = self._judge(Windows(frame, codes, watched, list(map(self._choice, keys))))
        last = np.zeros(len(keys), np.int64)
        last[codes] = np.arange(len(codes))
        for code in np.argsort(last).tolist():
            self._series.put(keys[code], watched[code])
        return outputs

    def _busy(self, key: Key) -> bool:
        """Return whether a window of a series is judged, or ends it."""
        return self._choice(key).detector != OFF or self._series.get(key) is not None

    def _at_once(self, keys: Sequence[Key], frame: pl.DataFrame) -> bool:
        known = [(key, self._series.get(key)) for key in keys]
        if len(self._series) + sum(one is None for _, one in known) > self._params.max_series:
            return False
        ends = [one.last_end for _, one in known if one is not None and one.last_end]
        seen = frame["window_end"].to_numpy()
        if seen.max() - min([seen.min(), *ends]) > self._params.stale_ms:
            return False
        return all(
            (chosen := self._choice(key).detector) != OFF
            and (one is None or one.detector == chosen)
            for key, one in known
        )

    def _one(self, key: Key, frame: pl.DataFrame) -> list[Output]:
        """Judge one window of a series that may end, begin, or begin anew."""
        choice, end = self._choice(key), int(frame["window_end"][0])
        if choice.detector == OFF:
            return self._end(key)
        outputs: list[Output] = []
        one, forgotten = self._series.use(key, partial(self._watched, key))
        if forgotten is not None:
            outputs += self._dropped(forgotten[1])
        if one.detector != choice.detector:
            outputs += self._dropped(one)
            one = self._watched(key)
            self._series.put(key, one)
        if one.last_end and end - one.last_end > self._params.stale_ms:
            outputs += self._quieted(one, "begun anew after a gap")
            self._memories[one.detector].clear(one.row)
        codes = np.zeros(1, np.int64)
        return [*outputs, *self._judge(Windows(frame, codes, [one], [choice]))]

    def _choice(self, key: Key) -> Choice:
        return self._policies.of(key[0], key[METRIC]) or self._default

    def _watched(self, key: Key) -> Watched:
        detector = self._choice(key).detector
        return Watched(key, detector, self._memories[detector].take())

    def _judge(self, windows: Windows) -> list[Output]:
        """Judge windows; return the verdicts in their order."""
        windows = windows.following(self._params.back)
        found = windows.judged(self._memories)
        outputs = self._failures()
        for at in windows.telling(found):
            one, seen = windows.of(at), windows.judgement(at, found)
            seen = self._joining.told(one.key, seen)
            flagged = seen.score >= -math.log10(seen.rate)
            new = bool(found.fresh[at])
            if one.turn(flagged=flagged, new=new, clear=self._params.clear_windows):
                outputs.append(self._turned(one, seen))
        return outputs

    def _turned(self, one: Watched, seen: Judgement) -> QualityEvaluated:
        silenced_by = one.silence(self._catalogue, self._now_ms) if one.raised else ""
        event = judged(one, seen, silenced_by, self._now_ms)
        self._silenced.pop(one.key, None)
        if silenced_by:
            if not self._silenced:
                self._looked = self._now_ms
            self._silenced[one.key] = one
        return event

    def _failures(self) -> list[Output]:
        """Tell once of each detector that it fails."""
        failing = {name: judge.failure for name, judge in self._judges.items() if judge.failure}
        new = [name for name in sorted(failing) if name not in self._failed]
        self._failed += tuple(new)
        return [detector_failed("anomaly", name, failing[name], self._now_ms) for name in new]

    def _end(self, key: Key) -> list[Output]:
        one = self._series.get(key)
        if one is None:
            return []
        outputs = self._dropped(one)
        self._series.drop(key)
        return outputs

    def _dropped(self, one: Watched) -> list[Output]:
        self._memories[one.detector].give_back(one.row)
        return self._quieted(one, "no longer judged")

    def _quieted(self, one: Watched, why: str) -> list[Output]:
        """Withdraw the verdict on a series, if it is bad."""
        self._silenced.pop(one.key, None)
        return [withdrawn(one, why, self._now_ms)] if one.raised else []


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
    require(chosen, clear_windows=1, back=1, stale_ms=1, look_ms=1, max_series=1)
    return Spec(
        name="anomaly",
        inputs=("weir.observations",),
        outputs=(QualityEvaluated, ActionTaken),
        build=lambda _partition: Anomalies(chosen, others),
        parameters=identity(chosen),
        format=3,
        columnar=True,
        state=AnomalyState,
        share=share,
        portable=True,
        catalogue=(PolicySelected, SilenceDefined, NodeReported, InstanceReported),
    )

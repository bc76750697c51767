"""One series under watch: from a detector's alarm to a confirmed drift.

    steady --alarm--> suspecting, a warning told --the change persists--> steady, a drift told
                                                 --it does not-->         steady, dismissal told

An alarm is believed when the events after it, which the detector had not seen, still lie at
least a quarter of the way from the old mean to the new and beyond what chance explains. Cuts in
the same direction soon after a drift, and smaller than it, are the rest of the same drift. What
two samples say they confirm by themselves: it need not show in the mean. A drift is recurring when
the mean is again that of an earlier concept; gradual or incremental when a slope explains the past
about as well as a jump, and it took long to tell: gradual while values jump between the concepts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processors.drifting.banks import Alarm, Level
from processors.drifting.changes import (
    CONFIRMED,
    DISMISSED,
    GRADUAL,
    INCREMENTAL,
    RECURRING,
    SUDDEN,
    WARNING,
    Concept,
    Drift,
    Suspicion,
    WatchState,
)
from processors.drifting.concepts import BLOCK, SLOPE, Cut, Past, PastState
from processors.drifting.samples import normal_p

_REMEMBERED = 8
_TINY = 1e-12
_LEAST_P = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParams:
    """When an alarm is believed; all counts in events.

    `min_before`: fewest events of the old concept. `confirm_events`: events after the alarm at
    the first check, `confirm_every` to the next, `confirm_most` at most to the last; a change
    that is small against the noise takes long. `confidence_z`: standard errors by which they must
    lie off the old mean. `settle_events`: for so long after a drift are further cuts part of it.
    `recurs_within`: how near a remembered mean must be, as a share of the change. `gradual_gain`:
    by how much a slope must fit better than a jump, in log-likelihood; below 0 because a jump
    that is looked for fits too well. `blocks`: how much of the past is kept, in blocks of 8.
    """

    min_before: int = 30
    confirm_events: int = 20
    confirm_every: int = 10
    confirm_most: int = 1_000
    confidence_z: float = 2.5
    settle_events: int = 300
    recurs_within: float = 0.2
    gradual_gain: float = -1.0
    blocks: int = 96


class Watch:
    """Judges the alarms of one series; only in suspicion must it see every event."""

    def __init__(self, params: WatchParams) -> None:
        self._params = params
        self._suspicion: Suspicion | None = None
        self._warned: tuple[int, ...] = ()
        self._change = 0.0
        self._began: int | None = None
        self._remembered: tuple[Concept, ...] = ()

    @property
    def suspects(self) -> bool:
        """Whether an alarm waits to be believed."""
        return self._suspicion is not None

    def feed(
        self,
        past: Past,
        times: Sequence[int],
        offsets: Sequence[int],
        values: Sequence[float],
        alarms: Mapping[int, Alarm],
    ) -> list[Drift]:
        """Take events (time in ms, offset, value) in their order; return what is to be told.

        `alarms` are by the places of the events at which the detector raised them. `past` is that
        of the series before these events, and is extended by them.
        """
        told: list[Drift | None] = []
        start, count = 0, len(values)
        while start < count:
            end = self._stop(start, count, alarms)
            past.extend(times[start:end], offsets[start:end], values[start:end])
            alarm, place = alarms.get(end - 1), (offsets[end - 1], times[end - 1])
            if alarm is not None and alarm.level is not Level.ALARM:
                told.append(self._sampled(past, alarm, *place))
            elif self._suspicion is not None:
                told.append(self._suspect(past, self._suspicion, values[start:end], *place))
            elif alarm is not None:
                told.append(self._alarmed(past, *place))
            start = end
        return [one for one in told if one is not None]

    def _stop(self, start: int, count: int, alarms: Mapping[int, Alarm]) -> int:
        """Return the place after the next alarm, or after the next check of a suspicion."""
        if self._suspicion is not None:
            return min(count, start + self._to_check(len(self._suspicion.further)))
        return next((place + 1 for place in alarms if place >= start), count)

    def _to_check(self, seen: int) -> int:
        first, every = self._params.confirm_events, self._params.confirm_every
        return first - seen if seen < first else every - (seen - first) % every

    def _alarmed(self, past: Past, last: int, at: int) -> Drift | None:
        cut = past.cut()
        if cut is None or cut.before.count < self._params.min_before:
            return None
        if self._same_drift(past, cut):
            past.forget(cut)
            return None
        self._suspicion = Suspicion(before=cut.before, after=cut.after.mean)
        return self._told(WARNING, past, cut, last, at)

    def _same_drift(self, past: Past, cut: Cut) -> bool:
        change = cut.after.mean - cut.before.mean
        recent = past.events <= self._params.settle_events
        return recent and change * self._change > 0 and abs(change) < abs(self._change)

    def _suspect(
        self, past: Past, suspicion: Suspicion, values: Sequence[float], last: int, at: int
    ) -> Drift | None:
        further = (*suspicion.further, *values)
        present = Suspicion(before=suspicion.before, after=suspicion.after, further=further)
        self._suspicion = present
        p = self._persists(present)
        if p is None and len(further) < self._patience(suspicion):
            return None
        self._suspicion = None
        cut = past.cut()
        if p is None or cut is None or cut.before.count < self._params.min_before:
            return None if cut is None else self._told(DISMISSED, past, cut, last, at)
        return self._confirmed(past, cut, last, at, p, None)

    def _patience(self, suspicion: Suspicion) -> int:
        """Return after how many events the alarm is dropped.

        Four times what half the change needs to stand out of the noise, between five first
        checks and the most.
        """
        half = abs(suspicion.after - suspicion.before.mean) / 2
        noise = self._params.confidence_z * suspicion.before.std / max(half, _TINY)
        least = 5 * self._params.confirm_events
        return min(self._params.confirm_most, max(least, round(noise**2)))

    def _persists(self, suspicion: Suspicion) -> float | None:
        """Return how likely chance alone keeps the change up; None while it is not believed.

        The events after the alarm against the old mean, times the checks so far (Bonferroni).
        """
        count = len(suspicion.further)
        every = self._params.confirm_every
        if count < self._params.confirm_events or self._to_check(count) != every:
            return None
        before = suspicion.before
        change = suspicion.after - before.mean
        shift = math.fsum(suspicion.further) / count - before.mean
        error = max(before.std, _TINY) * math.sqrt(1 / count + 1 / before.count)
        if shift * change <= 0 or abs(shift) < abs(change) / 4:
            return None
        if abs(shift) < self._params.confidence_z * error:
            return None
        checks = 1 + (count - self._params.confirm_events) // every
        return min(1.0, max(_LEAST_P, 2.0 * checks * normal_p(abs(shift) / error)))

    def _sampled(self, past: Past, alarm: Alarm, last: int, at: int) -> Drift | None:
        """Take what two samples say; their new concept begins where the first of them does."""
        cut = past.cut_before(alarm.back)
        if cut is None:
            return None
        p, statistic = alarm.p_value, alarm.statistic
        if alarm.level is Level.CONFIRMED:
            return self._confirmed(past, cut, last, at, p, statistic)
        status = WARNING if alarm.level is Level.WARNING else DISMISSED
        return self._told(status, past, cut, last, at, p, statistic)

    def _told(
        self,
        status: str,
        past: Past,
        cut: Cut,
        last: int,
        at: int,
        p: float | None = None,
        statistic: float | None = None,
    ) -> Drift:
        """Return a warning, or that it came to nothing."""
        warned, self._warned = self._warned, (cut.first, last) if status == WARNING else ()
        return Drift(
            status=status,
            kind=self._kind(past, cut),
            before=cut.before,
            after=cut.after,
            since=cut.since,
            first=cut.first,
            last=last,
            detected_at=at,
            p_value=p,
            statistic=statistic,
            warned=() if status == WARNING else warned,
        )

    def _confirmed(
        self, past: Past, cut: Cut, last: int, at: int, p: float | None, statistic: float | None
    ) -> Drift:
        known, kind = self._again(cut), self._kind(past, cut)
        left = past.first() if self._began is None else self._began
        self._began = cut.first if known is None else known.first
        past.forget(cut)
        self._change = cut.after.mean - cut.before.mean
        others = [one for one in self._remembered if one.first != left]
        left_behind = Concept(first=left, mean=cut.before.mean)
        self._remembered = (*others, left_behind)[-_REMEMBERED:]
        warned, self._warned = self._warned, ()
        return Drift(
            status=CONFIRMED,
            kind=kind,
            before=cut.before,
            after=cut.after,
            since=cut.since,
            first=cut.first,
            last=last,
            detected_at=at,
            p_value=p,
            statistic=statistic,
            concept=self._began,
            recurs=None if known is None else known.first,
            warned=warned,
        )

    def _again(self, cut: Cut) -> Concept | None:
        """Return the remembered concept that is nearest to what holds now, if it is near."""
        near = self._params.recurs_within * abs(cut.after.mean - cut.before.mean)

        def distance(one: Concept) -> float:
            return abs(cut.after.mean - one.mean)

        nearest = min(self._remembered, key=distance, default=None)
        return nearest if nearest is not None and distance(nearest) <= near else None

    def _kind(self, past: Past, cut: Cut) -> str:
        if self._again(cut) is not None:
            return RECURRING
        long = cut.after.count >= SLOPE * BLOCK
        if not long or past.slope_gain() <= self._params.gradual_gain:
            return SUDDEN
        return GRADUAL if past.mixes(cut) else INCREMENTAL

    def state(self, past: PastState, events: int) -> WatchState:
        """Return it as state, with the past of its series and what that has counted."""
        return WatchState(
            past=past,
            suspicion=self._suspicion,
            warned=self._warned,
            change=self._change,
            since_change=events,
            began=self._began,
            remembered=self._remembered,
        )

    def take_over(self, state: WatchState) -> None:
        """Take over a state, but for the past in it."""
        self._suspicion = state.suspicion
        self._warned = state.warned
        self._change = state.change
        self._began = state.began
        self._remembered = state.remembered

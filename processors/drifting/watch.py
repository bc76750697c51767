"""One series under watch: from a detector's alarm to a confirmed drift.

    steady --alarm--> suspecting --the change persists--> steady, one Drift told
                                 --it does not-->         steady, nothing told

An alarm is believed when the events after it, which the detector had not seen, still lie at
least a quarter of the way from the old mean to the new and beyond what chance explains. Cuts in
the same direction soon after a drift, and smaller than it, are the rest of the same drift. A
drift is gradual when a slope explains the past about as well as a jump, and it took long to tell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from processors.drifting.concepts import BLOCK, SLOPE, Cut, Moments, Past, PastState

SUDDEN, GRADUAL, RECURRING = "sudden", "gradual", "recurring"
_REMEMBERED = 8
_TINY = 1e-12


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


@dataclass(frozen=True, slots=True)
class Drift:
    """A confirmed change: kind, means, and where the new concept begins and was confirmed."""

    kind: str
    before: Moments
    after: Moments
    since: int
    first: int
    last: int
    detected_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """The mean before and after an alarm's cut, and the values that came since the alarm."""

    before: Moments
    after: float
    further: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """A watch as state, and the past of its series, but not its detector."""

    past: PastState
    suspicion: Suspicion | None
    change: float
    since_change: int
    remembered: tuple[float, ...]


class Watch:
    """Judges the alarms of one series; only in suspicion must it see every event."""

    def __init__(self, params: WatchParams) -> None:
        self._params = params
        self._suspicion: Suspicion | None = None
        self._change = 0.0
        self._remembered: tuple[float, ...] = ()

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
        alarms: Sequence[int],
    ) -> list[Drift]:
        """Take events (time in ms, offset, value) in their order; return the drifts confirmed.

        `alarms` are the places of the events at which the detector raised one. `past` is that of
        the series before these events, and is extended by them.
        """
        drifts = []
        start, count = 0, len(values)
        while start < count:
            end = self._stop(start, count, alarms)
            past.extend(times[start:end], offsets[start:end], values[start:end])
            if self._suspicion is not None:
                self._suspect(self._suspicion, values[start:end])
                if self._suspicion is not None and self._persists(self._suspicion):
                    drifts += self._confirm(past, offsets[end - 1], times[end - 1])
            elif end - 1 in alarms:
                self._alarmed(past)
            start = end
        return drifts

    def _stop(self, start: int, count: int, alarms: Sequence[int]) -> int:
        """Return the place after the next alarm, or after the next check of a suspicion."""
        if self._suspicion is not None:
            return min(count, start + self._to_check(len(self._suspicion.further)))
        return next((place + 1 for place in alarms if place >= start), count)

    def _to_check(self, seen: int) -> int:
        first, every = self._params.confirm_events, self._params.confirm_every
        return first - seen if seen < first else every - (seen - first) % every

    def _alarmed(self, past: Past) -> None:
        cut = past.cut()
        if cut is None or cut.before.count < self._params.min_before:
            return
        if self._same_drift(past, cut):
            past.forget(cut)
            return
        self._suspicion = Suspicion(before=cut.before, after=cut.after.mean)

    def _same_drift(self, past: Past, cut: Cut) -> bool:
        change = cut.after.mean - cut.before.mean
        recent = past.events <= self._params.settle_events
        return recent and change * self._change > 0 and abs(change) < abs(self._change)

    def _suspect(self, suspicion: Suspicion, values: Sequence[float]) -> None:
        further = (*suspicion.further, *values)
        self._suspicion = Suspicion(before=suspicion.before, after=suspicion.after, further=further)
        if len(further) >= self._patience(suspicion) and not self._persists(self._suspicion):
            self._suspicion = None

    def _patience(self, suspicion: Suspicion) -> int:
        """Return after how many events the alarm is dropped.

        Four times what half the change needs to stand out of the noise, between five first
        checks and the most.
        """
        half = abs(suspicion.after - suspicion.before.mean) / 2
        noise = self._params.confidence_z * suspicion.before.std / max(half, _TINY)
        least = 5 * self._params.confirm_events
        return min(self._params.confirm_most, max(least, round(noise**2)))

    def _persists(self, suspicion: Suspicion) -> bool:
        count = len(suspicion.further)
        at_check = count >= self._params.confirm_events and (
            self._to_check(count) == self._params.confirm_every
        )
        if not at_check:
            return False
        before = suspicion.before
        change = suspicion.after - before.mean
        shift = math.fsum(suspicion.further) / count - before.mean
        error = max(before.std, _TINY) * math.sqrt(1 / count + 1 / before.count)
        return shift * change > 0 and (
            abs(shift) >= abs(change) / 4 and abs(shift) >= self._params.confidence_z * error
        )

    def _confirm(self, past: Past, last: int, detected_at: int) -> list[Drift]:
        self._suspicion = None
        cut = past.cut()
        if cut is None or cut.before.count < self._params.min_before:
            return []
        kind = self._kind(past, cut)
        past.forget(cut)
        self._change = cut.after.mean - cut.before.mean
        self._remembered = (*self._remembered, cut.before.mean)[-_REMEMBERED:]
        return [Drift(kind, cut.before, cut.after, cut.since, cut.first, last, detected_at)]

    def _kind(self, past: Past, cut: Cut) -> str:
        change = cut.after.mean - cut.before.mean
        near = self._params.recurs_within * abs(change)
        if any(abs(cut.after.mean - mean) <= near for mean in self._remembered):
            return RECURRING
        long = cut.after.count >= SLOPE * BLOCK
        climbs = long and past.slope_gain() > self._params.gradual_gain
        return GRADUAL if climbs else SUDDEN

    def state(self, past: PastState, events: int) -> WatchState:
        """Return it as state, with the past of its series and what that has counted."""
        return WatchState(
            past=past,
            suspicion=self._suspicion,
            change=self._change,
            since_change=events,
            remembered=self._remembered,
        )

    def take_over(self, state: WatchState) -> None:
        """Take over a state, but for the past in it."""
        self._suspicion = state.suspicion
        self._change = state.change
        self._remembered = state.remembered

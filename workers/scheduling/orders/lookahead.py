"""What starting a job now costs arrivals that are expected. Pure."""

import math
from bisect import bisect_right
from typing import NamedTuple

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane
from workers.scheduling.rhythm import Rhythm

_LOOKED_AT = 8
_TINY_MS = 1e-6


class Harm(NamedTuple):
    """Value that expected arrivals lose, whose it is first, when that one comes, what it takes."""

    value: float
    service: str
    until: float
    takes_ms: float


class Lookahead:
    """Services by the latest start of their next job, where anything can be told of it.

    Of those that come at random it is the latest start of one that came right after the last.
    """

    def __init__(self) -> None:
        self._coming: Board[tuple[float, str]] = Board()
        self._lanes: dict[str, Lane] = {}
        self._soonest = -math.inf
        """Nobody's latest start is before."""

    def note(self, lane: Lane) -> None:
        """Take note of a service's arrivals and predictions.

        Nobody is kept waiting for jobs that would be late even if they were begun at once.
        """
        rhythm = lane.rhythm
        if not rhythm.told or not lane.profile.possible(lane.terms.budget_ms):
            self._coming.drop(lane.name)
            return
        self._lanes[lane.name] = lane
        gap, burst = (rhythm.gap_ms, rhythm.burst) if rhythm.steady else (0.0, 1)
        latest = rhythm.last + gap + _slack(lane, burst)
        self._coming.set(lane.name, (latest, lane.name))
        self._soonest = min(self._soonest, latest)

    def forget(self, service: str) -> None:
        """Expect nothing more of a service."""
        self._coming.drop(service)
        self._lanes.pop(service, None)

    def clear(self, end: float) -> bool:
        """Tell whether nobody is expected who is late behind what ends then."""
        if self._soonest >= end:
            return True
        first = self._coming.first()
        self._soonest = math.inf if first is None else first[0][0]
        return self._soonest >= end

    def by(self, lane: Lane, now: float, price: float) -> float:
        """Return by when a batch of a service is to end for the sake of what is expected.

        Any time will do when two batches instead of one cost more than those who would be late.
        """
        size = min(lane.terms.max_batch, lane.count)
        if size == 1:
            return math.inf
        first = self._coming.first()
        harm = None if first is None else self.harm(lane, now, price, size)
        if first is None or harm is None:
            return math.inf
        return (
            first[0][0] if harm.value > cost_of_parting(lane, size, first[0][0] - now) else math.inf
        )

    def harm(self, lane: Lane, now: float, price: float, size: int = 1) -> Harm | None:
        """Return what others lose when a batch of this service begins now; None for nothing.

        Each expected job whose latest start comes before the end counts with the value of its
        service's last one, less what its time would be worth otherwise at a `price` per ms; a
        service that cannot keep up with its arrivals counts by its pace.
        """
        first = self._coming.first()
        end = now + (lane.profile.careful_ms if size == 1 else lane.profile.careful(size))
        if first is None or first[0][0] >= end:
            return None
        value, until, service, takes = 0.0, math.inf, "", 0.0
        for (latest, name), _ in self._coming.some(_LOOKED_AT):
            if latest >= end:
                break
            if name == lane.name:
                continue
            other = self._lanes[name]
            comes = _comes(other.rhythm, now)
            if comes is None:
                self._coming.drop(name)
                continue
            value += _lost(other, latest, now, end, price)
            if comes < until:
                until, service = comes, name
                takes = other.rhythm.burst * other.profile.typical()
        return Harm(value, service, until, takes) if service else None

    def later(self, lane: Lane, at: float, price: float) -> float:
        """Return what others lose when a job of this service begins at a time to come.

        Who is expected before is taken to have been served by then.
        """
        end, value = at + lane.profile.careful(), 0.0
        for (soonest, name), _ in self._coming.some(_LOOKED_AT):
            if soonest >= end:
                break
            if name == lane.name:
                continue
            latest = soonest
            rhythm = self._lanes[name].rhythm
            if rhythm.steady and (over := math.ceil((at - rhythm.last) / rhythm.gap_ms)) > 1:
                latest += (over - 1) * rhythm.gap_ms
            value += _lost(self._lanes[name], latest, at, end, price)
        return value


def cost_of_parting(lane: Lane, size: int, left_ms: float) -> float:
    """Return what it costs to execute so many jobs as two batches, the first within a time.

    The more that two take than one, at what the service's jobs are worth per ms.
    """
    profile = lane.profile
    first = max(1, bisect_right(range(1, size), left_ms, key=profile.careful))
    whole = profile.typical(size)
    more_ms = profile.typical(first) + profile.typical(size - first) - whole
    return more_ms * size * lane.value / whole


def _comes(rhythm: Rhythm, now: float) -> float | None:
    """Return when to look again for the next arrival, None when it is no longer expected."""
    if not rhythm.steady:
        return None if rhythm.ceased(now) else now + max(rhythm.mean_ms, _TINY_MS)
    due = rhythm.expected(now)
    return rhythm.overdue_at() if due is not None and due <= now else due


def _slack(lane: Lane, burst: int) -> float:
    """Return how long so many jobs can wait that come at once: until late, or the queue is full."""
    terms = lane.terms
    in_time = terms.budget_ms - burst * lane.profile.careful_ms
    if lane.rhythm.counted:
        room_ms = lane.room_ms()
        in_time = in_time if in_time < room_ms else room_ms  # noqa: FURB136  # a call doubles its cost
    return in_time if in_time > 0.0 else 0.0  # noqa: FURB136  # as above


def _lost(lane: Lane, latest: float, at: float, end: float, price: float) -> float:
    """Return what a service loses behind what is executed from one time to another."""
    rhythm, profile = lane.rhythm, lane.profile
    worth = lane.value * profile.chance(lane.terms.budget_ms) - price * profile.typical()
    if worth <= 0.0:
        return 0.0
    if not rhythm.steady:
        late_ms = end - at - _slack(lane, 1)
        pace = max(rhythm.mean_ms, profile.typical(), _TINY_MS)
        return worth * max(0.0, late_ms) / pace
    late_ms = end - latest
    return worth * _late(late_ms, profile.typical(), rhythm) if late_ms > 0.0 else 0.0


def _late(by_ms: float, needs_ms: float, rhythm: Rhythm) -> float:
    """Return how many jobs are late when the first can begin so long after its latest start.

    One of each period that is over by then, as far as the service can keep up with them. Of a
    burst no more than would have been done meanwhile.
    """
    periods = 1 + int(by_ms / max(rhythm.gap_ms, rhythm.burst * needs_ms))
    if rhythm.burst == 1:
        return periods
    return min(rhythm.burst * periods, by_ms / max(needs_ms, _TINY_MS))

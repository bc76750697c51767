"""What starting a job now costs arrivals that are expected. Pure."""

import math
from typing import NamedTuple

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane

_LOOKED_AT = 8


class Harm(NamedTuple):
    """Value that expected arrivals lose, whose it is first, when that one comes, what it takes."""

    value: float
    service: str
    until: float
    takes_ms: float


class Lookahead:
    """Services by the latest start of their next job, where that is expected."""

    def __init__(self) -> None:
        self._coming: Board[tuple[float, str]] = Board()
        self._lanes: dict[str, Lane] = {}

    def note(self, lane: Lane) -> None:
        """Take note of a service's arrivals and predictions."""
        rhythm = lane.rhythm
        if not rhythm.steady:
            self._coming.drop(lane.name)
            return
        self._lanes[lane.name] = lane
        latest = rhythm.last + rhythm.gap_ms + lane.terms.budget_ms - lane.profile.careful()
        self._coming.set(lane.name, (latest, lane.name))

    def forget(self, service: str) -> None:
        """Expect nothing more of a service."""
        self._coming.drop(service)
        self._lanes.pop(service, None)

    def by(self, lane: Lane, now: float, price: float) -> float:
        """Return by when a batch of a service is to end, for the sake of what is expected.

        Any time will do when the jobs that join are worth more than those that are late by it.
        """
        size = min(lane.terms.max_batch, lane.count)
        first = self._coming.first()
        if size == 1 or first is None:
            return math.inf
        harm = self.harm(lane, now, price, size)
        return math.inf if harm is None or harm.value <= (size - 1) * lane.value else first[0][0]

    def harm(self, lane: Lane, now: float, price: float, size: int = 1) -> Harm | None:
        """Return what others lose when a batch of this service begins now; None for nothing.

        Each expected job whose latest start comes before the end counts with the value of its
        service's last one, less what its time would be worth otherwise at a `price` per ms; a
        service that cannot keep up with its arrivals counts by its pace.
        """
        first = self._coming.first()
        end = now + lane.profile.careful(size)
        if first is None or first[0][0] >= end:
            return None
        value, until, service, takes = 0.0, math.inf, "", 0.0
        for (latest, name), _ in self._coming.some(_LOOKED_AT):
            if latest >= end:
                break
            if name == lane.name:
                continue
            other = self._lanes[name]
            due = other.rhythm.expected(now)
            if due is None:
                self._coming.drop(name)
                continue
            needs = other.profile.typical()
            pace = max(other.rhythm.gap_ms, needs)
            value += max(0.0, other.value - price * needs) * (1 + int((end - latest) / pace))
            comes = due if due > now else other.rhythm.overdue_at()
            if comes < until:
                until, service, takes = comes, name, needs
        return Harm(value, service, until, takes) if service else None

"""What starting a job now costs arrivals that are expected. Pure."""

import math
from typing import NamedTuple

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane

_LOOKED_AT = 8


class Harm(NamedTuple):
    """Value that expected arrivals lose, whose it is first, and when that one comes."""

    value: float
    service: str
    until: float


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

    def by(self, lane: Lane) -> float:
        """Return by when a batch of a service is to end so that no other is kept waiting."""
        first = self._coming.first()
        return math.inf if first is None or first[1] == lane.name else first[0][0]

    def harm(self, lane: Lane, now: float) -> Harm | None:
        """Return what others lose when a job of this service begins now; None for nothing.

        Each expected job whose latest start comes before the end counts with the value of its
        service's last one; a service that cannot keep up with its arrivals counts by its pace.
        """
        first = self._coming.first()
        end = now + lane.profile.careful()
        if first is None or first[0][0] >= end:
            return None
        value, until, service = 0.0, math.inf, ""
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
            pace = max(other.rhythm.gap_ms, other.profile.typical())
            value += other.value * (1 + int((end - latest) / pace))
            comes = due if due > now else other.rhythm.overdue_at()
            if comes < until:
                until, service = comes, name
        return Harm(value, service, until) if service else None

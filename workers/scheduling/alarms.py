"""When to look at whom: jobs that may wait no longer, services that starve. Pure."""

import math
from collections.abc import Mapping

from workers.scheduling.boards import Board
from workers.scheduling.lanes import Lane


class Alarms:
    """Services by when a job of theirs ends, and by when they have not been served for too long.

    Places are lower bounds: nothing is touched when a job is executed, only when its time comes.
    Before `end_at` and `gap_at` there is nothing to look at.
    """

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes
        self._ends: Board[tuple[float, str]] = Board()
        self._gaps: Board[tuple[float, str]] = Board()
        self.end_at = math.inf
        self.gap_at = math.inf

    def hungry(self, lane: Lane, now: float) -> None:
        """Take note that a service has work from now on."""
        lane.hungry_since = now
        if lane.name not in self._gaps:
            until = now + lane.terms.max_gap_ms
            self._gaps.set(lane.name, (until, lane.name))
            self.gap_at = min(self.gap_at, until)

    def ends(self, lane: Lane, at: float) -> None:
        """Look at a service's jobs at a time."""
        self._ends.set(lane.name, (at, lane.name))
        self.end_at = min(self.end_at, at)

    def ending(self, now: float) -> Lane | None:
        """Return a service of which a job may have to end."""
        first = self._ends.first()
        self.end_at = math.inf if first is None else first[0][0]
        return None if first is None or first[0][0] > now else self._lanes[first[1]]

    def ended(self, lane: Lane) -> None:
        """Look at a service again when its next job ends."""
        ends = lane.first_end()
        if ends is None:
            self._ends.drop(lane.name)
        else:
            self.ends(lane, ends)

    def starving(self, now: float) -> Lane | None:
        """Return the service that has work and was not served for longest beyond its gap."""
        while (first := self._gaps.first()) is not None:
            self.gap_at = first[0][0]
            if self.gap_at > now:
                return None
            lane = self._lanes[first[1]]
            until = lane.hungry_since + lane.terms.max_gap_ms
            if not lane.count:
                self._gaps.drop(lane.name)
            elif until > now:
                self._gaps.set(lane.name, (until, lane.name))
            else:
                return lane
        self.gap_at = math.inf
        return None

    def forget(self, service: str) -> None:
        """Drop everything about a service."""
        self._ends.drop(service)
        self._gaps.drop(service)

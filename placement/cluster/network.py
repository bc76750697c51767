"""The ways between machines: how long they take, and what data may still pass. Pure.

Two machines that report a link go by it; where it has no bandwidth of its own, and between all
others, data pass the uplinks of both (the amount `uplink` of the columns). Links hold in both
directions; of two reports about one the slower and the narrower count. On one machine data pass at
once and without limit. What is not known of latency is UNLIMITED.
"""

from collections import defaultdict

import numpy as np

from placement.cluster.columns import Columns, Ints, Mask
from placement.cluster.needs import UNLIMITED, UPLINK
from placement.errors import Overcommitted

Way = tuple[int, int]


class Network:
    """The links of the machines of some columns, and what flows on them, kbit/s."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._latency: dict[int, dict[int, int]] = defaultdict(dict)
        self._wired: dict[int, set[int]] = defaultdict(set)
        self.capacity: dict[Way, int] = {}
        self.used: dict[Way, int] = {}
        for row, machine in enumerate(columns.machines):
            for link in machine.links:
                other = columns.row.get(link.node)
                if other is not None and other != row:
                    self._link(row, other, link.kbps, link.latency_us)

    def _link(self, row: int, other: int, kbps: int | None, latency_us: int | None) -> None:
        if latency_us is not None:
            for one, end in ((row, other), (other, row)):
                told = self._latency[one]
                told[end] = max(told.get(end, 0), latency_us)
        if kbps is not None:
            way = _way(row, other)
            self.capacity[way] = min(self.capacity.get(way, kbps), kbps)
            self._wired[row].add(other)
            self._wired[other].add(row)

    def between(self, row: int, other: int) -> int:
        """Return the latency between two machines, microseconds."""
        return 0 if row == other else self._latency.get(row, {}).get(other, UNLIMITED)

    def latency(self, row: int) -> Ints:
        """Return, N, the latency to each machine, microseconds."""
        found = np.full(len(self._columns), UNLIMITED, np.int64)
        told = self._latency.get(row, {})
        found[list(told)] = list(told.values())
        found[row] = 0
        return found

    def left(self, row: int) -> Ints:
        """Return, N, what could still flow between a machine and each, kbit/s."""
        uplink = self._columns.place_of.get(UPLINK)
        if uplink is None:
            found = np.zeros(len(self._columns), np.int64)
        else:
            free = self._columns.free[:, uplink]
            found = np.minimum(free, free[row])
        for other in self._wired.get(row, ()):
            way = _way(row, other)
            found[other] = self.capacity[way] - self.used.get(way, 0)
        found[row] = UNLIMITED
        return found

    def by_uplink(self, row: int) -> Mask:
        """Return, N, to which machines data pass the uplinks."""
        found = np.ones(len(self._columns), np.bool_)
        found[[row, *self._wired.get(row, ())]] = False
        return found

    def uplinked(self, row: int, other: int) -> bool:
        """Return whether what flows between two machines passes their uplinks."""
        return row != other and _way(row, other) not in self.capacity

    def take(self, row: int, other: int, kbps: int) -> None:
        """Let so much flow between two machines.

        Raises Overcommitted, and changes nothing, where there is not so much left.
        """
        if row == other or not kbps:
            return
        if self.uplinked(row, other):
            self._columns.spend(row, UPLINK, kbps)
            try:
                self._columns.spend(other, UPLINK, kbps)
            except Overcommitted:
                self._columns.spend(row, UPLINK, -kbps)
                raise
            return
        way = _way(row, other)
        used = self.used.get(way, 0) + kbps
        if used > self.capacity[way]:
            names = " and ".join(self._columns.machines[end].name for end in way)
            raise Overcommitted(f"the link of {names} has no room for {kbps} kbit/s")
        self.used[way] = used

    def give_back(self, row: int, other: int, kbps: int) -> None:
        """Undo `take`."""
        if row == other or not kbps:
            return
        if self.uplinked(row, other):
            self._columns.spend(row, UPLINK, -kbps)
            self._columns.spend(other, UPLINK, -kbps)
        elif left := self.used[_way(row, other)] - kbps:
            self.used[_way(row, other)] = left
        else:
            del self.used[_way(row, other)]


def _way(row: int, other: int) -> Way:
    return (row, other) if row < other else (other, row)

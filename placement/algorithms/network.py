"""The network: copies near those with whom they exchange data. Pure."""

import numpy as np

from placement.algorithms.base import Algorithm, Peer, Scored, plain, room_left
from placement.algorithms.mix import Mix
from placement.cluster.columns import Columns, Floats, Ints
from placement.cluster.needs import Link, Need

_SECOND = 1_000_000
UNTOLD_US = 1000
"""The latency, in microseconds, between nodes of which nothing is told."""


class NetworkAware(Algorithm):
    """The node with the least traffic times delay to the copy's neighbours; then the fullest.

    The delay of a way, in microseconds, is its latency and the time that a second's traffic takes
    of its bandwidth; nothing within a node. Of two reports of a way the slower and the narrower
    count; one that neither end tells of has twice the longest latency that is told, within a zone
    the longest, and is as narrow as the narrowest. After the cost of networks in Santos et al.,
    "Towards Network-Aware Resource Provisioning in Kubernetes for Fog Computing Applications",
    NetSoft 2019, which sums delays; bandwidth as a part of it is Weir's own.
    """

    name = "network"
    span = 1e7
    """10 Mbit/s over a millisecond."""
    steady = False

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        super().__init__(columns, mix, seed)
        told = [link.latency_us for machine in columns.machines for link in machine.links]
        self._longest = max((each for each in told if each is not None), default=UNTOLD_US)
        wide = [link.kbps for machine in columns.machines for link in machine.links]
        self._narrowest = min((each for each in wide if each is not None), default=None)
        zones: dict[str, int] = {}
        self._zone = np.array(
            [zones.setdefault(machine.zone, len(zones)) for machine in columns.machines], np.int64
        )
        self._ways: dict[int, dict[int, Link]] = {}
        for row, machine in enumerate(columns.machines):
            for link in machine.links:
                other = columns.row.get(link.node)
                if other is not None:
                    for one, end in ((row, other), (other, row)):
                        ways = self._ways.setdefault(one, {})
                        ways[end] = _narrower(link, ways.get(end))

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score by the delays first, by room second."""
        tie = np.clip(room_left(self.columns, need, rows), 0.0, 1.0)
        cost = np.zeros(len(rows))
        for peer in self.peers:
            if 0 <= peer.row < len(self.columns):
                cost += max(peer.kbps, 1) * self._delays(peer)[rows]
        return plain(-np.round(cost) - tie)

    def _delays(self, peer: Peer) -> Floats:
        """Return, N, the delay between every node and a neighbour, in microseconds."""
        near = self._zone == self._zone[peer.row]
        delays = np.where(near, 1.0, 2.0) * self._longest + self._through(None, peer)
        for row, link in self._ways.get(peer.row, {}).items():
            told = self._longest if link.latency_us is None else link.latency_us
            delays[row] = told + self._through(link.kbps, peer)
        delays[peer.row] = 0.0
        return delays

    def _through(self, kbps: int | None, peer: Peer) -> float:
        """Return how long a second's traffic takes; of a way that is not told, on the narrowest."""
        told = self._narrowest if kbps is None else kbps
        return 0.0 if told is None else _SECOND * peer.kbps / max(told, 1)


def _narrower(link: Link, other: Link | None) -> Link:
    """Return what two reports of one way come to: the slower and the narrower of what they tell."""
    if other is None:
        return link
    latency = [each.latency_us for each in (link, other) if each.latency_us is not None]
    kbps = [each.kbps for each in (link, other) if each.kbps is not None]
    return Link(link.node, min(kbps, default=None), max(latency, default=None))

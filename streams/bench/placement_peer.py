"""A peer to measure against: allocation by one object after another, as ROHE's is described.

Written from the description of its scoring allocation, not from its code: for each service every
node is looked at in turn; it must have the CPU, the memory and, of one accelerator asked for, more
than that; it is ranked by what is left on its sorted cores and of its memory, and the highest rank
above 0 wins. What is done around that (documents copied, a database, Kubernetes) is left out.
"""

from dataclasses import dataclass

import numpy as np

from placement.cluster.needs import Machine, Need


@dataclass(slots=True)
class PeerNode:
    """A node as an object."""

    cpu: int
    memory: int
    memory_capacity: int
    cores: list[int]
    accelerators: list[int]


def peer_nodes(machines: list[Machine]) -> list[PeerNode]:
    """Return machines as objects; a core is used from 0 to 100."""
    return [
        PeerNode(
            m.cpu_milli,
            m.memory_mib,
            m.memory_mib,
            [0] * (m.cpu_milli // 1000),
            [1000] * len(m.gpus),
        )
        for m in machines
    ]


def allocate(nodes: list[PeerNode], needs: list[Need]) -> int:
    """Place needs one after another by the rank, and return how many found a node."""
    return sum(_allocate(nodes, need) for need in needs)


def _allocate(nodes: list[PeerNode], need: Need) -> bool:
    ranks = {}
    for place, node in enumerate(nodes):
        if node.cpu < need.cpu_milli or node.memory < need.memory_mib:
            continue
        if need.gpus and not any(free > need.gpu_milli for free in node.accelerators):
            continue
        rank = _rank(node, need)
        if rank > 0:
            ranks[place] = rank
    if not ranks:
        return False
    _commit(nodes[max(ranks, key=lambda place: ranks[place])], need)
    return True


def _asked(need: Need) -> list[int]:
    """Return what is asked of each core: whole cores, and what is left of the last."""
    whole, rest = divmod(need.cpu_milli // 10, 100)
    return [100] * whole + ([rest] if rest else [])


def _rank(node: PeerNode, need: Need) -> float:
    asked = _asked(need)[: len(node.cores)]
    free = np.sort(100 - np.array(node.cores))
    wanted = np.sort(np.array(asked + [0] * (len(node.cores) - len(asked))))
    left = free - wanted
    if (left < 0).any():
        return -1.0
    memory = (node.memory - need.memory_mib) / node.memory_capacity
    return float(left.sum()) / (100 * len(node.cores)) + memory


def _commit(node: PeerNode, need: Need) -> None:
    node.cpu -= need.cpu_milli
    node.memory -= need.memory_mib
    node.cores.sort()
    for place, asked in enumerate(sorted(_asked(need), reverse=True)[: len(node.cores)]):
        node.cores[place] += asked
    for place, free in enumerate(node.accelerators):
        if need.gpus and free > need.gpu_milli:
            node.accelerators[place] -= need.gpu_milli

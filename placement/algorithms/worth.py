"""What a copy is worth next to others, when not all find room. Pure."""

from placement.cluster.columns import Columns
from placement.cluster.needs import Need

UNIT = 1_000_000
"""The worth of the whole cluster."""


def worth(columns: Columns, need: Need) -> int:
    """Return the worth of a copy: its mean share of all CPU, memory and GPU; 1 at least."""
    cpu, memory = (max(int(part.sum()), 1) for part in columns.capacity.T[:2])
    gpu = max(int(columns.gpu_capacity.sum()), 1)
    shares = need.cpu_milli / cpu + need.memory_mib / memory + need.gpu_total / gpu
    return 1 + round(UNIT * shares / 3)

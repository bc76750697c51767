"""Whether decisions get slower, or hold more memory, while copies come and go for long."""

import gc
import tracemalloc
from collections import deque
from collections.abc import Sequence
from random import Random
from time import thread_time
from typing import Any

import numpy as np

from placement.choosing.chooser import Chooser
from placement.cluster.columns import Taken
from placement.cluster.needs import Need

HELD = 1500
"""Copies that are there at a time; the oldest leaves when there would be more, or no room."""


class Churn:
    """A cluster that is nearly full, where a copy comes with each decision."""

    def __init__(self, placing: Chooser, kinds: Sequence[Need], chance: Random) -> None:
        self._placing, self._kinds, self._chance = placing, kinds, chance
        self._held: deque[Taken] = deque()
        self.refused = 0

    def decide(self) -> float:
        """Let one copy come, and others go; return how much CPU time it took to place, ms."""
        need = self._chance.choice(self._kinds)
        began = thread_time()
        taken = self._placing.place(need)
        took = 1e3 * (thread_time() - began)
        if taken is None:
            self.refused += 1
        else:
            self._held.append(taken)
        while self._held and (taken is None or len(self._held) > HELD):
            self._placing.columns.give_back(self._held.popleft())
            taken = self._held[-1] if self._held else None
        return took


def measure(churn: Churn, decisions: int) -> dict[str, Any]:
    """Return times and memory of a tenth of all decisions at the beginning, and at the end.

    The cluster is filled before, and every kind was placed once. Ratios are those of the last
    tenth to the first: of the median time, and of the mean of what is held in memory.
    """
    tenth = max(1, decisions // 10)
    took, held = np.zeros(decisions), np.zeros(decisions)
    tracemalloc.start()
    for _ in range(4 * HELD):
        churn.decide()
    churn.refused = 0
    gc.collect()
    for number in range(decisions):
        took[number] = churn.decide()
        held[number] = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    first, last = slice(None, tenth), slice(-tenth, None)
    early, late = float(np.median(took[first])), float(np.median(took[last]))
    return {
        "decisions": decisions,
        "refused": churn.refused,
        "first_tenth_ms": round(early, 4),
        "last_tenth_ms": round(late, 4),
        "time_ratio": round(late / early, 3),
        "memory_ratio": round(float(held[last].mean() / max(held[first].mean(), 1.0)), 3),
        "grown_bytes": int(held[-1] - held[tenth - 1]),
    }

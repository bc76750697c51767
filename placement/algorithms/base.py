"""What an algorithm is: a score for every node that a copy fits on. Pure.

Laws, which hold for those of others, too (`tests/unit/placement/test_algorithms.py`): the score of
a row depends on that row, the need and the parameters alone, unless `steady` is False; scores are
numbers; nothing that is asked for changes the columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.algorithms.mix import Mix
from placement.cluster.columns import Columns, Floats, Ints
from placement.cluster.needs import Need

TIGHTEST = -1


@dataclass(frozen=True, slots=True)
class Scored:
    """For each row that was asked for: the score, the highest wins, then the first row.

    `slot` is the GPU for a copy on a single one; -1 leaves it to the tightest that fits.
    """

    score: Floats
    slot: Ints


@dataclass(frozen=True, slots=True)
class Wish:
    """Where an algorithm would have a copy: a row, and which GPUs; none: the tightest."""

    row: int
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """A copy of a neighbour, with which the next one exchanges data: its row, and kbit/s."""

    row: int
    kbps: int = 0


class Algorithm(ABC):
    """Base of all algorithms: made once for a cluster, with its mix and a seed."""

    name = ""
    steady = True
    """Whether a score stays what it is until its row changes; such scores are kept."""
    looks = 0
    """How many rows are scored anew for one decision, the fullest first; 0: all."""
    span = 0.0
    """How far apart a good and a bad score are, about; 0: they do not tell what a move gains."""
    trouble = ""
    """Why it decides as another one would, if it does."""
    peers: tuple[Peer, ...] = ()
    """The neighbours of the copy that is placed next; whose scores heed them is not steady."""

    def __init__(self, columns: Columns, mix: Mix, seed: int) -> None:
        self.columns = columns
        self.mix = mix
        self.seed = seed

    @abstractmethod
    def score(self, need: Need, rows: Ints) -> Scored:
        """Score a need on rows that it fits on."""

    def wishes(self, needs: Sequence[Need]) -> Sequence[Wish | None]:
        """Return, for copies that come together, where each had best go; None: by score.

        A wish is heard where the copy fits when its turn comes; where not, scores decide.
        """
        return [None] * len(needs)


def plain(score: Floats) -> Scored:
    """Return scores that leave the choice of the GPU to the tightest that fits."""
    return Scored(score, np.full(len(score), TIGHTEST, np.int64))


def room_left(columns: Columns, need: Need, rows: Ints) -> Floats:
    """Return how much would be left: the mean of CPU and GPU, as shares of the largest node's.

    On clusters without GPUs memory takes the place of GPU.
    """
    from placement.cluster.room import left  # noqa: PLC0415  # numba is loaded when it is needed

    found = np.empty(len(rows))
    asked = (need.cpu_milli, need.memory_mib, need.gpu_total)
    cpu, memory, gpu = columns.largest
    left(rows, columns.free, columns.idle, asked, (cpu, memory, gpu), found)
    return found

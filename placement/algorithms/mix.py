"""The workload that a cluster is kept fit for: kinds of needs with their frequencies. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

import numpy as np

from placement.algorithms.chance import mixed
from placement.cluster.columns import Columns, Floats, Ints, Mask
from placement.cluster.needs import Need

Workload = tuple[Ints, Mask, Floats, Ints]
"""A mix as compiled functions take it; see `placement.algorithms.waste`."""
_told = attrgetter(*(field.name for field in fields(Need)))
"""Everything that a need says, to put needs in order."""
TYPICAL = 0.95
"""The share of all copies that the kinds counted by the fragmentation gradient make up."""
MOST = 512


@dataclass(frozen=True, slots=True)
class Mix:
    """Kinds of needs, most frequent first, and how much of all each is; shares add up to 1."""

    kinds: tuple[Need, ...]
    shares: tuple[float, ...]

    def typical(self, share: float = TYPICAL) -> "Mix":
        """Return the fewest kinds that make up so much of all, as a mix of their own."""
        upto = int(np.searchsorted(np.cumsum(self.shares), share - 1e-12)) + 1
        total = sum(self.shares[:upto])
        return Mix(self.kinds[:upto], tuple(part / total for part in self.shares[:upto]))

    def streams(self, count: int, length: int) -> Ints:
        """Return, count x length, kinds drawn by their shares; the same draw each time."""
        if not self.kinds:
            return np.zeros((count, 0), np.int64)
        drawn = mixed(1, 0, count * length)
        found = np.searchsorted(np.cumsum(self.shares), drawn, side="right")
        kinds: Ints = np.minimum(found, len(self.kinds) - 1).astype(np.int64)
        return kinds.reshape(count, length)


def mix_of(needs: Iterable[Need]) -> Mix:
    """Return the mix of some needs, of their 512 most frequent kinds at most."""
    counted = sorted(Counter(needs).items(), key=lambda item: (-item[1], _told(item[0])))[:MOST]
    total = sum(count for _, count in counted)
    return Mix(tuple(kind for kind, _ in counted), tuple(count / total for _, count in counted))


@dataclass(frozen=True, slots=True)
class MixColumns:
    """A mix for one cluster: what each kind needs (K), and which GPU models (K x M) do for it.

    The last column of `does`, for no GPU, is False. Kinds that need more than CPU, memory and
    GPU share are taken by these alone.
    """

    cpu: Ints
    memory: Ints
    gpus: Ints
    milli: Ints
    does: Mask
    shares: Floats


def columns_of(mix: Mix, columns: Columns) -> MixColumns:
    """Return a mix in the terms of a cluster."""
    does = np.zeros((len(mix.kinds), len(columns.models) + 1), np.bool_)
    for place, kind in enumerate(mix.kinds):
        for model, code in columns.models.items():
            does[place, code] = not kind.models or model in kind.models
    return MixColumns(
        cpu=np.array([kind.cpu_milli for kind in mix.kinds], np.int64),
        memory=np.array([kind.memory_mib for kind in mix.kinds], np.int64),
        gpus=np.array([kind.gpus for kind in mix.kinds], np.int64),
        milli=np.array([kind.gpu_milli for kind in mix.kinds], np.int64),
        does=does,
        shares=np.array(mix.shares, np.float64),
    )

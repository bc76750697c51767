"""Algorithms by name. Pure."""

from collections.abc import Callable, Mapping

from placement.algorithms.ahead import Foresight, FragmentationGradient
from placement.algorithms.base import Algorithm
from placement.algorithms.energy import EnergyAware
from placement.algorithms.gradient import GradientAscent
from placement.algorithms.learned import Learned
from placement.algorithms.mix import Mix
from placement.algorithms.network import NetworkAware
from placement.algorithms.plain import (
    BestFit,
    DotProduct,
    FirstFit,
    Packing,
    Random,
    Weighted,
    WorstFit,
)
from placement.algorithms.proven import Exact
from placement.cluster.columns import Columns

GROUP = "weir.scores"
"""The entry point group by which installed distributions name algorithms of their own."""
Maker = Callable[[Columns, Mix, int], Algorithm]
DEFAULT = Foresight.name
OWN: Mapping[str, Maker] = {
    made.name: made
    for made in (
        *(Random, FirstFit, BestFit, WorstFit, Weighted, DotProduct, Packing),
        *(FragmentationGradient, NetworkAware, EnergyAware, GradientAscent, Learned),
        *(Exact, Foresight),
    )
}


def maker(name: str, others: Mapping[str, Maker] | None = None) -> Maker:
    """Return what makes an algorithm; `others` are those of plug-ins; best_fit is best-fit.

    Raises ValueError for an unknown name.
    """
    known = {**(others or {}), **OWN}
    found = known.get(name) or known.get(name.replace("_", "-"))
    if found is None:
        raise ValueError(f"algorithm {name!r} is unknown; known are {', '.join(sorted(known))}")
    return found

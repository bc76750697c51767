"""Copies that come together, by the proven optimum, on small clusters. Pure."""

from collections.abc import Sequence

from placement.algorithms import exact
from placement.algorithms.ahead import Foresight
from placement.algorithms.base import Wish
from placement.cluster.needs import Need


class Exact(Foresight):
    """What CP-SAT proves to be the most worth, or the best that it found in a second.

    It needs the extra `exact`, and copies times nodes of at most 2,000; what is larger, a copy that
    comes alone, and copies for which the optimum has no room, are placed by Weir's default.
    `trouble` says so.
    """

    name = "exact"
    seconds = 1.0

    def wishes(self, needs: Sequence[Need]) -> Sequence[Wish | None]:
        """Return where the optimum has each copy."""
        self.trouble = ""
        if len(needs) < 2:
            return [None] * len(needs)
        try:
            best = exact.within(self.columns, needs, self.seconds)
        except ModuleNotFoundError:
            self.trouble = "OR-Tools is not installed; add the extra `exact`"
        except ValueError as error:
            self.trouble = str(error)
        else:
            return [
                None if row is None else Wish(row, slots)
                for row, slots in zip(best.rows, best.slots, strict=True)
            ]
        return [None] * len(needs)

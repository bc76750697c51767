"""What is wanted of a service, and what was planned for it. Pure."""

from dataclasses import dataclass

from placement.cluster.needs import Demand, Option
from schemas.decisions import Assignment, NearMiss, NodeScore, Rejection, Victim


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A service, the copies wanted of it, where it runs now, and since when it waits (ms).

    `leaving` are copies beside `present` that go as soon as enough of the others serve; `serving`
    the instances that are ready. `fresh` are the ways to run copies that are new, all when empty.
    `waits` says that copies have to change later, not all at once.
    """

    demand: Demand
    replicas: int
    present: tuple[Assignment, ...] = ()
    since: int = 0
    leaving: tuple[Assignment, ...] = ()
    serving: frozenset[str] = frozenset()
    fresh: tuple[Option, ...] = ()
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a service is to run; `fitting` nodes passed all filters when it was last placed.

    Rejections and near misses tell why copies are missing; `score` is the mean over the nodes that
    were chosen now, `alternatives` are the runners-up for the last of them. Of the assignments
    those in `leaving` stay only until others serve. `victims` gave way to copies of this one,
    `moves` copies left a node on which they could have stayed, `note` says what is not seen.
    """

    service: str
    replicas: int
    assignments: tuple[Assignment, ...]
    score: float = 0.0
    fitting: int = 0
    rejections: tuple[Rejection, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    alternatives: tuple[NodeScore, ...] = ()
    defects: tuple[str, ...] = ()
    leaving: tuple[Assignment, ...] = ()
    victims: tuple[Victim, ...] = ()
    moves: int = 0
    note: str = ""
    waits: bool = False

    @property
    def missing(self) -> int:
        """Return how many of the copies that are wanted have no place."""
        return max(0, self.replicas - len(self.assignments) + len(self.leaving))

    @property
    def status(self) -> str:
        """Return placed, partial, unplaceable or retired."""
        if not self.replicas:
            return "retired"
        if not self.missing:
            return "placed"
        return "partial" if self.assignments else "unplaceable"

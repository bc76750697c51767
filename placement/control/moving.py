"""Which moves that nobody is forced to make are made: not often, not many, not for little. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class MovePolicy:
    """Parameters `move.<name>` of the policy for `place`.

    - `rebalance` (0 or 1, default 0): whether copies move to nodes that suit them better
    - `cost` (share of the span of the algorithm's scores, 0 to 10, default 0.1): what a move
      costs; the gain must be above it
    - `min_gain` (the same, 0 to 10, default 0.05): how much more it must gain than it costs
    - `budget` (moves, 0 to 1000, default 10): at most so many in an interval, of all services
    - `interval_ms` (ms, 1 to a day, default 60000): the interval of the budget
    - `cooldown_ms` (ms, 0 to a day, default 120000): a service rests so long after a move

    Budget and interval are those of the scope `place`; an application may have others of the rest.
    Moves that nodes force (they drain, failed, are gone) are counted by none of these.
    """

    rebalance: int = 0
    cost: float = 0.1
    min_gain: float = 0.05
    budget: int = 10
    interval_ms: int = 60_000
    cooldown_ms: int = 120_000

    PREFIX: ClassVar[str] = "move"
    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "rebalance": (0, 1),
        "cost": (0.0, 10.0),
        "min_gain": (0.0, 10.0),
        "budget": (0, 1_000),
        "interval_ms": (1, _DAY_MS),
        "cooldown_ms": (0, _DAY_MS),
    }

    def pays(self, gain: float) -> bool:
        """Return whether a move gains enough, by its share of the span of scores."""
        return gain > self.cost + self.min_gain

    def rested(self, moved_at: int, now_ms: int) -> bool:
        """Return whether a service that was moved then (ms; 0: never) may be moved now."""
        return not moved_at or now_ms - moved_at >= self.cooldown_ms


@dataclass(slots=True)
class Budget:
    """The moves of the last interval: when each was (ms), ascending."""

    moves: tuple[int, ...] = ()

    def left(self, policy: MovePolicy, now_ms: int) -> int:
        """Return how many moves may be made now."""
        recent = sum(1 for at in self.moves if now_ms - at < policy.interval_ms)
        return max(0, policy.budget - recent)

    def spend(self, count: int, policy: MovePolicy, now_ms: int) -> None:
        """Note that so many moves are made now, and forget those of earlier intervals."""
        kept = tuple(at for at in self.moves if now_ms - at < policy.interval_ms)
        self.moves = (*kept, *[now_ms] * count)

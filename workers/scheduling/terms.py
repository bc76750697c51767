"""On what terms a service is served. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

POLICIES = ("oldest", "newest", "lowest-priority", "replace-by-key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Bounds and promises of one service; times in ms.

    `prior_ms` is the declared time of a batch of one, None when nothing is declared, and
    `prior_batches` that of larger ones, as pairs of size and time. `cold_ms` is the time of the
    first execution after loading. `period_ms` is the declared time between arrivals, taken for
    what is expected until arrivals have been seen. A service that has work which can be in time
    is served at least every `max_gap_ms`, but for the execution under way and other services
    whose gap is over too. `preferred` are batch sizes that the model runs well.

    Raises ValueError, naming the field, for numbers that make no sense.
    """

    name: str
    budget_ms: float
    prior_ms: float | None = None
    prior_batches: tuple[tuple[int, float], ...] = ()
    cold_ms: float | None = None
    period_ms: float | None = None
    queue_tasks: int = 1000
    queue_ms: float = math.inf
    drop: str = "oldest"
    max_age_ms: float = math.inf
    max_batch: int = 1
    preferred: tuple[int, ...] = ()
    max_gap_ms: float = 5000.0
    variant: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name must not be empty")
        for name, number in self._bounds():
            if not number > 0.0:
                raise ValueError(f"{self.name}: {name} is {number}; it must be above 0")
        for name, number in self._declared():
            if not 0.0 < number < math.inf:
                raise ValueError(f"{self.name}: {name} is {number}; it must be above 0 and finite")
        for name, size in (("queue_tasks", self.queue_tasks), ("max_batch", self.max_batch)):
            if size < 1:
                raise ValueError(f"{self.name}: {name} is {size}; it must be at least 1")
        if self.drop not in POLICIES:
            raise ValueError(f"{self.name}: drop is {self.drop!r}; one of {', '.join(POLICIES)}")
        if any(size < 1 or size > self.max_batch for size in self.preferred):
            raise ValueError(
                f"{self.name}: preferred {self.preferred} must lie between 1 and max_batch "
                f"{self.max_batch}"
            )

    def _bounds(self) -> Iterator[tuple[str, float]]:
        for name in ("budget_ms", "queue_ms", "max_age_ms", "max_gap_ms"):
            yield name, getattr(self, name)

    def _declared(self) -> Iterator[tuple[str, float]]:
        for name in ("prior_ms", "cold_ms", "period_ms"):
            declared = getattr(self, name)
            if declared is not None:
                yield name, declared
        for size, declared in self.prior_batches:
            yield f"prior_batches of {size}", declared

"""How route works."""

from dataclasses import dataclass

from processors.routing.working import Bounds
from schemas.base import Event
from schemas.decisions import EnsembleSelected
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    InstanceReported,
    NodeReported,
    ServiceRegistered,
)
from schemas.topics import PARTITIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteParams:
    """How route works; times in ms.

    `margin_ms` before a request's deadline it is answered with what arrived. A request whose
    deadline is over when it is read is rejected `grace_ms` later, unless an answer given before a
    restart turns up. Every `check_ms` lost instances and unplaced members are looked after. An
    answer is remembered for `window_ms` after the deadline. A member that takes unusually long,
    and at least `hedge_ms`, is asked for at a second instance, for at most `hedge_percent` of all
    dispatches. `overhead_ms` is what a stage takes besides its services.
    """

    margin_ms: int = 20
    window_ms: int = 600_000
    grace_ms: int = 1_000
    check_ms: int = 50
    attempts: int = 3
    hedge_ms: int = 20
    hedge_percent: int = 5
    overhead_ms: float = 5.0
    max_pending: int = 10_000
    max_pending_bytes: int = 64 * 1_048_576
    max_answers: int = 100_000
    default_ms: float = 5.0
    smoothing: float = 0.2
    partitions: int = PARTITIONS

    @property
    def bounds(self) -> Bounds:
        """Return how often and when members are asked."""
        return Bounds(self.attempts, self.hedge_ms, self.hedge_percent, self.overhead_ms)


DEFAULTS = RouteParams()
"""What holds unless somebody says otherwise."""

CATALOGUE: tuple[type[Event], ...] = (
    ApplicationRegistered,
    ServiceRegistered,
    InstanceReported,
    NodeReported,
    ConsumerRegistered,
    ContractRegistered,
    EnsembleSelected,
)
"""What route looks up."""

RESULT_FIELDS = (
    "request_id",
    "stage",
    "service",
    "instance",
    "attempt",
    "status",
    "reason",
    "label",
    "confidence",
    "scores",
    "classes",
    "outputs",
    "queue_ms",
    "execution_ms",
    "finished_at",
)
"""What is looked at of a result: `finished_at` by its host, which refuses times to come."""

"""What a selection is made of: candidates, what is wanted of them, and how ensembles were rated.

**Value** = score * (1 - caution * risk) where every clause is met, else score - 1 - 5 * shortfall:
the shortfall is the sum over clauses of the relative distance from the threshold, the risk how
likely a clause that is met on average is missed, as uncertain as the profiles are. So whatever
meets the contract beats whatever does not, and of two that meet it the safer one wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.vocabulary import CLASS_ACCURACY, CONDITION_ACCURACY

EPSILON = 1e-9
PENALTY = 5.0
"""How much a relative distance from a threshold counts against the score."""
CLASS, CONDITION = CLASS_ACCURACY, CONDITION_ACCURACY
"""Prefixes of an objective or a bound on the accuracy of one true class, or under a condition."""
PARTIAL = (CLASS, CONDITION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a candidate may answer: an instance or a node, and how it does there.

    `latency_ms` is the mean, `latency_high_ms` the 95th percentile.
    """

    place: str
    latency_ms: float
    latency_high_ms: float
    cost: float = 0.0
    energy_j: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A service that may be a member: what is known of it.

    `latency_ms` is the mean and `latency_high_ms` the 95th percentile; `error` is the standard
    error of `accuracy`, `latency_error_ms` that of the 95th percentile. `rates` are the accuracies
    per true class, in the order of the objective's labels; empty if unknown; `under` likewise those
    under its conditions. `calibration` is mean confidence less accuracy: above 0 it is too sure of
    itself. Where there are `places`, they tell latency, cost and energy, and the candidate's own
    are those of a typical one.
    """

    service: str
    stage: str
    accuracy: float
    latency_ms: float
    latency_high_ms: float
    cost: float
    error: float = 0.0
    latency_error_ms: float = 0.0
    confidence: float = 0.0
    calibration: float = 0.0
    energy_j: float = 0.0
    rates: tuple[float, ...] = ()
    under: tuple[float, ...] = ()
    count: int = 0
    explainable: bool = False
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """A clause that an ensemble can be judged by before it serves.

    `what` is accuracy, latency (mean), latency_high, confidence, accuracy.class.LABEL or
    accuracy.condition.NAME=VALUE; latencies are bounded from above, the others from below.
    `clause` is its name in the contract.
    """

    what: str
    threshold: float
    clause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is wanted: weights that add up to 1, bounds, scales, and what prediction needs.

    `asked` are weights of the accuracy of single classes, by label, `asked_under` those under
    conditions; of `conditions` anything is asked. `overhead_ms` is what routing adds to the slowest
    member; `stages` must all be represented. `frequencies` say how often each of `labels` is true;
    empty: alike. `caution` is how much the risk of missing a clause counts.
    """

    accuracy: float
    latency: float
    cost: float
    energy: float = 0.0
    confidence: float = 0.0
    asked: tuple[tuple[str, float], ...] = ()
    asked_under: tuple[tuple[str, float], ...] = ()
    conditions: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = ()
    max_members: int = 3
    min_members: int = 1
    accuracy_floor: float = 0.5
    latency_scale_ms: float = 1.0
    cost_floor: float = 1.0
    cost_scale: float = 10.0
    energy_scale_j: float = 1.0
    correlation: float = 0.5
    classes: int = 2
    labels: tuple[str, ...] = ()
    frequencies: tuple[float, ...] = ()
    overhead_ms: float = 0.0
    stages: tuple[str, ...] = ()
    caution: float = 0.25

    @property
    def per_class(self) -> bool:
        """Return whether anything is asked of single classes."""
        return bool(self.asked) or any(bound.what.startswith(CLASS) for bound in self.bounds)


@dataclass(frozen=True, slots=True)
class Part:
    """One objective in a score: its predicted value, that on the scale of 0 to 1, its weight."""

    objective: str
    value: float
    scaled: float
    weight: float


@dataclass(frozen=True, slots=True)
class Unmet:
    """A clause that an ensemble is not expected to meet."""

    clause: str
    threshold: float
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An ensemble with its predictions; `value` orders ensembles, larger is better.

    `class_weights` are the weights per member and label, empty where votes count alike for all.
    `places` are where members are expected to answer, `orders` in which order they are asked.
    """

    members: tuple[Candidate, ...]
    weights: tuple[float, ...]
    accuracy: float
    latency_ms: float
    latency_high_ms: float
    cost: float
    score: float
    shortfall: float
    energy_j: float = 0.0
    confidence: float = 0.0
    risk: float = 0.0
    caution: float = 0.0
    parts: tuple[Part, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    class_weights: tuple[tuple[float, ...], ...] = ()
    places: tuple[str, ...] = ()
    orders: tuple[int, ...] = ()

    @property
    def value(self) -> float:
        """Return the score less the risk, or below 0 by the shortfall when a clause is not met."""
        if self.shortfall <= EPSILON:
            return self.score * (1.0 - self.caution * self.risk)
        return self.score - 1.0 - PENALTY * self.shortfall

    @property
    def services(self) -> tuple[str, ...]:
        """Return the members' names in order."""
        return tuple(member.service for member in self.members)


NOBODY = Scored(
    members=(),
    weights=(),
    accuracy=0.0,
    latency_ms=0.0,
    latency_high_ms=0.0,
    cost=0.0,
    score=0.0,
    shortfall=0.0,
)
"""No ensemble at all."""


@dataclass(frozen=True, slots=True)
class Found:
    """Ensembles, best first, and by how much the first may fall short of the optimum."""

    ranked: tuple[Scored, ...]
    algorithm: str
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Everything that an algorithm is told.

    `budget_ms` is the time that an answer may take, infinite when nothing bounds it; `present` are
    the members that serve now; `draw` is a number that differs from selection to selection, for
    those that explore, and `losses` are what each service has cost them so far; `told` are the
    parameters of the policy in force. `after` are the stages whose answers a stage waits for.
    """

    candidates: tuple[Candidate, ...]
    objective: Objective
    budget_ms: float = float("inf")
    present: tuple[str, ...] = ()
    draw: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

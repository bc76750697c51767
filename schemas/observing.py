"""Metrics, what was observed of them, and the verdicts on that.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.records import SourceRange


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricReport(Event):
    """One measurement; run, user and tags belong to the instance and are joined in SQL."""

    event_time: Timestamp
    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    metric: str
    value: float
    unit: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Event):
    """Statistics of one series over one event-time window."""

    event_id: str
    revision: int = 0
    final: bool = True
    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    unit: str
    window: str
    window_start: Timestamp
    window_end: Timestamp
    count: int
    mean: float
    std: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float
    late_count: int
    emitted_at: Timestamp
    sources: tuple[SourceRange, ...] = ()
    kind: str = ""
    rate: float = 0.0
    first: float | None = None
    last: float | None = None
    distinct: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LateMetric(Event):
    """A measurement that came after a window of its series had closed."""

    event_id: str
    event_time: Timestamp
    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    metric: str
    value: float
    unit: str = ""
    request_id: str | None = None
    window: str
    window_end: Timestamp
    late_ms: int
    emitted_at: Timestamp
    sources: tuple[SourceRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureShift:
    """How much one series or feature took part in a drift."""

    feature: str
    statistic: str
    before: float
    after: float
    effect: float
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetected(Event):
    """A series has changed its distribution."""

    event_id: str
    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    detector: str
    status: str
    kind: str
    cause_class: str
    before: float
    after: float
    width: int
    degree: float
    since: Timestamp
    detected_at: Timestamp
    sources: tuple[SourceRange, ...] = ()
    effect_size: float = 0.0
    p_value: float | None = None
    confidence: float = 0.0
    cause: str = ""
    features: tuple[FeatureShift, ...] = ()
    concept: str = ""
    recurs: str = ""
    events: int = 0
    until: Timestamp | None = None
    retrain: bool = False
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact that a quality verdict rests on."""

    what: str
    observed: float
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """One candidate cause."""

    kind: str
    name: str
    score: float
    since: Timestamp | None = None
    why: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEvaluated(Event):
    """A verdict on quality, raised or withdrawn."""

    event_id: str
    app: str
    stage: str
    service: str
    instance: str
    metric: str
    tier: str
    rule: str
    verdict: str
    severity: str
    score: float
    findings: tuple[Finding, ...] = ()
    root_causes: tuple[RootCause, ...] = ()
    window_end: Timestamp
    evaluated_at: Timestamp
    causes: tuple[str, ...] = ()
    node: str = ""
    since: Timestamp | None = None
    spell: str = ""
    silenced_by: str = ""
    burn_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """Share of one service in a violation."""

    stage: str
    service: str
    observed: float
    share: float
    instance: str = ""
    amount: float = 0.0
    baseline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractViolated(Event):
    """A clause of a contract is broken, or holds again."""

    event_id: str
    contract: str
    contract_version: int
    clause: str
    app: str
    consumer: str
    metric: str
    status: str
    observed: float
    threshold: float
    operator: str
    since: Timestamp
    window_start: Timestamp
    window_end: Timestamp
    contributions: tuple[Contribution, ...] = ()
    evaluated_at: Timestamp
    causes: tuple[str, ...] = ()
    excess: float = 0.0
    budget_left: float | None = None
    severity: str = ""
    spell: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseStanding:
    """How one clause stands."""

    clause: str
    metric: str
    status: str
    observed: float | None = None
    threshold: float
    operator: str
    held: float
    judged: int
    budget_left: float | None = None
    since: Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractStanding(Event):
    """How a contract stands: each of its clauses."""

    event_id: str
    app: str
    contract: str
    contract_version: int
    consumer: str
    status: str
    clauses: tuple[ClauseStanding, ...] = ()
    window_end: Timestamp
    evaluated_at: Timestamp
    causes: tuple[str, ...] = ()

"""Rules, silences and remedies, and what follows from verdicts on quality.

Every field is documented, with its unit, in `avro/<record>/<version>.avsc`, which is the truth;
a test holds the two together.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp
from schemas.records import KeyValue, SourceRange


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindow:
    """A pair of windows in which an error budget may not burn faster than this."""

    long_ms: int
    short_ms: int
    factor: float
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDefined(Event):
    """A quality rule of the first tier: what is judged, when it is bad, and how bad."""

    name: str
    app: str = ""
    metric: str
    statistic: str
    operator: str
    threshold: float
    clear_threshold: float | None = None
    for_windows: int = 1
    clear_windows: int = 1
    severity: str = "warning"
    registered_at: Timestamp
    event_id: str
    kind: str = ""
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    window: str = ""
    span_ms: int = 0
    over_metric: str = ""
    over_statistic: str = ""
    objective: float = 0.0
    burns: tuple[BurnWindow, ...] = ()
    critical_threshold: float | None = None
    critical_after_ms: int = 0
    depends_on: tuple[str, ...] = ()
    stopped: bool = False
    owner: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceDefined(Event):
    """Verdicts that are not told on for a while; they are judged and stored all the same."""

    name: str
    app: str = ""
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    rule: str = ""
    tier: str = ""
    starts_at: Timestamp
    ends_at: Timestamp
    reason: str
    owner: str = ""
    registered_at: Timestamp
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyDefined(Event):
    """Which finding may cause which action."""

    name: str
    app: str = ""
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    on: str
    rule: str = ""
    tier: str = ""
    metric: str = ""
    min_severity: str = ""
    causes: tuple[str, ...] = ()
    action: str
    parameters: tuple[KeyValue, ...] = ()
    cooldown_ms: int = 300000
    verify_ms: int = 0
    undo: bool = False
    max_per_hour: int = 0
    stopped: bool = False
    owner: str = ""
    registered_at: Timestamp
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingRequested(Event):
    """A model should be trained anew, and on what."""

    event_id: str
    app: str
    stage: str
    service: str
    model: str
    drift: str
    reason: str
    since: Timestamp
    until: Timestamp | None = None
    events: int
    sources: tuple[SourceRange, ...] = ()
    requested_at: Timestamp
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisNarrated(Event):
    """A diagnosis told in prose by a language model, or why it was not."""

    event_id: str
    app: str
    diagnosis: str
    status: str
    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float
    message: str
    narrated_at: Timestamp
    causes: tuple[str, ...] = ()

"""What remedy remembers, as Avro-compatible dataclasses; a snapshot is a `RemedyState`."""

from dataclasses import dataclass

from schemas.records import KeyValue, SourceRange

QUALITY, DRIFT, VIOLATION = KINDS = ("quality", "drift", "violation")
"""What a finding is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Somebody who may be the cause: `kind` is service, instance or node, or another."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, as the newest event says.

    `key` is the same for as long as the same is found, `first` the id of the event that told it
    first. `on` is quality, drift or violation; `rule` the rule, detector or `<contract>/<clause>`.
    `cause` is that of a drift, or the kind of the first root cause. `suspects`: the likeliest
    first. `since` (event time, ms) is when it began, `ends` (host clock, ms) until when it is
    believed without news. `bad` and `good` are the value that was found and the one that would be
    right, if there are such; `statistic` is what of a window they are, empty where none tells.
    `explains` are the events that it is the reason of.
    """

    key: str
    on: str
    event_id: str
    first: str
    app: str
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    metric: str = ""
    rule: str = ""
    tier: str = ""
    severity: str = "warning"
    cause: str = ""
    suspects: tuple[Suspect, ...] = ()
    since: int = 0
    until: int | None = None
    ends: int = 0
    bad: float | None = None
    good: float | None = None
    statistic: str = ""
    events: int = 0
    retrain: bool = False
    sources: tuple[SourceRange, ...] = ()
    explains: tuple[str, ...] = ()

    def name_of(self, kind: str) -> str:
        """Return the service, instance or node concerned, or else the likeliest; or nothing."""
        own: str = getattr(self, kind)
        return own or next((s.name for s in self.suspects if s.kind == kind), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a remedy (the id of its definition) did about a finding.

    `attempts` counts its actions; before `not_before` (ms) it is not tried again. `said` is the
    last reason not to act that was told; `told` is the severity that was notified, if any.
    """

    remedy: str
    attempts: int = 0
    not_before: int = 0
    said: str = ""
    told: str = ""


@dataclass(slots=True, kw_only=True)
class Open:
    """A finding that stands, and what was done about it."""

    finding: Finding
    replies: tuple[Reply, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """The remedy that asks: its name, the id of its definition, its action and parameters."""

    name: str
    event_id: str
    action: str
    parameters: tuple[KeyValue, ...] = ()


@dataclass(slots=True, kw_only=True)
class Deed:
    """An action whose effect is awaited.

    `event_id` is that of the ActionTaken. `memo` is what the action needs to check and to undo it.
    `total` and `count` add up the metric since then; the finding's `explains` are keys here.
    `judged` says that it did not help, and waits to be undone.
    """

    event_id: str
    asker: Asker
    target: str
    finding: Finding
    taken_at: int
    verify_at: int
    undo: bool
    judged: bool = False
    memo: tuple[KeyValue, ...] = ()
    total: float = 0.0
    count: int = 0


@dataclass(slots=True, kw_only=True)
class Rest:
    """A target that is left alone until an instant (ms), and by whose action.

    `futile` counts the actions in a row that did not help. `way` says in which direction the last
    one went, where there are two; `helped` whether it did.
    """

    target: str
    app: str
    until: int
    remedy: str
    at: int
    way: str = ""
    futile: int = 0
    helped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A policy that a remedy has put in force for a time, until an instant (ms)."""

    scope: str
    app: str
    until: int
    deed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """When a remedy acted for an application within the last hour (ms)."""

    remedy: str
    app: str
    times: tuple[int, ...] = ()


@dataclass(slots=True, kw_only=True)
class RemedyState:
    """Everything; `refused` are the ids of refused definitions, the next look is in ms."""

    next_look: int = 0
    refused: tuple[str, ...] = ()
    findings: tuple[Open, ...] = ()
    deeds: tuple[Deed, ...] = ()
    rests: tuple[Rest, ...] = ()
    held: tuple[Held, ...] = ()
    hours: tuple[Hour, ...] = ()

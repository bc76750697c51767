"""What diagnose remembers, as Avro-compatible dataclasses; a snapshot is a `DiagnoseState`."""

from dataclasses import dataclass, field

from schemas.observing import RootCause


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesState:
    """The past of one series: ends of windows (ms) and values, packed; see `pasts.Past`."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    window: str
    evidence: str
    fine: bytes
    coarse: bytes
    pending: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was changed or was lost: what, when (ms), and by which event.

    `planned` when Weir meant it to happen. `kind` is a kind of root cause, `name` its name.
    """

    kind: str
    name: str
    at: int
    why: str
    evidence: str = ""
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A fact of the catalogue as it was last seen: who, and what identifies how it is."""

    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """A confirmed drift: of what, since when (ms), of which cause as far as that is known."""

    stage: str
    service: str
    metric: str
    since: int
    told_at: int
    cause: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A verdict or violation in force; `key` says of what, `since` (ms) when that began.

    One that no event will end ends by itself at `until` (host's clock, ms; 0 for never).
    """

    key: str
    event_id: str
    metric: str
    severity: str
    since: int
    until: int = 0


@dataclass(slots=True, kw_only=True)
class Spell:
    """A time without break in which something is wrong with an application.

    `began` is in event time, `noticed` and `quiet_since` (0 while something is open) by the host's
    clock, ms. `told` counts the diagnoses, `first` is the id of the first of them.
    """

    began: int
    noticed: int
    severity: str
    metric: str
    causes: tuple[str, ...] = ()
    next_look: int = 0
    quiet_since: int = 0
    told: int = 0
    first: str = ""
    ranking: tuple[RootCause, ...] = ()


@dataclass(slots=True, kw_only=True)
class AppState:
    """One application."""

    app: str
    newest: int = 0
    seen: bool = False
    known: tuple[Known, ...] = ()
    changes: tuple[Change, ...] = ()
    drifts: tuple[Drifted, ...] = ()
    open: tuple[Open, ...] = ()
    spell: Spell | None = None


@dataclass(slots=True, kw_only=True)
class DiagnoseState:
    """Everything: applications by name, series, the longest unused first, the next look (ms)."""

    next_look: int = 0
    apps: tuple[AppState, ...] = ()
    series: tuple[SeriesState, ...] = field(default_factory=tuple)

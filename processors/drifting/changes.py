"""What a watch of one series knows and tells: warnings, drifts, and what it keeps of them."""

from dataclasses import dataclass

from processors.drifting.concepts import Moments, PastState

WARNING, CONFIRMED, DISMISSED = "warning", "confirmed", "dismissed"
SUDDEN, GRADUAL, INCREMENTAL, RECURRING = "sudden", "gradual", "incremental", "recurring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """What a series once was: the offset of its first event, and its mean."""

    first: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is told of a change: its status and kind, both concepts, and where it is in the log.

    `concept` and `recurs` are the offsets with which the concept that holds now, and the earlier
    one that it is again, began; `warned` the first and last offset of the warning before, if any.
    `statistic` is what two samples gave.
    """

    status: str
    kind: str
    before: Moments
    after: Moments
    since: int
    first: int
    last: int
    detected_at: int
    p_value: float | None = None
    statistic: float | None = None
    concept: int | None = None
    recurs: int | None = None
    warned: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """The mean before and after an alarm's cut, and the values that came since the alarm."""

    before: Moments
    after: float
    further: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchState:
    """A watch as state, and the past of its series, but not its detector."""

    past: PastState
    suspicion: Suspicion | None
    warned: tuple[int, ...]
    change: float
    since_change: int
    began: int | None
    remembered: tuple[Concept, ...]

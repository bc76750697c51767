"""What canary remembers, as Avro-compatible dataclasses; a snapshot is a `CanaryState`."""

from dataclasses import dataclass, field

from placement.rollout.verdict import Sample

WAITING, RUNNING, REFUSED = "waiting", "running", "refused"
PROMOTED, ROLLED_BACK = "promoted", "rolled-back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Up to when (ms) the windows of a metric of an instance have been counted."""

    instance: str
    metric: str
    end: int


@dataclass(slots=True, kw_only=True)
class Rollout:
    """A new version of a service on its way.

    `policy` is the id of the policy that asked for it, `step` counts from 1, `since` is when the
    step began (ms); `judge_at` are the results of the new version at which it is judged next.
    """

    service: str
    app: str
    policy: str
    variant: str = ""
    status: str = RUNNING
    step: int = 0
    share: float = 0.0
    since: int = 0
    judge_at: int = 0
    old: Sample = field(default_factory=Sample)
    new: Sample = field(default_factory=Sample)
    counted: tuple[Counted, ...] = ()


@dataclass(slots=True, kw_only=True)
class CanaryState:
    """Everything: rollouts by service, the next look (ms)."""

    next_look: int = 0
    rollouts: tuple[Rollout, ...] = ()

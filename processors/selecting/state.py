"""What select remembers, as Avro-compatible dataclasses; a snapshot is a `SelectState`."""

from dataclasses import dataclass, field

from processors.selecting.profiles import Profile, Series
from schemas.decisions import EnsembleMember

MEMBER, EXPLAIN, SHADOW = "member", "explain", "shadow"
"""Roles in an ensemble."""
CAUSES = 32
CLASSES = 64
CONDITIONS = 32
"""Conditions under which a service is known, at most: those seen last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A shadow that serves, and since when (host's clock, ms)."""

    service: str
    since: int


@dataclass(slots=True, kw_only=True)
class Trial:
    """Candidates run as shadows to be judged on live requests; since when, host's clock, ms.

    `compared` were judged when an ensemble was last selected while others were still awaited;
    `since` (event time, ms; 0 for never) is from when they were compared then. `signature` is of
    what bore on selection when it was last looked at.
    """

    started: int
    serving: tuple[Serving, ...] = ()
    compared: tuple[str, ...] = ()
    since: int = 0
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Why a new selection is due, in words, with the ids of its causes.

    `kind` is drift, violation, quality, asked, plan, improvement, exploration or catalogue, gravest
    first; `since` is the event time (ms) from which the new concept holds.
    """

    kind: str
    reason: str
    since: int
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What exploring has cost with one service.

    `loss` is the sum of its losses, each divided by the `chance` with which it served; `judged` is
    the newest event time (ms) that is in it. `chance` is 0 while it does not serve.
    """

    service: str
    loss: float = 0.0
    chance: float = 0.0
    judged: int = 0


@dataclass(slots=True, kw_only=True)
class AppState:
    """One application, or one of its consumers that has an ensemble of its own.

    `since` (event time, ms) begins the present concept, `judged` is the newest event time that
    the last trial had seen. `quiet_until` (host clock, ms) ends the cool-down, `futile` counts the
    trials in a row that changed nothing. Since `down_since` (host clock, ms; 0 for never) a member
    has had no ready instance. `failed` holds services as name@registration, `refused` the ids of
    policies that could not be heeded, and what selectors of others raised.
    """

    app: str
    consumer: str = ""
    generation: int = 0
    members: tuple[EnsembleMember, ...] = ()
    shadows: tuple[str, ...] = ()
    demanded: tuple[str, ...] = ()
    signature: str = ""
    signed_at: int = 0
    settled: str = ""
    since: int = 0
    judged: int = 0
    selected_at: int = 0
    trial: Trial | None = None
    trigger: Trigger | None = None
    quiet_until: int = 0
    futile: int = 0
    down_since: int = 0
    violated: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    labelled: bool = False
    correlation: float = 0.5
    evidence: float = 0.0
    classes: tuple[str, ...] = ()
    answers: Series = field(default_factory=Series)
    responses: Series = field(default_factory=Series)
    profiles: tuple[Profile, ...] = ()
    algorithm: str = ""
    arms: tuple[Arm, ...] = ()
    refused: tuple[str, ...] = ()
    promised_ms: float = 0.0

    @property
    def services(self) -> tuple[str, ...]:
        """Return the names of the members that vote."""
        return tuple(member.service for member in self.members if member.role == MEMBER)

    @property
    def explaining(self) -> tuple[str, ...]:
        """Return the names of those who are asked when an answer shall be explained."""
        return tuple(member.service for member in self.members if member.role == EXPLAIN)

    def known_since(self, since: int) -> int:
        """Return `since` (ms), or 0 where no accuracy was observed since: the last known counts."""
        judged = [
            series
            for p in self.profiles
            for series in ((p.accuracy,) if self.labelled else (p.agreement, p.confidence))
        ]
        return since if any(s.spans and s.spans[-1].start >= since for s in judged) else 0

    def profile(self, service: str) -> Profile:
        """Return the profile of a service, an empty one when nothing was observed."""
        for profile in self.profiles:
            if profile.service == service:
                return profile
        return Profile(service=service)


@dataclass(slots=True, kw_only=True)
class SelectState:
    """Everything: applications by name, and when (ms) the catalogue is looked at again."""

    next_look: int = 0
    apps: tuple[AppState, ...] = ()

"""How many copies of a service there should be, from what they bear. Pure.

The proportional rule of Kubernetes' HorizontalPodAutoscaler: copies = load / target, rounded up,
no change within the tolerance; down only to the most that was called for over some time. To it
come: work that waits counts as load, a contract that is broken asks for one copy more, and
idleness for none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

_DAY_MS = 86_400_000
_NEARLY = 1e-9
_MOST = 4
"""Copies that one step may add, where doubling adds fewer."""


@dataclass(frozen=True, slots=True)
class ScalePolicy:
    """Parameters `scale.<name>` of the policy for `place`.

    - `target_load` (share of a copy's time, 0.01 to 1, default 0.7): what copies should bear,
      where the service's registration does not say
    - `tolerance` (share of the target, 0 to 1, default 0.1): nothing changes within it
    - `up_ms` (ms, default 5000): least time between a change and more copies
    - `down_ms` (ms, default 60000): fewer copies only when for so long fewer would have done
    - `idle_ms` (ms, default 300000): without requests for so long a service goes down to its least
      number, where its registration does not say
    - `drain_ms` (ms, default 10000): work that waits should be done within this time
    - `stale_ms` (ms, default 30000): windows that ended earlier tell nothing of the present load

    Times are from 0 to a day; `drain_ms` and `stale_ms` from 1.
    """

    target_load: float = 0.7
    tolerance: float = 0.1
    up_ms: int = 5_000
    down_ms: int = 60_000
    idle_ms: int = 300_000
    drain_ms: int = 10_000
    stale_ms: int = 30_000

    PREFIX: ClassVar[str] = "scale"
    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "target_load": (0.01, 1.0),
        "tolerance": (0.0, 1.0),
        "up_ms": (0, _DAY_MS),
        "down_ms": (0, _DAY_MS),
        "idle_ms": (0, _DAY_MS),
        "drain_ms": (1, _DAY_MS),
        "stale_ms": (1, _DAY_MS),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """What is known of a service at one moment.

    `load` is in copies: 1.0 keeps one busy all the time. `blamed` names the clauses that are broken
    on its account; `idle_for` is the time (ms) without requests, `since_change` the time since the
    number was last changed; `wanted` says that somebody asked since it has no copies.
    """

    copies: int
    load: float
    blamed: tuple[str, ...] = ()
    idle_for: int = 0
    since_change: int = 0
    wanted: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """How few and how many copies there may be; what each should bear; when it is idle (ms)."""

    least: int
    most: int
    target: float
    idle_ms: int

    def clamp(self, copies: int) -> int:
        """Return the nearest number in the range, at least one copy."""
        return max(1, self.least, min(self.most, copies))


@dataclass(frozen=True, slots=True)
class Called:
    """A number of copies, and why."""

    copies: int
    why: str
    verdict: bool = False
    """Whether a broken contract called for it."""
    idle: bool = False
    """Whether nobody asked for so long that there is nothing more to wait for."""


def called_for(bearing: Bearing, limits: Range, policy: ScalePolicy) -> Called:
    """Return the copies that the load calls for now, cool-down and patience apart."""
    now = bearing.copies
    if not now:
        if bearing.wanted:
            return Called(limits.clamp(1), "it has no copies, and requests came")
        if limits.least > 0:
            return Called(limits.clamp(1), f"it has no copies; {limits.least} at least are wanted")
        return Called(0, "nobody asks for it")
    if bearing.idle_for >= limits.idle_ms:
        least = limits.least if limits.least <= 0 else limits.clamp(limits.least)
        words = f"no requests for {bearing.idle_for / 1000:g} s"
        return Called(max(0, least), words, idle=True)
    by_load = limits.clamp(_proportional(bearing, limits.target, policy.tolerance))
    share = bearing.load / now
    told = f"each of {now} copies bears {share:.2f}, {limits.target:g} is aimed at"
    if bearing.blamed and by_load <= now:
        clauses = ", ".join(bearing.blamed)
        return Called(limits.clamp(now + 1), f"{clauses} is violated; {told}", verdict=True)
    step = max(2 * now, now + _MOST)
    return Called(min(by_load, step) if by_load > now else by_load, told)


def _proportional(bearing: Bearing, target: float, tolerance: float) -> int:
    if abs(bearing.load / (bearing.copies * target) - 1.0) <= tolerance:
        return bearing.copies
    return math.ceil(bearing.load / target - _NEARLY)


Calls = tuple[tuple[int, int], ...]
"""What was called for lately: (instant in ms, copies), copies falling."""


def remember(calls: Calls, at_ms: int, copies: int, keep_ms: int) -> Calls:
    """Return the calls that may still be the most of some time to come, with one more.

    A monotonic queue: it holds no more entries than there are different numbers of copies.
    """
    kept = tuple(call for call in calls if call[0] > at_ms - keep_ms and call[1] > copies)
    return (*kept, (at_ms, copies))


def settle(bearing: Bearing, called: Called, calls: Calls, policy: ScalePolicy) -> Called | None:
    """Return what to do: more after the cool-down, fewer when all calls agree, or it is idle.

    None means to leave it. `calls` are those of the last `down_ms`, this one included.
    """
    if called.copies > bearing.copies:
        rested = bearing.since_change >= policy.up_ms or not bearing.copies
        return called if rested else None
    if called.idle:
        return called if called.copies < bearing.copies else None
    if bearing.blamed:
        return None
    most = max((copies for _, copies in calls), default=called.copies)
    if most < bearing.copies and bearing.since_change >= policy.down_ms:
        return Called(most, called.why)
    return None

"""The books of remedy: findings that stand, actions awaited, targets that rest, how often. Pure."""

from collections.abc import Iterable, Iterator

from processors.remedying.state import Deed, Finding, Held, Hour, Open, RemedyState, Rest
from schemas.observing import Observation
from schemas.quality import RemedyDefined

FINDINGS = 64
"""Findings that are kept of one application; beyond, the oldest is let go."""
TARGETS = 512
"""Targets that may rest at once; notifications apart."""
NOTIFIED = 2_048
"""Findings of which it is known when they were notified last."""
HOUR_MS = 3_600_000
_TIMES = 1_000
_NOTIFY = "notify/"


class Ledger:
    """What one instance of remedy remembers; see `RemedyState`."""

    def __init__(self, state: RemedyState | None = None) -> None:
        known = state or RemedyState()
        self.findings = {one.finding.key: one for one in known.findings}
        self.deeds: dict[str, Deed] = {deed.event_id: deed for deed in known.deeds}
        self.rests: dict[str, Rest] = {rest.target: rest for rest in known.rests}
        self.held: dict[str, Held] = {held.scope: held for held in known.held}
        self.refused = dict.fromkeys(known.refused)
        self._hours = {(hour.remedy, hour.app): hour.times for hour in known.hours}

    def state(self, next_look: int) -> RemedyState:
        """Return all of it; equal ledgers have equal states."""
        hours = sorted(self._hours.items())
        return RemedyState(
            next_look=next_look,
            refused=tuple(self.refused),
            findings=tuple(self.findings.values()),
            deeds=tuple(self.deeds.values()),
            rests=tuple(self.rests.values()),
            held=tuple(self.held.values()),
            hours=tuple(Hour(remedy=r, app=a, times=times) for (r, a), times in hours),
        )

    def open(self, finding: Finding) -> tuple[Open, Open | None]:
        """Keep a finding, or what is new of it; return it, and the one that had to go for it."""
        known = self.findings.get(finding.key)
        if known is not None:
            known.replies = known.replies if known.finding.first == finding.first else ()
            known.finding = finding
            return known, None
        of_app = [one for one in self.findings.values() if one.finding.app == finding.app]
        gone = of_app[0] if len(of_app) >= FINDINGS else None
        if gone is not None:
            del self.findings[gone.finding.key]
        self.findings[finding.key] = Open(finding=finding)
        return self.findings[finding.key], gone

    def rest(self, rest: Rest) -> None:
        """Let a target rest; the latest stands last."""
        self.rests.pop(rest.target, None)
        self.rests[rest.target] = rest
        notified = [target for target in self.rests if target.startswith(_NOTIFY)]
        for target in notified[: max(0, len(notified) - NOTIFIED)]:
            del self.rests[target]

    def is_full(self, target: str) -> bool:
        """Return whether no further target may be acted upon."""
        resting = sum(1 for known in self.rests if not known.startswith(_NOTIFY))
        return target not in self.rests and resting >= TARGETS

    def count(self, remedy: RemedyDefined, app: str, now_ms: int) -> None:
        """Note that a remedy acted, where that is limited."""
        if remedy.max_per_hour > 0:
            key = (remedy.name, app)
            self._hours[key] = (*self._recent(key, now_ms), now_ms)[-_TIMES:]

    def acted(self, remedy: str, app: str, now_ms: int) -> int:
        """Return how often a remedy acted for an application within the last hour."""
        return len(self._recent((remedy, app), now_ms))

    def take(self, seen: Observation) -> None:
        """Add a window up, where the effect of an action is to be seen in it."""
        if not seen.final or seen.count <= 0:
            return
        for deed in self.deeds.values():
            statistic = deed.finding.statistic
            if statistic and seen.window_start >= deed.taken_at and _of(deed.finding, seen):
                deed.total += getattr(seen, statistic) * seen.count
                deed.count += seen.count

    def expired(self, now_ms: int) -> Iterator[Open]:
        """Forget what is over, and yield the findings that nobody believes any more."""
        for target, rest in list(self.rests.items()):
            if now_ms >= rest.until + HOUR_MS:
                del self.rests[target]
        self._hours = {k: r for k in self._hours if (r := self._recent(k, now_ms))}
        for key, stands in list(self.findings.items()):
            if now_ms >= stands.finding.ends:
                del self.findings[key]
                yield stands

    def stands(self, deed: Deed) -> bool:
        """Return whether what an action answered is still found, or what that was the reason of."""
        keys = deed.finding.explains or (deed.finding.key,)
        return any(key in self.findings for key in keys)

    def explained(self, finding: Finding) -> tuple[str, ...]:
        """Return the keys of the findings that stand of which this one is the reason."""
        told = set(finding.explains)
        return tuple(
            key
            for key, one in self.findings.items()
            if told & {one.finding.event_id, one.finding.first}
        )

    def unsettled(self, finding: Finding) -> Deed | None:
        """Return an action for the application that awaits its verdict and is older than this."""
        for deed in self.deeds.values():
            of_app = deed.finding.app == finding.app and deed.finding.key != finding.key
            if of_app and not deed.judged and finding.since > deed.taken_at:
                return deed
        return None

    def _recent(self, key: tuple[str, str], now_ms: int) -> tuple[int, ...]:
        return tuple(at for at in self._hours.get(key, ()) if now_ms - at < HOUR_MS)


def joined(states: Iterable[RemedyState]) -> RemedyState:
    """Return the states of several instances as one."""
    found = list(states)
    return RemedyState(
        next_look=max(state.next_look for state in found),
        refused=tuple(dict.fromkeys(r for state in found for r in state.refused)),
        findings=tuple(one for state in found for one in state.findings),
        deeds=tuple(one for state in found for one in state.deeds),
        rests=tuple(one for state in found for one in state.rests),
        held=tuple(one for state in found for one in state.held),
        hours=tuple(one for state in found for one in state.hours),
    )


def _of(finding: Finding, seen: Observation) -> bool:
    """Return whether a window is of the series in which something was found."""
    fields = ("app", "stage", "service", "instance", "metric")
    return all(getattr(finding, name) == getattr(seen, name) for name in fields)

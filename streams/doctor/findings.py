"""What a check says: findings, each with what to do about it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How it is. What was not looked at because something else is away is `skip`."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


_ORDER = tuple(Status)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about one subject: what is so, why it matters or why we think so, what to do."""

    subject: str
    status: Status
    what: str
    why: str = ""
    mend: str = ""


def ok(subject: str, what: str, why: str = "") -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(subject, Status.OK, what, why)


def warn(subject: str, what: str, why: str = "", mend: str = "") -> Finding:
    """Return a finding that should be looked at."""
    return Finding(subject, Status.WARN, what, why, mend)


def fail(subject: str, what: str, why: str = "", mend: str = "") -> Finding:
    """Return a finding that breaks something."""
    return Finding(subject, Status.FAIL, what, why, mend)


def skip(subject: str, what: str, why: str = "") -> Finding:
    """Return a finding about what could not be looked at."""
    return Finding(subject, Status.SKIP, what, why)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status; OK of none."""
    return max((each.status for each in findings), key=_ORDER.index, default=Status.OK)


def few(names: Iterable[str], most: int = 5) -> str:
    """Return names in order, the first few by name, the rest by number."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more


def span(ms: float) -> str:
    """Return a length of time in its largest unit."""
    seconds = ms / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"

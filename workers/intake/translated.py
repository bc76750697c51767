"""What a translation gives, and under which terms it is made. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.base import Event
from schemas.checks import MAX_AHEAD_MS
from workers.intake.naming import Names

NAMELESS = "without an application or service"
AHEAD = "more than a minute ahead of the clock here"
"""Reasons why something is refused, whatever it is."""
NS_PER_MS = 1_000_000
MAX_S = 1e11
"""Times in seconds since the epoch lie below; milliseconds where seconds belong do not."""


def ahead(when_ms: int, now_ms: int) -> bool:
    """Tell whether readers would refuse what is sent now for its time."""
    return when_ms > now_ms + MAX_AHEAD_MS


@dataclass(frozen=True, slots=True)
class Terms:
    """How to translate: names, quantiles to estimate, and the shares of logs and traces kept."""

    names: Names
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99)
    log_rate: float = 1.0
    span_rate: float = 1.0


@dataclass(slots=True)
class Translated:
    """Events, and what became of everything else.

    `refused` counts by reason what the sender did wrong, `passed` what needs no event: it was
    sampled out, has no value, or is the first total of a series.
    """

    events: list[Event] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)

    @property
    def complaint(self) -> str:
        """What was refused, in words; empty when nothing was."""
        return ", ".join(f"{count} {reason}" for reason, count in sorted(self.refused.items()))

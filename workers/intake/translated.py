"""What a translation gives, and under which terms it is made. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.base import Event
from workers.intake.naming import Names

MAX_AHEAD_MS = 60_000
"""Readers refuse what lies further after its record's timestamp."""


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

"""How much may be asked: tokens a day (UTC) and calls a minute. Pure; instants are arguments."""

from collections import deque
from dataclasses import dataclass, field

DAY_MS, MINUTE_MS = 86_400_000, 60_000
_CHARACTERS_PER_TOKEN = 3
"""Fewer than any usual model has, so that an estimate is rather too high."""


@dataclass(slots=True)
class Budget:
    """What is left of a day's tokens, and when the last calls were made (ms)."""

    tokens_per_day: int
    calls_per_minute: int
    day: int = 0
    spent: int = 0
    calls: deque[int] = field(default_factory=deque)

    def objection(self, tokens: int, now_ms: int) -> str:
        """Return why a call that may take so many tokens is not made; empty when it may be."""
        self._turn(now_ms)
        if self.spent + tokens > self.tokens_per_day:
            return f"{self.spent} of {self.tokens_per_day} tokens of this day are spent"
        return ""

    def pause_ms(self, now_ms: int) -> int:
        """Return for how long no call may be made, ms; 0 when one may be made now."""
        while self.calls and self.calls[0] <= now_ms - MINUTE_MS:
            self.calls.popleft()
        if len(self.calls) < self.calls_per_minute:
            return 0
        return self.calls[0] + MINUTE_MS - now_ms

    def called(self, now_ms: int) -> None:
        """Note a call."""
        self.calls.append(now_ms)

    def spend(self, tokens: int, now_ms: int) -> None:
        """Note tokens that were spent; those of other days are none of today's."""
        day = now_ms // DAY_MS
        if day >= self.day:
            self._turn(now_ms)
            self.spent += max(0, tokens)

    def _turn(self, now_ms: int) -> None:
        if now_ms // DAY_MS > self.day:
            self.day, self.spent = now_ms // DAY_MS, 0


def estimated(text: str) -> int:
    """Return about how many tokens a text has, rather too many."""
    return len(text) // _CHARACTERS_PER_TOKEN + 1

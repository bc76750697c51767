"""When what failed may be tried again: after rests that double as long as nothing succeeds. Pure.

Times are seconds of any steady clock.
"""

import math


class Resting:
    """Rests of one model: none at first, then `first_s`, doubled each time, at most `longest_s`."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self._until = -math.inf
        self.why = ""

    def failed(self, why: str, now: float) -> float:
        """Begin a rest, and return how long it is."""
        rest_s, self.why = self._next_s, why
        self._until = now + rest_s
        self._next_s = min(self._longest_s, rest_s * 2)
        return rest_s

    def succeeded(self) -> None:
        """Let the next rest be the first again."""
        self._next_s = self._first_s

    def left(self, now: float) -> float:
        """Return how much of the rest is left; 0 when there is none."""
        return max(0.0, self._until - now)

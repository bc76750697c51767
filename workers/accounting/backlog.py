"""How many jobs wait over time, in a bounded number of samples. Pure."""

from collections.abc import Mapping
from typing import Any

MOST = 400


class Backlog:
    """Samples at equal distances; when there are too many, every second goes."""

    def __init__(self, every_ms: float) -> None:
        self.every_ms = every_ms
        self._samples: list[tuple[float, dict[str, int]]] = []
        self._next = 0.0

    def until(self, now: float, waiting: Mapping[str, int]) -> None:
        """Take it that these have waited, by service, since what was told last."""
        while self._next <= now:
            self._samples.append((self._next, {name: n for name, n in waiting.items() if n}))
            self._next += self.every_ms
            if len(self._samples) > MOST:
                self._samples = self._samples[::2]
                self.every_ms *= 2
                self._next = self._samples[-1][0] + self.every_ms

    def samples(self) -> list[dict[str, Any]]:
        """Return the samples; services without work are left out."""
        return [
            {"at_ms": round(at, 3), "total": sum(by.values()), "services": by}
            for at, by in self._samples
        ]

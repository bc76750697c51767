"""How long executions take, learned while they happen. Pure."""

from collections import deque
from dataclasses import dataclass, field

_REMEMBERED = 32
_FLOOR_AGE_MS = 30_000
_FLOOR_SHARE = 0.5


@dataclass(slots=True)
class _Profile:
    """Smoothed time (ms) per batch size, and the latest times per task with when they ended."""

    by_size: dict[int, float] = field(default_factory=dict)
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class Estimates:
    """Predicted execution times per key (an instance), from exponentially smoothed ones.

    `prior` gives a key's declared time until it has run once.
    """

    def __init__(self, default_ms: float = 5.0, smoothing: float = 0.2) -> None:
        self._default_ms = default_ms
        self._smoothing = smoothing
        self._priors: dict[str, float] = {}
        self._profiles: dict[str, _Profile] = {}

    def declare(self, key: str, prior_ms: float | None) -> None:
        """Set what a key is expected to take for one task, until it is known better."""
        self._priors[key] = self._default_ms if prior_ms is None else prior_ms

    def forget(self, key: str) -> None:
        """Drop everything about a key."""
        self._priors.pop(key, None)
        self._profiles.pop(key, None)

    def learn(self, key: str, size: int, took_ms: float, now_ms: float) -> None:
        """Take an execution of `size` tasks into account."""
        profile = self._profiles.setdefault(key, _Profile())
        known = profile.by_size.get(size, took_ms)
        profile.by_size[size] = known + self._smoothing * (took_ms - known)
        profile.recent.append((now_ms, took_ms / size))

    def predict(self, key: str, size: int = 1) -> float:
        """Return the expected time (ms) of an execution of `size` tasks.

        Sizes not seen yet are scaled from the nearest smaller one, which is an upper bound where
        batching pays at all; below all seen ones, the smallest seen counts whole.
        """
        profile = self._profiles.get(key)
        if profile is None:
            return size * self._priors.get(key, self._default_ms)
        if size in profile.by_size:
            return profile.by_size[size]
        smaller = [seen for seen in profile.by_size if seen < size]
        if smaller:
            nearest = max(smaller)
            return profile.by_size[nearest] * size / nearest
        return profile.by_size[min(profile.by_size)]

    def least(self, key: str, now_ms: float) -> float:
        """Return a time (ms) that no execution of this key can be hoped to stay under.

        Half the shortest of the last ones; 0 when they are older than 30 s, so that a key whose
        every task was given up is tried again.
        """
        profile = self._profiles.get(key)
        if profile is None or not profile.recent:
            return 0.0
        if profile.recent[-1][0] < now_ms - _FLOOR_AGE_MS:
            return 0.0
        return _FLOOR_SHARE * min(took for _, took in profile.recent)

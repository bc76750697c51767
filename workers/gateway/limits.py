"""How much may be under way, and how fast who may ask. Pure: the time (s) is an argument."""

import math
from collections import Counter
from dataclasses import dataclass

from typing_extensions import Self

from schemas.registrations import ConsumerRegistered
from workers.gateway.access import Caller
from workers.gateway.refusals import Refusal

FORGET_S = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limits:
    """Requests under way, of all and of each consumer, and a token bucket for each.

    A registered consumer's `rate_per_s` and `burst` count, or else `rate_per_s` for whoever has
    none; 0 is any rate.
    """

    def __init__(self, most: int, most_each: int, rate_per_s: float) -> None:
        self._most, self._most_each, self._rate = most, most_each, rate_per_s
        self._inside: Counter[str] = Counter()
        self._buckets: dict[str, _Bucket] = {}
        self._looked = 0.0

    @property
    def inside(self) -> int:
        """How many are under way."""
        return self._inside.total()

    def enter(self, caller: Caller, now: float) -> "Place":
        """Let one more request in, before its body is read. Raises Refusal (429)."""
        name = caller.consumer
        if self.inside >= self._most:
            raise _busy(f"{self.inside} requests are under way, the most of all", "requests")
        if self._inside[name] >= self._most_each:
            raise _busy(f"{self._inside[name]} requests of {name or 'nobody'} are under way", name)
        self._pay(name, caller.known, now)
        self._inside[name] += 1
        return Place(self, caller)

    def leave(self, name: str, *, paid: bool) -> None:
        """Note that a request of a consumer has ended; one that counts for nothing is not paid."""
        self._inside[name] -= 1
        if self._inside[name] <= 0:
            del self._inside[name]
        if not paid and name in self._buckets:
            self._buckets[name].tokens += 1.0

    def _pay(self, name: str, known: ConsumerRegistered | None, now: float) -> None:
        own = known.rate_per_s if known is not None else None
        rate = self._rate if own is None else own
        if own is None and not rate:
            return
        burst = max(1.0, float(known.burst) if known is not None and known.burst else rate)
        bucket = self._buckets.setdefault(name, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + max(0.0, now - bucket.at) * rate)
        bucket.at = max(now, bucket.at)
        if bucket.tokens < 1.0:
            wait = math.ceil((1.0 - bucket.tokens) / rate) if rate else 3600
            raise Refusal(
                429,
                f"{name or 'this consumer'} asks faster than {rate:g} requests a second",
                "rate",
                "ask again after Retry-After seconds, or have the rate raised",
                after_s=max(1, wait),
            )
        bucket.tokens -= 1.0
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop buckets that are long full again."""
        if now - self._looked < FORGET_S:
            return
        self._looked = now
        self._buckets = {n: b for n, b in self._buckets.items() if now - b.at < 60 * FORGET_S}


class Place:
    """One request's place among those under way; given up at the end of `with`, unless `kept`."""

    def __init__(self, limits: Limits, caller: Caller) -> None:
        self._limits, self.caller = limits, caller
        self.kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            self.leave()

    def leave(self, *, paid: bool = True) -> None:
        """Give the place up; what was not `paid` does not count for the rate."""
        self.kept = True
        self._limits.leave(self.caller.consumer, paid=paid)


def _busy(what: str, where: str) -> Refusal:
    return Refusal(429, what, where, "ask again when some of them are answered", after_s=1)

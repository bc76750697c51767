"""Random sampling: a share of the measurements is reported, and the share is reported with them.

For every sampled metric two companions are reported once a second, so that counts can be put
right without a field in each report:

- `<metric>.sample_rate`, the share that is reported: count / sample_rate estimates how many
  measurements there were, without bias; its relative error is sqrt((1 - p) / (p n)) for n
  measurements at a share of p (Horvitz and Thompson, 1952);
- `<metric>.seen`, how many there were since the last report of it, exactly: its sum over a window
  is the true count but for what falls between the window's end and the next second.

Mean, quantiles and the like need no correction: every measurement is as likely as any other.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.identity import stable_id
from workers.probing.buffer import Tally
from workers.probing.encoding import clean

SAMPLE_RATE, SEEN = ".sample_rate", ".seen"
MOST_SAMPLED = 10_000
"""Metrics with a rate of their own; whatever comes after them is reported whole."""
INFERENCE = "inference"
"""The name under which the rate of `Sampling.requests` is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Shares above 0 and up to 1: of every metric, of some by name, and of requests.

    `requests` samples results and truths by their request id, so that every process that has the
    same `salt` chooses the same requests, and results meet their labels. With a `seed` each metric
    is sampled the same way in every run. Raises ValueError for a share that is none.
    """

    rate: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)
    requests: float = 1.0
    seed: int | None = None
    salt: str = ""

    def __post_init__(self) -> None:
        for share in (self.rate, self.requests, *self.rates.values()):
            if not 0 < share <= 1:
                raise ValueError(f"a sampling rate is above 0 and at most 1, not {share}")

    def of(self, metric: str) -> float:
        """Return the share of a metric that is reported."""
        return self.rates.get(metric, self.rate)


@dataclass(slots=True)
class _Sampled:
    rate: float
    draw: random.Random
    seen: Tally = field(default_factory=Tally)
    told: int = 0


class Sampler:
    """Chooses, from any thread and without waiting."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self.active = sampling.rate < 1 or any(rate < 1 for rate in sampling.rates.values())
        """Whether any metric is sampled."""
        self._sampled: dict[str, _Sampled | None] = {}
        self._requests = _Sampled(sampling.requests, random.Random())  # noqa: S311 - no secret

    def admits(self, metric: str) -> bool:
        """Return whether this measurement is to be reported."""
        if not self.active:
            return True
        try:
            sampled = self._sampled[metric]
        except KeyError:
            sampled = self._begin(metric)
        if sampled is None:
            return True
        sampled.seen.add()
        return sampled.draw.random() < sampled.rate

    def admits_request(self, request_id: str) -> bool:
        """Return whether what is known of a request is to be reported."""
        if self._sampling.requests >= 1:
            return True
        self._requests.seen.add()
        place = int(stable_id(self._sampling.salt, request_id)[:13], 16) / 16**13
        return place < self._sampling.requests

    def tell(self, report: Callable[[str, float], bool]) -> None:
        """Report what was seen since it was last reported; `report` says whether it could be."""
        named = [(name, each) for name, each in list(self._sampled.items()) if each is not None]
        for name, sampled in (*named, (INFERENCE, self._requests)):
            seen = sampled.seen.total()
            if seen > sampled.told and report(name + SEEN, float(seen - sampled.told)):
                sampled.told = seen
                report(name + SAMPLE_RATE, sampled.rate)

    def _begin(self, metric: str) -> _Sampled | None:
        if len(self._sampled) >= MOST_SAMPLED:
            return None
        rate, seed = self._sampling.of(metric), self._sampling.seed
        chance = random.Random(None if seed is None else f"{seed}/{clean(metric)}")  # noqa: S311 - no secret
        made = _Sampled(rate, chance) if rate < 1 else None
        return self._sampled.setdefault(metric, made)

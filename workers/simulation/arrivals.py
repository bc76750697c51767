"""When work arrives: the kinds a scenario may name, and the instants that they give. Pure.

Instants are ms from the beginning, ascending, and all before the end that is asked for.
"""

from collections.abc import Iterator
from itertools import count, pairwise, takewhile
from math import log
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from workers.simulation.chance import Stream
from workers.simulation.fields import Instant, Listed, Ms, Part

Rate = Annotated[float, Field(gt=0, le=1e6)]


class Periodic(Part):
    """One after each `every_ms`, the first at `offset_ms`."""

    kind: Literal["periodic"]
    every_ms: Ms
    offset_ms: Instant = 0.0

    def instants(self, _: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`."""
        times = (self.offset_ms + place * self.every_ms for place in count())
        return takewhile(lambda at: at < end, times)

    def expected(self, end: float) -> float:
        """Return about how many arrive before `end`."""
        return max(0.0, end - self.offset_ms) / self.every_ms


class Jittered(Part):
    """One in each period, at most `jitter_ms` before or after its time, uniformly."""

    kind: Literal["jittered"]
    every_ms: Ms
    jitter_ms: Instant
    offset_ms: Instant = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> "Jittered":
        if 2 * self.jitter_ms > self.every_ms:
            raise ValueError("jitter_ms is at most half of every_ms, so that none overtakes")
        return self

    def instants(self, chance: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`; none is before 0."""
        for place in count():
            away = (2 * chance.at(place) - 1) * self.jitter_ms
            at = max(0.0, self.offset_ms + place * self.every_ms + away)
            if at >= end:
                return
            yield at

    def expected(self, end: float) -> float:
        """Return about how many arrive before `end`."""
        return max(0.0, end - self.offset_ms) / self.every_ms


class Poisson(Part):
    """Independent of each other, `rate_per_s` on average."""

    kind: Literal["poisson"]
    rate_per_s: Rate

    def instants(self, chance: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`."""
        at = 0.0
        for place in count():
            at -= log(chance.at(place)) * 1_000 / self.rate_per_s
            if at >= end:
                return
            yield at

    def expected(self, end: float) -> float:
        """Return about how many arrive before `end`."""
        return end * self.rate_per_s / 1_000


class Bursts(Part):
    """`size` at once, or `spacing_ms` apart, after each `every_ms`."""

    kind: Literal["bursts"]
    every_ms: Ms
    size: Annotated[int, Field(ge=1, le=1_000_000)]
    spacing_ms: Instant = 0.0
    offset_ms: Instant = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> "Bursts":
        if (self.size - 1) * self.spacing_ms > self.every_ms:
            raise ValueError("a burst ends before the next: (size - 1) x spacing_ms <= every_ms")
        return self

    def instants(self, _: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`."""
        for burst in count():
            begin = self.offset_ms + burst * self.every_ms
            if begin >= end:
                return
            times = (begin + place * self.spacing_ms for place in range(self.size))
            yield from takewhile(lambda at: at < end, times)

    def expected(self, end: float) -> float:
        """Return about how many arrive before `end`."""
        return max(0.0, end - self.offset_ms) / self.every_ms * self.size


class FlashCrowd(Part):
    """`rate_per_s` on average, and `peak_per_s` from `from_ms` for `for_ms`, risen to in `ramp_ms`.

    It falls as it rises. The instants are those of a Poisson process of that rate, by thinning
    (Lewis and Shedler 1979).
    """

    kind: Literal["flash-crowd"]
    rate_per_s: Rate
    peak_per_s: Rate
    from_ms: Instant
    for_ms: Ms
    ramp_ms: Instant = 0.0

    def rate(self, at: float) -> float:
        """Return arrivals a second at an instant."""
        away = max(self.from_ms - at, at - self.from_ms - self.for_ms)
        if away <= 0:
            return self.peak_per_s
        if away >= self.ramp_ms:
            return self.rate_per_s
        return self.peak_per_s + (self.rate_per_s - self.peak_per_s) * away / self.ramp_ms

    def instants(self, chance: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`."""
        most = max(self.rate_per_s, self.peak_per_s)
        at = 0.0
        for place in count(step=2):
            at -= log(chance.at(place)) * 1_000 / most
            if at >= end:
                return
            if chance.at(place + 1) * most < self.rate(at):
                yield at

    def expected(self, end: float) -> float:
        """Return about how many would arrive before `end` if the higher rate held throughout."""
        return end * max(self.rate_per_s, self.peak_per_s) / 1_000


class Trace(Part):
    """The instants of a recording; `file`, beside the scenario, holds one number (ms) a line."""

    kind: Literal["trace"]
    at_ms: Listed[Instant] = ()
    file: str = ""

    @field_validator("at_ms")
    @classmethod
    def _ascending(cls, found: tuple[float, ...]) -> tuple[float, ...]:
        if any(later < earlier for earlier, later in pairwise(found)):
            raise ValueError("instants ascend; sort them")
        return found

    @model_validator(mode="after")
    def _one_source(self) -> "Trace":
        if bool(self.at_ms) == bool(self.file):
            raise ValueError("give either at_ms, a list of instants, or file, which holds them")
        return self

    def instants(self, _: Stream, end: float) -> Iterator[float]:
        """Yield the instants before `end`."""
        return takewhile(lambda at: at < end, self.at_ms)

    def expected(self, _: float) -> float:
        """Return how many there are."""
        return float(len(self.at_ms))


Arrivals = Annotated[
    Periodic | Jittered | Poisson | Bursts | FlashCrowd | Trace, Field(discriminator="kind")
]

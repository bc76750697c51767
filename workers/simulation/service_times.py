"""How long executions take: the kinds a scenario may name. Pure.

A batch takes `fixed_ms` once and, for each item, what `item` gives for that item's own number in
(0, 1): equal numbers give equal times, in whatever batch an order puts the item.
"""

from bisect import bisect_right
from itertools import pairwise
from math import exp, log
from statistics import NormalDist
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from workers.simulation.fields import Instant, Listed, Ms, Part

_NORMAL = NormalDist()
Sigma = Annotated[float, Field(ge=0, le=5)]
Factor = Annotated[float, Field(gt=0, le=1_000)]


class _Alone(Part):
    """Kinds in which a batch takes as long as its items one after another."""

    @property
    def fixed_ms(self) -> float:
        """Return what a batch costs beside its items, ms."""
        return 0.0


class Constant(_Alone):
    """Always `ms`."""

    kind: Literal["constant"]
    ms: Ms

    def item(self, _: float) -> float:
        """Return the time (ms) of an item."""
        return self.ms

    @property
    def mean_ms(self) -> float:
        """Return the mean time of an item."""
        return self.ms


class Uniform(_Alone):
    """Anything from `low_ms` to `high_ms`."""

    kind: Literal["uniform"]
    low_ms: Ms
    high_ms: Ms

    @model_validator(mode="after")
    def _in_order(self) -> "Uniform":
        if self.high_ms < self.low_ms:
            raise ValueError("high_ms is at least low_ms")
        return self

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        return self.low_ms + (self.high_ms - self.low_ms) * number

    @property
    def mean_ms(self) -> float:
        """Return the mean time of an item."""
        return (self.low_ms + self.high_ms) / 2


class Normal(_Alone):
    """Normal around `mean_ms` with `deviation_ms`; never less than `least_ms`."""

    kind: Literal["normal"]
    mean_ms: Ms
    deviation_ms: Instant
    least_ms: Ms = 0.01

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        return max(self.least_ms, self.mean_ms + self.deviation_ms * _NORMAL.inv_cdf(number))


class Lognormal(_Alone):
    """Half take less than `median_ms`; the logarithm has deviation `sigma`."""

    kind: Literal["lognormal"]
    median_ms: Ms
    sigma: Sigma

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        return self.median_ms * exp(self.sigma * _NORMAL.inv_cdf(number))

    @property
    def mean_ms(self) -> float:
        """Return the mean time of an item."""
        return self.median_ms * exp(self.sigma**2 / 2)


class Exponential(_Alone):
    """Exponential with mean `mean_ms`, and `least_ms` at least."""

    kind: Literal["exponential"]
    mean_ms: Ms
    least_ms: Ms = 0.01

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        return max(self.least_ms, -log(number) * self.mean_ms)


class Samples(_Alone):
    """One of `values_ms`, each as likely: a recording."""

    kind: Literal["samples"]
    values_ms: Annotated[Listed[Ms], Field(min_length=1)]

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        return self.values_ms[int(number * len(self.values_ms))]

    @property
    def mean_ms(self) -> float:
        """Return the mean time of an item."""
        return sum(self.values_ms) / len(self.values_ms)


class Batch(Part):
    """`fixed_ms` for a batch and `per_item_ms` for each item, lognormal with deviation `sigma`."""

    kind: Literal["batch"]
    fixed_ms: Instant
    per_item_ms: Ms
    sigma: Sigma = 0.0

    def item(self, number: float) -> float:
        """Return the time (ms) of the item with this number."""
        if not self.sigma:
            return self.per_item_ms
        return self.per_item_ms * exp(self.sigma * _NORMAL.inv_cdf(number))

    @property
    def mean_ms(self) -> float:
        """Return the mean time of an item."""
        return self.per_item_ms * exp(self.sigma**2 / 2)


ServiceTime = Annotated[
    Constant | Uniform | Normal | Lognormal | Exponential | Samples | Batch,
    Field(discriminator="kind"),
]


class HeatPoint(Part):
    """From this instant everything takes `factor` times as long."""

    at_ms: Instant
    factor: Factor


class Heat(Part):
    """A device that slows down: factors at instants, in steps or along straight lines.

    Before the first point its factor holds, after the last point that one's. An execution takes
    the factor of the instant at which it begins.
    """

    shape: Literal["steps", "linear"] = "linear"
    points: Annotated[Listed[HeatPoint], Field(min_length=1)]

    @field_validator("points")
    @classmethod
    def _ascending(cls, points: tuple[HeatPoint, ...]) -> tuple[HeatPoint, ...]:
        if any(b.at_ms <= a.at_ms for a, b in pairwise(points)):
            raise ValueError("at_ms ascends from point to point")
        return points

    def factor(self, at: float) -> float:
        """Return how many times as long everything takes at an instant."""
        place = bisect_right(self.points, at, key=lambda point: point.at_ms)
        if place == 0:
            return self.points[0].factor
        before = self.points[place - 1]
        if place == len(self.points) or self.shape == "steps":
            return before.factor
        after = self.points[place]
        share = (at - before.at_ms) / (after.at_ms - before.at_ms)
        return before.factor + (after.factor - before.factor) * share

    def least(self, begin: float, end: float) -> float:
        """Return the smallest factor from one instant to another."""
        inner = (point.factor for point in self.points if begin <= point.at_ms <= end)
        return min(self.factor(begin), self.factor(end), *inner)

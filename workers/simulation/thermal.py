"""A device that heats up by what it does, and slows down when it is hot. Pure."""

from math import exp
from typing import Annotated

from pydantic import Field, model_validator

from workers.simulation.fields import Instant, Ms, Part
from workers.simulation.service_times import Factor

Celsius = Annotated[float, Field(ge=-100, le=500)]


class Thermal(Part):
    """One body of heat: at full load it tends to `ambient_c` + `rise_c`, by exp(-time / tau_ms).

    From `throttles_c` on everything takes longer, along a straight line up to `slowest` times as
    long at `slowest_c`. The worker is told its temperature every `told_ms`, and may take on less.
    """

    ambient_c: Celsius = 40.0
    rise_c: Annotated[float, Field(gt=0, le=500)] = 60.0
    tau_ms: Ms = 2_000.0
    throttles_c: Celsius = 80.0
    slowest_c: Celsius = 100.0
    slowest: Factor = 3.0
    told_ms: Annotated[Instant, Field(description="0: it is never told")] = 500.0

    @model_validator(mode="after")
    def _in_order(self) -> "Thermal":
        if self.slowest_c <= self.throttles_c:
            raise ValueError("slowest_c is more than throttles_c")
        if self.slowest < 1.0:
            raise ValueError("slowest is at least 1")
        return self

    def factor(self, at_c: float) -> float:
        """Return how many times as long everything takes at a temperature."""
        share = (at_c - self.throttles_c) / (self.slowest_c - self.throttles_c)
        return 1.0 + (self.slowest - 1.0) * min(1.0, max(0.0, share))


class Body:
    """The temperature (degrees Celsius) of a device; nothing is done until it is told otherwise."""

    def __init__(self, thermal: Thermal) -> None:
        self.thermal = thermal
        self.at_c = thermal.ambient_c
        self._now = 0.0

    def after(self, now: float, *, busy: bool) -> None:
        """Go on to an instant, the accelerator busy or idle until then."""
        goal = self.thermal.ambient_c + (self.thermal.rise_c if busy else 0.0)
        self.at_c = goal + (self.at_c - goal) * exp((self._now - now) / self.thermal.tau_ms)
        self._now = now

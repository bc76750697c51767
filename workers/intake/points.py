"""What a foreign system measured, on its way to events: whom it is about, and its values. Pure."""

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from schemas.observing import MetricReport
from workers.intake.naming import Who, text
from workers.intake.translated import AHEAD, ahead

NOT_FINITE = "not finite"
UNITLESS = frozenset({".count", ".rate"})
"""What is counted has no unit, whatever the unit of that which is measured; a rate is per s."""


@dataclass(frozen=True, slots=True)
class Point:
    """Whom a measurement is about, its metric with labels and unit, and when (ms) it was made.

    `key` tells its series apart from all others at its source.
    """

    who: Who
    metric: str
    labels: str
    unit: str
    when: int
    key: Hashable
    request_id: str | None = None

    def of(self, *values: tuple[str, float]) -> "Points":
        """Return the point with its values, each under what is added to the metric's name."""
        return Points(self, values)


@dataclass(frozen=True, slots=True)
class Points:
    """A measurement with its values."""

    point: Point
    values: tuple[tuple[str, float], ...]

    def wrong(self, now_ms: int) -> str:
        """Return why readers would refuse it; empty when they would not."""
        if ahead(self.point.when, now_ms):
            return AHEAD
        for _, value in self.values:
            if not math.isfinite(value):
                return NOT_FINITE
        return ""

    def events(self) -> Iterator[MetricReport]:
        """Return an event for each value."""
        point, who = self.point, self.point.who
        request = None if point.request_id is None else text(point.request_id)
        for added, value in self.values:
            yield MetricReport(
                event_time=point.when,
                app=who.app,
                stage=who.stage,
                service=who.service,
                instance=who.instance,
                node=who.node,
                metric=f"{point.metric}{added}{point.labels}",
                value=value,
                unit="" if added in UNITLESS else point.unit,
                request_id=request,
            )

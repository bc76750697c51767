"""What was observed of a service lately: windows of one metric, and what they add up to.

A profile holds the newest windows of a series, never two that overlap, so that no event counts
twice. After a change of concept only windows that began afterwards tell anything.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from processors.unrepeated import rank
from schemas.observing import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One window of one source (an instance, or empty for the service as a whole).

    `start` and `end` in ms since the epoch; `mean`, `high` (95th percentile), `median` and `top`
    (99th) in the metric's unit. `node` is where the source runs, if known.
    """

    source: str
    start: int
    end: int
    revision: int
    count: int
    mean: float
    high: float
    node: str = ""
    median: float = 0.0
    top: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The newest windows of a metric, oldest first, and the id of the newest observation.

    All are of one window definition, `window`, `size` ms long where it is a tumbling one.
    """

    spans: tuple[Span, ...] = ()
    latest: str = ""
    window: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSeries:
    """What was observed of one service where a class was true, as shares."""

    label: str
    accuracy: Series = field(default_factory=Series)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSeries:
    """What was observed of one service where requests named a condition, as shares."""

    condition: str
    accuracy: Series = field(default_factory=Series)
    agreement: Series = field(default_factory=Series)

    @property
    def newest(self) -> int:
        """Return the end (ms) of the newest window."""
        return max(newest_end(self.accuracy), newest_end(self.agreement))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was observed of one service.

    `accuracy` (by the truth), `agreement` (with the answers) and `confidence` are shares, `latency`
    is in ms, `energy` in J and `cost` in the unit of declared costs, each for a request.
    """

    service: str
    accuracy: Series = field(default_factory=Series)
    latency: Series = field(default_factory=Series)
    agreement: Series = field(default_factory=Series)
    confidence: Series = field(default_factory=Series)
    energy: Series = field(default_factory=Series)
    cost: Series = field(default_factory=Series)
    classes: tuple[ClassSeries, ...] = ()
    conditions: tuple[ConditionSeries, ...] = ()

    def of_class(self, label: str) -> Series:
        """Return what was observed where a class was true."""
        for one in self.classes:
            if one.label == label:
                return one.accuracy
        return Series()

    def under(self, condition: str) -> ConditionSeries:
        """Return what was observed where requests named a condition."""
        for one in self.conditions:
            if one.condition == condition:
                return one
        return ConditionSeries(condition=condition)


@dataclass(frozen=True, slots=True)
class Summary:
    """What windows add up to; `error` is the standard error of a share with this mean.

    `unsure` is the standard error of `high`, by how much it differs from window to window.
    """

    count: int
    mean: float
    high: float
    median: float = 0.0
    top: float = 0.0
    unsure: float = 0.0

    @property
    def error(self) -> float:
        """Return sqrt(p (1 - p) / n), infinite without events."""
        if not self.count:
            return math.inf
        return math.sqrt(max(0.0, self.mean * (1.0 - self.mean)) / self.count)


NOTHING = Summary(0, 0.0, 0.0)


def add(series: Series, seen: Observation, keep: int) -> Series:
    """Return the series with an observation; at most `keep` windows stay, the newest.

    Where several windows are defined, the shortest tumbling one counts: the others tell the same
    again. Only final observations count, and a later revision replaces its window. A window that
    overlaps another one of the same source is left out: hopping ones would count events twice.
    """
    if not seen.final:
        return series
    size = rank(seen)
    if not series.window or size < series.size:
        series = Series(window=seen.window, size=size)
    elif seen.window != series.window:
        return series
    span = Span(
        source=seen.instance,
        start=seen.window_start,
        end=seen.window_end,
        revision=seen.revision,
        count=seen.count,
        mean=seen.mean,
        high=seen.p95,
        node=seen.node,
        median=seen.p50,
        top=seen.p99,
    )
    rest = []
    for other in series.spans:
        if other.source == span.source and other.start < span.end and span.start < other.end:
            same = (other.start, other.end) == (span.start, span.end)
            if not same or other.revision >= span.revision:
                return series
        else:
            rest.append(other)
    rest.append(span)
    rest.sort(key=lambda s: (s.start, s.source))
    return replace(series, spans=tuple(rest[-keep:]), latest=seen.event_id)


def after(series: Series, since: int) -> Series:
    """Return the series without the windows that began before `since`, ms."""
    spans = tuple(span for span in series.spans if span.start >= since)
    return series if len(spans) == len(series.spans) else replace(series, spans=spans)


def summary(series: Series, since: int = 0) -> Summary:
    """Return count, mean and mean 95th percentile, weighted by count, of windows since then."""
    spans = [span for span in series.spans if span.start >= since and span.count > 0]
    count = sum(span.count for span in spans)
    if not count:
        return NOTHING
    mean = sum(span.count * span.mean for span in spans) / count
    high = sum(span.count * span.high for span in spans) / count
    median = sum(span.count * span.median for span in spans) / count
    top = sum(span.count * span.top for span in spans) / count
    spread = sum(span.count * (span.high - high) ** 2 for span in spans) / count
    unsure = math.sqrt(spread / (len(spans) - 1)) if len(spans) > 1 else 0.0
    return Summary(count, mean, high, median, top, unsure)


def parted(series: Series, part: Callable[[Span], str], since: int = 0) -> dict[str, Summary]:
    """Return what windows since then add up to in each part that has a name, by name.

    A part is a node, an instance, a variant: whatever the source of a window belongs to.
    """
    parts: dict[str, list[Span]] = {}
    for span in series.spans:
        if span.start >= since and (name := part(span)):
            parts.setdefault(name, []).append(span)
    return {
        name: summary(replace(series, spans=tuple(parts[name])), since) for name in sorted(parts)
    }


def by_node(series: Series, since: int = 0) -> dict[str, Summary]:
    """Return what windows since then add up to on each node that is known."""
    return parted(series, lambda span: span.node, since)


def first_start(series: Series, since: int) -> int | None:
    """Return the start (ms) of the first window from `since` on, None when there is none."""
    return min((span.start for span in series.spans if span.start >= since), default=None)


def newest_end(series: Series) -> int:
    """Return the end (ms) of the newest window, 0 when there is none."""
    return max((span.end for span in series.spans), default=0)

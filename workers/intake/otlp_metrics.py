"""Metrics of OpenTelemetry to MetricReport events: protobuf in, events out. Pure.

Gauges and totals that may fall give their value. Totals that only rise give what was added since
the last one. Histograms give `<name>.count`, `.sum` and `.mean` of what was added, `.p50` and so
on as estimates, `.min` and `.max` where they are told for that time; summaries likewise, with the
quantiles that they have. What tells the points of one metric apart stands behind its name.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from workers.intake.deltas import Draft, Seen, TooMany
from workers.intake.histograms import Histogram, added, described
from workers.intake.naming import REQUEST, Who, canonical, digest, labelled, text
from workers.intake.otlp_values import Source, as_text, event_ms
from workers.intake.points import NOT_FINITE, Point, Points
from workers.intake.quantiles import suffix
from workers.intake.translated import AHEAD, NAMELESS, Terms, Translated, ahead

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
Items = tuple[tuple[str, str], ...]


def points_in(request: ExportMetricsServiceRequest) -> int:
    """Return how many data points a request has."""
    return sum(
        len(_data_points(metric))
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _data_points(metric: Metric) -> Any:
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def translate(
    request: ExportMetricsServiceRequest, terms: Terms, draft: Draft, now_ms: int
) -> Translated:
    """Return the events of a request.

    Raises Busy when one of its series is in another draft.
    """
    out = Translated()
    for resource in request.resource_metrics:
        source = Source(terms.names, resource.resource)
        for scope in resource.scope_metrics:
            maker = _Maker(source, scope.scope.name, terms, draft, now_ms, out)
            for metric in scope.metrics:
                maker.take(metric)
    return out


@dataclass(frozen=True, slots=True)
class _About:
    """What the attributes of a point say."""

    who: Who | None
    labels: str | None
    request_id: str | None
    digest: str


class _Maker:
    """Makes the events of one scope of one resource."""

    def __init__(
        self,
        source: Source,
        scope: str,
        terms: Terms,
        draft: Draft,
        now_ms: int,
        out: Translated,
    ) -> None:
        self._source = source
        self._scope = text(scope)
        self._terms = terms
        self._telling = terms.names.telling
        self._draft = draft
        self._now_ms = now_ms
        self._out = out
        self._known: dict[Items, _About] = {}

    def take(self, metric: Metric) -> None:
        """Make the events of all points of a metric."""
        make = {
            "gauge": self._value,
            "sum": self._sum,
            "histogram": self._histogram,
            "exponential_histogram": self._exponential,
            "summary": self._summary,
        }.get(metric.WhichOneof("data") or "")
        if make is None:
            self._out.passed["without data"] += 1
            return
        if not metric.name:
            self._out.refused["without a name"] += len(_data_points(metric))
            return
        called = (text(metric.name), text(metric.unit, 32))
        for point in _data_points(metric):
            if point.flags & NO_VALUE or _valueless(point):
                self._out.passed["without a value"] += 1
                continue
            named = self._named(called, point)
            if isinstance(named, str):
                self._out.refused[named] += 1
            else:
                self._add(make(metric, point, named))

    def _named(self, called: tuple[str, str], point: Any) -> Point | str:
        """Return whom a point is about and when, or why it cannot be taken."""
        items = tuple((a.key, as_text(a.value)) for a in point.attributes)
        about = self._known.get(items) or self._about(items)
        if about.who is None:
            return NAMELESS
        if about.labels is None:
            return "with labels that are too long"
        name, unit = called
        when = event_ms(point.time_unix_nano, self._now_ms)
        if ahead(when, self._now_ms):  # as a total it would outlive all that is right
            return AHEAD
        key = (self._source.identity, self._scope, name, about.digest)
        return Point(about.who, name, about.labels, unit, when, key, about.request_id)

    def _about(self, items: Items) -> "_About":
        """Return what attributes say, and remember it: many metrics have the same."""
        given = dict(items)
        found = _About(
            self._source.who_of(given),
            labelled(self._terms.names, given, self._telling),
            next((value for key, value in items if canonical(key) == REQUEST), None),
            digest(given.items()),
        )
        self._known[items] = found
        return found

    def _add(self, found: Points | str) -> None:
        if isinstance(found, str):
            kind = self._out.passed if found in PASSED else self._out.refused
            kind[found] += 1
            return
        wrong = found.wrong(self._now_ms)
        if wrong:
            self._out.refused[wrong] += 1
        else:
            self._out.events.extend(found.events())

    def _value(self, _: Metric, point: NumberDataPoint, named: Point) -> Points:
        return named.of(("", _number(point)))

    def _sum(self, metric: Metric, point: NumberDataPoint, named: Point) -> Points | str:
        total = metric.sum
        if total.aggregation_temporality != CUMULATIVE or not total.is_monotonic:
            return named.of(("", _number(point)))
        value = _number(point)
        if not math.isfinite(value):
            return NOT_FINITE
        seen = self._advance(named, point, value, lambda last: value < last)
        if isinstance(seen, str):
            return seen
        return named.of(("", value - (seen[0] or 0.0)))

    def _histogram(self, metric: Metric, point: HistogramDataPoint, named: Point) -> Points | str:
        now = Histogram.explicit(
            point.count, point.sum, tuple(point.explicit_bounds), tuple(point.bucket_counts)
        )
        cumulative = metric.histogram.aggregation_temporality == CUMULATIVE
        return self._distribution(point, named, now, cumulative=cumulative)

    def _exponential(
        self, metric: Metric, point: ExponentialHistogramDataPoint, named: Point
    ) -> Points | str:
        above = dict(_buckets(point.positive.offset, point.positive.bucket_counts))
        below = dict(_buckets(point.negative.offset, point.negative.bucket_counts))
        now = Histogram.exponential(
            point.count,
            point.sum,
            point.scale,
            (point.zero_count, point.zero_threshold),
            (above, below),
        )
        cumulative = metric.exponential_histogram.aggregation_temporality == CUMULATIVE
        return self._distribution(point, named, now, cumulative=cumulative)

    def _distribution(
        self,
        point: HistogramDataPoint | ExponentialHistogramDataPoint,
        named: Point,
        now: Histogram,
        *,
        cumulative: bool,
    ) -> Points | str:
        with_sum = point.HasField("sum")
        if not cumulative:
            low = point.min if point.HasField("min") else None
            high = point.max if point.HasField("max") else None
            extremes = [(".min", low), (".max", high)]
            told = described(now, self._terms.quantiles, (low, high), with_sum=with_sum)
            return named.of(*told, *((n, v) for n, v in extremes if v is not None))
        if not now.finite:
            return NOT_FINITE
        seen = self._advance(named, point, now, now.fell)
        if isinstance(seen, str):
            return seen
        return named.of(*described(added(now, seen[0]), self._terms.quantiles, with_sum=with_sum))

    def _summary(self, _: Metric, point: SummaryDataPoint, named: Point) -> Points | str:
        now = Histogram.explicit(point.count, point.sum, (), ())
        if not now.finite:
            return NOT_FINITE
        seen = self._advance(named, point, now, now.fell)
        if isinstance(seen, str):
            return seen
        values = point.quantile_values
        quantiles = [(suffix(q.quantile), q.value) for q in values if math.isfinite(q.value)]
        return named.of(*described(added(now, seen[0]), ()), *quantiles)

    def _advance(self, named: Point, point: Any, value: Any, fell: Any) -> tuple[Any] | str:
        """Return the last total (None for the start), or why there is nothing to report."""
        time_ns = point.time_unix_nano or self._now_ms * 1_000_000
        try:
            step = self._draft.advance(named.key, point.start_time_unix_nano, time_ns, value, fell)
        except TooMany:
            return "of more series than are remembered"
        if step.seen is Seen.FIRST:
            return FIRST
        if step.seen is Seen.STALE:
            return "not after an earlier one of their series"
        return (step.last,)


FIRST = "first of their series"
PASSED = frozenset({FIRST})


def _valueless(point: Any) -> bool:
    return isinstance(point, NumberDataPoint) and point.WhichOneof("value") is None


def _number(point: NumberDataPoint) -> float:
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


def _buckets(offset: int, counts: Any) -> Iterator[tuple[int, float]]:
    return ((offset + i, float(count)) for i, count in enumerate(counts) if count)

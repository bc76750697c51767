"""What a Prometheus endpoint exposes to MetricReport events: text in, events out. Pure.

Text format 0.0.4 and OpenMetrics 1.0, by prometheus_client's own parsers. Gauges and untyped
series give their value. Counters give what was added since the last scrape, and `<name>.rate`, that
per second. Histograms and summaries give `.count`, `.sum` and `.mean` of what was added, and
quantiles: estimated from buckets (`.p50`…), or as the endpoint has them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from workers.intake.deltas import Draft, Seen, Step, TooMany
from workers.intake.histograms import Histogram, added, described
from workers.intake.naming import canonical, digest, labelled, text, who
from workers.intake.points import NOT_FINITE, Point, Points
from workers.intake.quantiles import suffix
from workers.intake.translated import AHEAD, MAX_S, NAMELESS, NS_PER_MS, Terms, Translated, ahead

_TYPED = frozenset({"counter", "histogram", "summary"})
_VALUES = frozenset({"gauge", "unknown", "untyped"})
_CREATED = "_created"
_UNPARSABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What prometheus_client's parsers raise on texts that are no exposition."""
Labels = tuple[tuple[str, str], ...]


class Unreadable(Exception):
    """What an endpoint sent is no exposition; the message says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an exposition comes from: what tells its series apart, and labels of all of them."""

    url: str
    labels: Mapping[str, str]


def families(exposition: str, content_type: str) -> list[Metric]:
    """Return the families of an exposition. Raises Unreadable."""
    parse = text_string_to_metric_families
    if content_type.startswith("application/openmetrics-text"):
        parse = openmetrics.text_string_to_metric_families
    try:
        return list(parse(exposition))
    except _UNPARSABLE as error:
        raise Unreadable(f"no exposition of Prometheus: {error}") from error


def translate(
    found: Iterable[Metric], origin: Origin, terms: Terms, draft: Draft, now_ms: int
) -> Translated:
    """Return the events of the families of one scrape. Raises Busy."""
    maker = _Maker(origin, terms, draft, now_ms)
    known = list(found)
    maker.note_starts(known)
    for family in known:
        maker.take(family)
    return maker.out


def samples_in(found: Iterable[Metric]) -> int:
    """Return how many samples families have."""
    return sum(len(family.samples) for family in found)


def own(origin: Origin, terms: Terms, now_ms: int, values: Mapping[str, float]) -> Translated:
    """Return events that say how the scrape itself went."""
    maker = _Maker(origin, terms, None, now_ms)
    for name, value in values.items():
        maker.add(maker.point(name, {}, None, ""), ("", value))
    return maker.out


@dataclass(slots=True)
class _Group:
    """The samples of one histogram or summary."""

    labels: dict[str, str]
    timestamp: Any = None
    count: float | None = None
    total: float | None = None
    parts: dict[float, float] = field(default_factory=dict)


class _Maker:
    """Makes the events of one scrape; without a draft, of values alone."""

    def __init__(self, origin: Origin, terms: Terms, draft: Draft | None, now_ms: int) -> None:
        self._origin = origin
        self._terms = terms
        self._telling = terms.names.telling
        self._base = {canonical(name): value for name, value in origin.labels.items()}
        self._draft = draft
        self._now_ms = now_ms
        self._starts: dict[tuple[str, Labels], int] = {}
        self._typed: set[str] = set()
        self.out = Translated()

    def note_starts(self, found: Iterable[Metric]) -> None:
        """Note since when each counter, histogram and summary counts, where it is told."""
        for family in found:
            if family.type in _TYPED:
                self._typed.add(family.name)
            for sample in family.samples:
                if sample.name.endswith(_CREATED) and 0 <= sample.value < MAX_S:
                    name = sample.name.removesuffix(_CREATED)
                    self._starts[name, _key(sample.labels)] = round(sample.value * 1e9)

    def take(self, family: Metric) -> None:
        """Make the events of a family."""
        if family.type in _VALUES:
            for sample in family.samples:
                self._value(family, sample)
        elif family.type == "counter":
            for sample in family.samples:
                if not sample.name.endswith(_CREATED):
                    self._counter(family, sample)
        elif family.type in _TYPED:
            for group in self._groups(family):
                self._distribution(family, group)
        else:
            self.out.passed[f"of type {family.type}"] += len(family.samples)

    def _value(self, family: Metric, sample: Sample) -> None:
        if sample.name.removesuffix(_CREATED) in self._typed:
            return
        point = self.point(sample.name, sample.labels, sample.timestamp, family.unit)
        self.add(point, ("", sample.value))

    def _counter(self, family: Metric, sample: Sample) -> None:
        point = self.point(sample.name, sample.labels, sample.timestamp, family.unit)
        start = self._starts.get((family.name, _key(sample.labels)), 0)
        value = sample.value
        if not math.isfinite(value):
            self.out.refused[NOT_FINITE] += 1
            return
        step = self._advance(point, start, value, lambda last: value < last)
        if step is None:
            return
        more = value - (step.last or 0.0)
        rate = [(".rate", more * 1000 / step.elapsed_ms)] if step.elapsed_ms else []
        self.add(point, ("", more), *rate)

    def _groups(self, family: Metric) -> Iterator[_Group]:
        edge = "le" if family.type == "histogram" else "quantile"
        groups: dict[Labels, _Group] = {}
        for sample in family.samples:
            if sample.native_histogram is not None:  # it has neither labels nor a value
                self.out.passed["of a native histogram"] += 1
                continue
            labels = {name: value for name, value in sample.labels.items() if name != edge}
            group = groups.setdefault(_key(labels), _Group(labels))
            group.timestamp = sample.timestamp
            if edge in sample.labels:
                self._part(group, sample.labels[edge], sample.value)
            elif sample.name == f"{family.name}_count":
                group.count = sample.value
            elif sample.name == f"{family.name}_sum":
                group.total = sample.value
        yield from groups.values()

    def _part(self, group: _Group, edge: str, value: float) -> None:
        try:
            group.parts[float(edge)] = value
        except ValueError:
            self.out.refused["with a bound that is no number"] += 1

    def _distribution(self, family: Metric, group: _Group) -> None:
        point = self.point(family.name, group.labels, group.timestamp, family.unit)
        buckets = group.parts if family.type == "histogram" else {}
        now = _histogram(group, buckets)
        if not now.finite:
            self.out.refused[NOT_FINITE] += 1
            return
        start = self._starts.get((family.name, _key(group.labels)), 0)
        step = self._advance(point, start, now, now.fell)
        if step is None:
            return
        quantiles = self._terms.quantiles if buckets else ()
        told = described(added(now, step.last), quantiles, with_sum=group.total is not None)
        given = {} if buckets else group.parts
        self.add(point, *told, *((suffix(q), v) for q, v in given.items() if math.isfinite(v)))

    def point(self, name: str, labels: Mapping[str, str], timestamp: Any, unit: str) -> Point | str:
        """Return whom a sample is about and when, or why it cannot be taken."""
        telling = {
            canonical(key): value
            for key, value in labels.items()
            if canonical(key) in self._telling
        }
        about = who(self._terms.names, self._base | telling)
        further = labelled(self._terms.names, labels, self._telling)
        when_s = self._now_ms / 1000 if timestamp is None else float(timestamp)
        if about is None:
            return NAMELESS
        if further is None:
            return "with labels that are too long"
        if not 0 <= when_s < MAX_S:
            return "with a time that is none"
        when = round(when_s * 1000)
        if ahead(when, self._now_ms):  # as a total it would outlive all that is right
            return AHEAD
        key = (self._origin.url, text(name), digest(labels.items()))
        return Point(about, text(name), further, text(unit, 32), when, key)

    def _advance(self, point: Point | str, start: int, value: Any, fell: Any) -> Step[Any] | None:
        if isinstance(point, str) or self._draft is None:
            self.out.refused[str(point)] += 1
            return None
        try:
            step = self._draft.advance(point.key, start, point.when * NS_PER_MS, value, fell)
        except TooMany:
            self.out.refused["of more series than are remembered"] += 1
            return None
        if step.seen in (Seen.FIRST, Seen.STALE):
            same = "first of their series" if step.seen is Seen.FIRST else "unchanged"
            self.out.passed[same] += 1
            return None
        return step

    def add(self, point: Point | str, *values: tuple[str, float]) -> None:
        """Take the values of a point as events, or note why not."""
        found = point if isinstance(point, str) else Points(point, values)
        wrong = found if isinstance(found, str) else found.wrong(self._now_ms)
        if wrong:
            self.out.refused[wrong] += 1
        elif not isinstance(found, str):
            self.out.events.extend(found.events())


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _histogram(group: _Group, buckets: Mapping[float, float]) -> Histogram:
    """Return the histogram of a group; Prometheus counts all values up to each bound."""
    edges = sorted(buckets)
    upto = [buckets[edge] for edge in edges]
    counts = tuple(b - a for a, b in zip([0.0, *upto], upto, strict=False))
    count = group.count if group.count is not None else (upto[-1] if upto else 0.0)
    bounds = tuple(edge for edge in edges if math.isfinite(edge))
    return Histogram.explicit(count, group.total or 0.0, bounds, counts)

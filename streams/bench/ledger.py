"""What was sent, and what SQL shows of it: the difference is what was lost or counted twice. Pure.

Every message has an id of its own. A metric must stand in its table once and be counted once: in
the observation of its window, or as late. A request must have one answer, from which one latency
is derived. What cannot be used must be one dead letter.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Place = tuple[str, int, int]
"""Topic, partition and offset."""
Window = tuple[str, int]
"""A series and the start of a window, ms since the epoch."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that was sent: its series and its event time, ms since the epoch."""

    series: str
    event_time: int


@dataclass(slots=True)
class Ledger:
    """What was sent, and what of it the broker acknowledged.

    `refused` has what must become a dead letter. What was sent and not acknowledged may have
    arrived or not, but not twice. Unless `exact`, what was made of an aborted transaction may be
    seen: derived metrics, which have no ids of their own, may then stand there twice.
    """

    size_ms: int
    exact: bool = True
    metrics: dict[str, Metric] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    acknowledged: dict[str, Place] = field(default_factory=dict)

    def window_of(self, metric: Metric) -> Window:
        """Return the tumbling window that counts a metric when it is not late."""
        return metric.series, metric.event_time // self.size_ms * self.size_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What SQL shows.

    `metrics`, `responses` and `latencies` count rows per id; `windows` has the events that
    observations count, `late` per series those that came too late for theirs; `letters` counts
    dead letters per place, `repeated` messages that stand in Kafka more than once, per event id.
    """

    metrics: Mapping[str, int]
    responses: Mapping[str, int]
    latencies: Mapping[str, int]
    windows: Mapping[Window, int]
    late: Mapping[str, int]
    letters: Mapping[Place, int]
    repeated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """So many of something are too few or too many."""

    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found: events acknowledged, and what of them is missing or doubled."""

    events: int
    missing: tuple[Difference, ...]
    surplus: tuple[Difference, ...]

    @property
    def lost(self) -> int:
        """How many are missing."""
        return sum(difference.count for difference in self.missing)

    @property
    def doubled(self) -> int:
        """How many there are too many."""
        return sum(difference.count for difference in self.surplus)

    def __str__(self) -> str:
        told = f"{self.events} events, {self.lost} lost, {self.doubled} doubled"
        named = [("lost", self.missing), ("doubled", self.surplus)]
        parts = [f"{kind} {d.what} ({d.count})" for kind, found in named for d in found[:5]]
        return "; ".join([told, *parts])


def audit(ledger: Ledger, found: Found) -> Verdict:
    """Hold what SQL shows against what was acknowledged."""
    signed = [
        *_once("metric", ledger.metrics, found.metrics, ledger.acknowledged),
        *_once("answer to", ledger.requests, found.responses, ledger.acknowledged),
        *_derived(ledger, found),
        *_counted(ledger, found),
        *_letters(ledger, found),
        *((f"message {name} in Kafka", times - 1) for name, times in found.repeated.items()),
    ]
    return Verdict(
        events=len(ledger.acknowledged),
        missing=tuple(Difference(what, -surplus) for what, surplus in signed if surplus < 0),
        surplus=tuple(Difference(what, surplus) for what, surplus in signed if surplus > 0),
    )


def _once(
    kind: str, sent: Iterable[str], rows: Mapping[str, int], acknowledged: Container[str]
) -> Iterator[tuple[str, int]]:
    for name in sent:
        least = 1 if name in acknowledged else 0
        there = rows.get(name, 0)
        if there > 1:
            yield f"{kind} {name}", there - 1
        elif there < least:
            yield f"{kind} {name}", -1


def _derived(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    for name in found.responses:
        surplus = found.latencies.get(name, 0) - 1
        yield f"latency of {name}", surplus if ledger.exact else min(surplus, 0)


def _counted(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    """Yield what windows count too often, and per series what neither they nor `late` count.

    What was sent and is missing in SQL may be counted: it is told as missing already.
    """
    sent = Counter(ledger.window_of(metric) for metric in ledger.metrics.values())
    stored = Counter(
        ledger.window_of(metric)
        for name, metric in ledger.metrics.items()
        if found.metrics.get(name, 0)
    )
    uncounted: Counter[str] = Counter()
    for window in sent.keys() | found.windows.keys():
        counted = found.windows.get(window, 0)
        if counted > sent[window]:
            yield f"events of {window[0]} in the window of {window[1]}", counted - sent[window]
        uncounted[window[0]] += max(0, stored[window] - counted)
    for series in uncounted.keys() | found.late.keys():
        yield f"late events of {series}", found.late.get(series, 0) - uncounted[series]


def _letters(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    for name in ledger.refused:
        place = ledger.acknowledged.get(name)
        if place is not None:
            yield f"dead letter of {name}", found.letters.get(place, 0) - 1

"""What was sent, and what SQL shows of it: the difference is what was lost or counted twice. Pure.

Every message has an id of its own. A metric must stand in its table once and be counted once: in
the observation of its window, or as late. A request must have one answer, from which one latency
is derived. What cannot be used must be one dead letter. A call over HTTP must be answered, by the
response that SQL shows. Whoever shall be told or asked outside must be, and that have one outcome,
after which it is not done again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from streams.bench.ledger_turns import broken_turns

Place = tuple[str, int, int]
"""Topic, partition and offset."""
ELSEWHERE: Place = ("", -1, -1)
"""Of what was acknowledged by somebody else than the broker."""
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

    `calls` (by request id) and `reports`, both over HTTP, and the errands `notices` and `diagnoses`
    have the instants (ms) at which they began. `tries` counts how often each call or report was
    sent, `told` has the instants at which calls were answered as their answers say, `heard` those
    at which somebody outside was asked for an errand. `kills` are those of the agent; `unknown` has
    the instants at which its node was; `began` and `ended` bound the page.
    """

    size_ms: int
    exact: bool = True
    metrics: dict[str, Metric] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    acknowledged: dict[str, Place] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    told: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    diagnoses: dict[str, int] = field(default_factory=dict)
    heard: Mapping[str, Sequence[int]] = field(default_factory=dict)
    kills: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    began: int = 0
    ended: int = 0

    def answered_all(self) -> bool:
        """Tell whether every call and report over HTTP has its answer."""
        return all(name in self.acknowledged for name in [*self.calls, *self.reports])

    def most(self, name: str) -> int:
        """Return how often a metric may stand: once, or as often as its report was sent."""
        return self.tries[name] if name in self.reports else 1

    def window_of(self, metric: Metric) -> Window:
        """Return the tumbling window that counts a metric when it is not late."""
        return metric.series, metric.event_time // self.size_ms * self.size_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What SQL shows.

    `metrics`, `responses` and `latencies` count rows per id; `windows` has the events that
    observations count, `late` per series those that came too late for theirs; `letters` counts
    dead letters per place, `repeated` messages that stand in Kafka more than once, per event id.
    Instants in ms: `answered` has those at which requests were answered, `outcomes` those of what
    became of each errand, `readings` those of the agent's metrics, `ready` the heartbeats of its
    node.
    """

    metrics: Mapping[str, int]
    responses: Mapping[str, int]
    latencies: Mapping[str, int]
    windows: Mapping[Window, int]
    late: Mapping[str, int]
    letters: Mapping[Place, int]
    repeated: Mapping[str, int] = field(default_factory=dict)
    answered: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    readings: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ready: Sequence[int] = ()


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
        *_once("metric", ledger, ledger.metrics, found.metrics),
        *_once("answer to", ledger, ledger.requests, found.responses),
        *_derived(ledger, found),
        *_counted(ledger, found),
        *_letters(ledger, found),
        *_over_http(ledger, found),
        *_errands(ledger, found),
        *_agent(ledger, found),
        *((f"message {name} in Kafka", times - 1) for name, times in found.repeated.items()),
    ]
    return Verdict(
        events=len(ledger.acknowledged),
        missing=tuple(Difference(what, -surplus) for what, surplus in signed if surplus < 0),
        surplus=tuple(Difference(what, surplus) for what, surplus in signed if surplus > 0),
    )


def _once(
    kind: str, ledger: Ledger, sent: Iterable[str], rows: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    for name in sent:
        least = 1 if name in ledger.acknowledged else 0
        there, most = rows.get(name, 0), ledger.most(name)
        if there > most:
            yield f"{kind} {name}", there - most
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
    sent: Counter[Window] = Counter()
    stored: Counter[Window] = Counter()
    for name, metric in ledger.metrics.items():
        window, most = ledger.window_of(metric), ledger.most(name)
        sent[window] += most
        stored[window] += min(most, found.metrics.get(name, 0))
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


def _over_http(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    for name in [*ledger.calls, *ledger.reports]:
        if name not in ledger.acknowledged:
            yield f"answer over HTTP to {name}", -1
    for name, at in ledger.told.items():
        if found.answered.get(name, at) != at:
            yield f"answer over HTTP to {name}, other than in SQL", 1


def _errands(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    """Yield errands that nobody was asked for, and those that were done again after their end.

    Whoever is killed after it has asked, and before it could say so, asks again.
    """
    for name in [*ledger.notices, *ledger.diagnoses]:
        heard, outcomes = ledger.heard.get(name, ()), found.outcomes.get(name, ())
        if name in ledger.acknowledged:
            yield f"word outside of {name}", min(0, len(heard) - 1)
            yield f"outcome of {name}", min(0, len(outcomes) - 1)
        yield f"outcome of {name}", max(0, len(outcomes) - 1)
        if outcomes:
            late = sum(1 for at in heard if at > min(outcomes))
            yield f"word outside of {name} after its outcome", late


def _agent(ledger: Ledger, found: Found) -> Iterator[tuple[str, int]]:
    """Yield what an agent that was killed has not told, and whether its node came back."""
    if not ledger.kills:
        return
    yield from broken_turns(found.readings, ledger.kills, ledger.began, ledger.ended)
    for instant in ledger.unknown:
        if not any(at > instant for at in found.ready):
            yield f"node that is ready again after {instant}", -1

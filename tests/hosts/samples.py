"""A small processor whose outputs betray every loss and every repeat, and events to feed it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from schemas.base import Event
from schemas.codec import pack_state, unpack_state
from schemas.identity import stable_id
from schemas.observing import MetricReport, Observation, QualityEvaluated
from schemas.processing import Batch, Output, Spec
from schemas.quality import RuleDefined
from tests.examples import example

EPOCH = 1_790_000_000_000
"""When the events of these tests happen, ms since the epoch."""
WAKE_MS = 50


@dataclass(frozen=True)
class TallyState:
    """How many observations came, per application, in the order of their first."""

    apps: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    due: int | None = None


class Tally:
    """Numbers the observations of each application, and says by timer how many there were."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._due: int | None = None

    def process(self, batch: Batch) -> Sequence[Output]:
        if not batch.records:
            return self._summary(batch.now_ms)
        outputs = []
        for record in batch.records:
            event = record.event
            assert isinstance(event, Observation)
            self._counts[event.app] = self._counts.get(event.app, 0) + 1
            known = len(batch.catalogue.of(RuleDefined))
            outputs.append(verdict(event.app, "number", self._counts[event.app], known))
            self._due = batch.now_ms + WAKE_MS
        return outputs

    def _summary(self, now_ms: int) -> Sequence[Output]:
        if self._due is None or now_ms < self._due:
            return []
        self._due = None
        return [verdict(app, "total", count, 0) for app, count in self._counts.items()]

    def wake_at(self) -> int | None:
        return self._due

    def snapshot(self) -> bytes:
        state = TallyState(tuple(self._counts), tuple(self._counts.values()), self._due)
        return pack_state(state)

    def restore(self, data: bytes) -> None:
        state = unpack_state(data, TallyState)
        self._counts = dict(zip(state.apps, state.counts, strict=True))
        self._due = state.due


class Unreadable(Tally):
    """Takes snapshots that no tally can restore."""

    def snapshot(self) -> bytes:
        return b"\xff\xff"


def verdict(app: str, rule: str, number: int, known: int) -> QualityEvaluated:
    """Return an output that carries a number."""
    return replace(
        example(QualityEvaluated),
        event_id=stable_id("tally", app, rule, number),
        app=app,
        rule=rule,
        score=float(number),
        severity=str(known),
    )


def tally(build: Callable[[], Tally] = Tally, parameters: str = "1") -> Spec:
    """Return the specification of the tally."""
    return Spec(
        name="tally",
        inputs=("weir.observations",),
        outputs=(QualityEvaluated,),
        build=lambda _: build(),
        parameters=parameters,
        catalogue=(RuleDefined,),
    )


def crashing_after(records: int) -> Callable[[], Tally]:
    """Return a build whose instances fail, all together, once they have seen so many records."""
    seen = 0

    class Crashing(Tally):
        def process(self, batch: Batch) -> Sequence[Output]:
            nonlocal seen
            seen += len(batch.records)
            if seen >= records:
                raise ZeroDivisionError("a bug")
            return super().process(batch)

    return Crashing


def wordy(app: str, score: float) -> Callable[[], Tally]:
    """Return a build whose answer to one record of one application is larger than Kafka takes."""

    class Wordy(Tally):
        def process(self, batch: Batch) -> Sequence[Output]:
            return [self._said(output) for output in super().process(batch)]

        def _said(self, output: Output) -> Output:
            if isinstance(output, QualityEvaluated) and (output.app, output.score) == (app, score):
                return replace(output, severity="x" * 1_048_576)
            return output

    return Wordy


def observations(count: int, apps: int = 5, first: int = 0) -> list[Event]:
    """Return observations of several applications, in turn."""
    base = example(Observation)
    return [
        replace(base, event_id=str(n), app=f"app {n % apps}", emitted_at=EPOCH + n)
        for n in range(first, first + count)
    ]


def metrics(count: int, series: int = 6, step_ms: int = 10) -> list[Event]:
    """Return metrics of several series, their event times rising by `step_ms`."""
    return [
        MetricReport(
            event_time=EPOCH + n * step_ms, app=f"app {n % series}", metric="latency", value=n / 7
        )
        for n in range(count)
    ]

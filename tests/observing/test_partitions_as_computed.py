"""A host over several partitions: turns of any size, work that is lost, metrics that go on coming.

The host's own code runs, on the log in memory.
"""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.observing.observe import spec
from schemas.decisions import ActionTaken
from schemas.observing import MetricReport, Observation
from tests.observing.cases import CASES, Case
from tests.observing.drawing import FEW, timelines
from tests.observing.driving import PARAMS, START
from tests.observing.reference import Row, Window
from tests.observing.test_windows_as_computed import computed, said
from workers.local import LocalHost, LocalLog

KINDS = ("hopping", "session", "count", "last time")
TOPIC = "weir.metrics"
DEEDS = st.sampled_from(["produce", "turn", "turn", "turn that is lost", "crash"])


@pytest.fixture(params=KINDS, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


class World:
    """Metrics that are still to come, the log, and the host."""

    def __init__(self, case: Case, rows: Sequence[Row], batch: int) -> None:
        self.log = LocalLog(now_ms=START)
        self.log.produce(case.definition)
        self._coming = list(rows)
        self._spec = spec(PARAMS)
        self._host = LocalHost([self._spec], self.log, batch=batch)

    def produce(self, most: int = 9) -> None:
        for row in self._coming[:most]:
            self.log.produce(metric(row), timestamp=START + row.at)
        self._coming = self._coming[most:]

    def turn(self, *, commit: bool = True) -> None:
        self._host.turn(self._spec.name, commit=commit)

    def lose(self) -> None:
        self.turn(commit=False)
        self._host.crash()

    def finish(self) -> None:
        self.produce(len(self._coming))
        self._host.run_until_idle(START)

    def partitions(self) -> list[list[Row]]:
        """Return the rows of every partition, as they arrived there."""
        places = self.log.places([TOPIC])
        return [[self._row(message) for message in self.log.read(place, 0)] for place in places]

    def _row(self, message: object) -> Row:
        event = self.log.codec.decode(message.value(), MetricReport)  # type: ignore[attr-defined]
        at = event.event_time - START
        return Row(message.offset(), at, event.service, event.value)  # type: ignore[attr-defined]


def metric(row: Row) -> MetricReport:
    """Return a row as it is reported."""
    return MetricReport(
        event_time=START + row.at,
        app="shop",
        stage="s",
        service=row.service,
        metric="latency",
        value=row.value,
        unit="ms",
    )


@FEW
@given(rows=timelines(), batch=st.integers(1, 20), deeds=st.lists(DEEDS, max_size=25))
def test_partitions_are_observed_as_if_each_were_alone_and_nothing_were_lost(
    case: Case, rows: list[Row], batch: int, deeds: list[str]
) -> None:
    world = World(case, rows, batch)
    do: dict[str, Callable[[], None]] = {
        "produce": world.produce,
        "turn": world.turn,
        "turn that is lost": world.lose,
        "crash": world._host.crash,
    }
    for deed in deeds:
        do[deed]()
    world.finish()

    windows: list[Window] = []
    late = 0
    for part in filter(None, world.partitions()):
        found, missed = case.computed(part)
        windows += found
        late += len(missed)
    finals = [e for e in world.log.events("weir.observations") if isinstance(e, Observation)]
    told = [e for e in world.log.events("weir.actions") if isinstance(e, ActionTaken)]
    assert said(finals) == computed(windows)
    assert sum(one.late_count for one in finals) + len(told) <= late

"""Rows of closed windows between observe and define: cut, told apart, waited for, forgotten."""

from dataclasses import replace

import numpy as np
import pytest

from processors.defining.windows import Window, WindowState, chunk_of, forgettable
from processors.expressions.typed import SERIES_COLUMNS
from processors.observing import exporting
from schemas.catalogue import Catalogue
from schemas.closed import ClosedSeries, ClosedWindow, WindowsClosed
from schemas.codec import pack
from schemas.decisions import ActionTaken
from schemas.observing import Observation
from schemas.processing import Output
from schemas.registrations import MetricDefined
from tests.contracts.scenarios.define import defined
from tests.examples import example
from tests.unit.processors.define_world import COUNTED, START, World, row, values


def test_windows_of_one_series_are_told_apart_though_their_times_are_the_same() -> None:
    world = World(COUNTED, defined("total", "sum(value)", window="counted"))
    rows = [row(10, "delay", float(value)) for value in range(10)]

    outputs = world.feed(0, [*rows, row(9_000, "delay", 1.0)], 9_000)

    found = [one for one in outputs if isinstance(one, Observation)]
    assert [(one.mean, one.count, one.revision) for one in found] == [(10.0, 5, 0), (35.0, 5, 0)]
    assert len({one.event_id for one in found}) == 2


def test_a_window_of_one_series_waits_for_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_ROWS", 3)
    world = World(COUNTED, defined("total", "sum(value)", window="counted"))
    rows = [row(at, "delay", 1.0) for at in range(5)]
    first, second = world.closed(0, [*rows, row(9_000, "delay", 1.0)], 9_000)
    others = world.closed(1, [row(at, "queue", 1.0, app="gate") for at in (1, 9_000)], 9_000)
    assert others[-1].last

    assert values(world.tell([first, *others], 9_000)) == []
    assert values(world.tell([second], 9_001)) == [("total", 5.0, 5)]


def test_late_rows_make_one_revision_when_all_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_ROWS", 3)
    world = World(defined("total", "sum(value)"))
    late = world.closed(1, [row(at, "error", 1.0) for at in (1, 2, 3, 4, 1_100)], 1_200)
    world.feed(0, [row(1, "error", 1.0), row(1_100, "error", 1.0)], 1_100)
    first = world.tell([], 4_100)
    between = world.closed(0, [row(2_200, "error", 1.0)], 4_150)

    second = world.tell([late[0], *between], 4_200)
    third = world.tell(late[1:], 4_300)

    assert values([*first, *second, *third]) == [("total", 1.0, 1), ("total", 5.0, 5)]


def test_rows_are_cut_into_events_that_the_topic_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row(at, "delay", 1.0, service=f"{at % 7:0100}", request_id="ö" * 50) for at in range(40)
    ]
    last = row(9_000, "delay", 1.0)
    whole = World(defined("requests", "count() + distinct(request_id)"))
    (one,) = whole.closed(0, [*rows, last], 9_000)
    assert len(pack(one)) > 5_000

    monkeypatch.setattr(exporting, "MOST_BYTES", 1_000)
    world = World(defined("requests", "count() + distinct(request_id)"))
    events = world.closed(0, [*rows, last], 9_000)

    assert sum(event.rows for event in events) == 40
    assert [event.last for event in events] == [False] * (len(events) - 1) + [True]
    held = len(pack(replace(events[0], definitions=()))) - len(pack(events[0]))
    assert all(len(pack(event)) + held < 1_200 for event in events)
    wake = START + 9_000 + 3_000
    assert world.tell(events, 9_000) == whole.tell([one], 9_000) == []
    (a,), (b,) = world.tell([], wake - START), whole.tell([], wake - START)
    assert a == b
    assert values([a]) == [("requests", 41.0, 40)]


def test_what_came_before_a_definition_is_in_none_of_its_windows() -> None:
    world = World()
    world.feed(0, [row(1_000, "error", 1.0, request_id="x")], 1_000)
    world.feed(1, [row(1_000, "error", 1.0, service="b", request_id="y")], 1_000)
    requests = defined("requests", "distinct(request_id)")
    world.catalogue = Catalogue({MetricDefined: {"requests": requests}})

    outputs: list[Output] = []
    for partition, service in enumerate("ab"):
        rows = [row(at, "error", 7.0, service=service, request_id="z") for at in (2_000, 3_000)]
        outputs += world.feed(partition, rows, 3_000)

    assert values(outputs) == [("requests", 1.0, 2)]


def test_windows_whose_rows_are_gone_from_the_log_are_forgotten() -> None:
    world = World(defined("top", "max(value)"))
    world.feed(0, [row(1, "error", 1.0), row(1_100, "error", 1.0)], 1_100)
    assert world.define.wake_at() is not None
    late = world.closed(1, [row(1, "error", 9.0), row(1_100, "error", 1.0)], 1_200)

    world.define.restore(world.define.snapshot())
    told = world.tell([], 9_000) + world.tell(late, 9_001)

    assert world.define.wake_at() is None
    assert values(told) == []
    (action,) = told
    assert isinstance(action, ActionTaken)
    assert action.kind == "metrics.late"
    assert action.reason.startswith("1 rows of weir.metrics/1 came after window default")


def test_windows_of_one_event_count_their_own_rows_alone_against_the_bound() -> None:
    event = replace(example(WindowsClosed), rows=3, windows=(), series=(), request_ids=())
    event = replace(
        event,
        windows=tuple(ClosedWindow(name=name, start=0, end=9, series=-1) for name in "ab"),
        series=(ClosedSeries(**dict.fromkeys(SERIES_COLUMNS, "x")),),
        window_of=np.array([0, 1, 1], "<u4").tobytes(),
        series_of=bytes(12),
        event_times=bytes(24),
        values=bytes(24),
        offsets=bytes(24),
    )
    state = WindowState(name="w", start=0, end=9, closes=9, first_ms=0, revision=0)
    chunk = chunk_of(event, 0)
    first, second = (Window(state, [(chunk, number)]) for number in (0, 1))

    assert (first.rows(), second.rows()) == (1, 2)
    assert forgettable([first, second], 3) == []
    assert forgettable([first, second], 2) == [first]

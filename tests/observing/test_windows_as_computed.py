"""Observe says what anyone would compute who has all the data: whatever the batches, the order of
arrival and the restarts.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.observing import Observation
from schemas.registrations import WindowDefined
from tests.observing.cases import CASES, LATENESS, Case
from tests.observing.drawing import CUTS, FEW, arrivals, timelines
from tests.observing.driving import START, Cuts, Partition, world
from tests.observing.reference import Row, Window, on_grid, spans, statistics


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def observed(rows: Sequence[Row], cuts: Cuts, *definitions: WindowDefined) -> Partition:
    """Let observe have rows in batches, with restarts."""
    made = Partition()
    made.take(rows, cuts, world(*definitions))
    return made


Told = tuple[str, int, int, dict[str, float]]


def said(finals: Sequence[Observation]) -> list[Told]:
    """Return windows and statistics that were observed, in an order of their own."""
    names = statistics(Window("", 0, 1, (Row(0, 0, "", 0.0),)))
    found = [
        (one.service, one.window_start - START, one.window_end - START, *_ends(one), one)
        for one in finals
    ]
    assert len({one.event_id for one in finals}) == len(finals), "a window was told twice"
    return [
        (service, start, end, {name: getattr(one, name) for name in names})
        for service, start, end, _, _, one in sorted(found, key=lambda item: item[:5])
    ]


def _ends(one: Observation) -> tuple[int, int]:
    (source,) = one.sources
    return source.first, source.last


def computed(windows: Sequence[Window]) -> list[Told]:
    """Return the same of windows as they were computed."""
    found = [(w.service, w.start, w.end, *_offsets(w), w) for w in windows]
    return [
        (service, start, end, pytest.approx(statistics(w), rel=1e-9, abs=1e-9))
        for service, start, end, _, _, w in sorted(found, key=lambda item: item[:5])
    ]


def _offsets(window: Window) -> tuple[int, int]:
    offsets = [row.offset for row in window.rows]
    return min(offsets), max(offsets)


@FEW
@given(rows=timelines(), cuts=CUTS)
def test_observed_is_what_can_be_computed(case: Case, rows: list[Row], cuts: Cuts) -> None:
    windows, late = case.computed(rows)

    made = observed(rows, cuts, case.definition)

    assert said(made.finals()) == computed(windows)
    assert sum(one.late_count for one in made.finals()) + made.uncounted() == len(late)


@FEW
@given(orders=arrivals(LATENESS), cuts=CUTS)
def test_the_order_of_arrival_within_the_lateness_plays_no_part(
    case: Case, orders: tuple[list[Row], list[Row]], cuts: Cuts
) -> None:
    one, other = (observed(rows, cuts, case.definition) for rows in orders)

    assert [told[:3] for told in said(one.finals())] == [told[:3] for told in said(other.finals())]
    assert not case.computed(orders[0])[1]


@FEW
@given(rows=timelines(), cuts=CUTS)
def test_what_comes_late_is_counted_or_told_and_sent_on_if_one_wants(
    case: Case, rows: list[Row], cuts: Cuts
) -> None:
    _, late = case.computed(rows)

    made = observed(rows, cuts, replace(case.definition, late="send"))

    sent = [(one.event_time - START, one.service, one.value) for one in made.late()]
    assert Counter(sent) == Counter((row.at, row.service, row.value) for row in late)
    assert len({one.event_id for one in made.late()}) == len(sent)


@FEW
@given(rows=timelines(), cuts=CUTS)
def test_all_definitions_of_a_series_are_observed_side_by_side(rows: list[Row], cuts: Cuts) -> None:
    named = {name: replace(case.definition, name=name) for name, case in CASES.items()}

    made = observed(rows, cuts, *named.values())

    for name, case in CASES.items():
        windows, _ = case.computed(rows)
        assert said([one for one in made.finals() if one.window == name]) == computed(windows)
    every = sum(len(case.computed(rows)[1]) for case in CASES.values())
    assert sum(one.late_count for one in made.finals()) + made.uncounted() == every


@FEW
@given(rows=timelines(), cuts=CUTS)
def test_early_observations_never_contradict_the_final_ones(
    case: Case, rows: list[Row], cuts: Cuts
) -> None:
    if case.definition.kind == "trailing":
        pytest.skip("trailing windows have none")
    windows, late = case.computed(rows)

    made = observed(rows, cuts, replace(case.definition, early_ms=30))

    assert said(made.finals()) == computed(windows)
    assert sum(one.late_count for one in made.finals()) + made.uncounted() == len(late)
    told: dict[str, list[Observation]] = {}
    for one in made.said:
        if isinstance(one, Observation):
            told.setdefault(one.event_id, []).append(one)
    for revisions in told.values():
        numbers = [one.revision for one in revisions]
        assert numbers == sorted(set(numbers))
        assert not any(one.final for one in revisions[:-1])
        for before, after in itertools.pairwise(revisions):
            assert before.count <= after.count
            assert after.min <= before.min <= before.max <= after.max


@given(rows=timelines(), cuts=CUTS, share=st.integers(0, 100))
def test_a_definition_that_changes_holds_for_what_comes_then(
    rows: list[Row], cuts: Cuts, share: int
) -> None:
    change = max(1, len(rows) * share // 100)
    old, new = CASES["tumbling"].definition, CASES["hopping"].definition

    def cut(row: Row) -> Iterable[tuple[int, int]]:
        return (spans(100, 100) if row.offset < rows[0].offset + change else spans(150, 60, 10))(
            row
        )

    windows, late = on_grid(rows, cut, LATENESS)
    made = Partition()
    made.take(rows[:change], cuts, world(old))
    made.take(rows[change:], cuts, world(new))

    assert said(made.finals()) == computed(windows)
    assert sum(one.late_count for one in made.finals()) + made.uncounted() == len(late)

"""The structures below: boards, lines, and the tree of what is due."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.scheduling.scheduling_world import job
from workers.scheduling.boards import Board
from workers.scheduling.demand import LEAVES, Demand
from workers.scheduling.lines import Line
from workers.scheduling.waiting import Waiting

NAMES = st.sampled_from("abcdef")


@given(st.lists(st.tuples(NAMES, st.none() | st.integers(0, 9)), max_size=120))
def test_a_board_is_a_sorted_dictionary(steps: list[tuple[str, int | None]]) -> None:
    board: Board[tuple[int, str]] = Board()
    known: dict[str, tuple[int, str]] = {}
    for name, key in steps:
        if key is None:
            board.drop(name)
            known.pop(name, None)
        else:
            board.set(name, (key, name))
            known[name] = (key, name)
        expected = sorted((key, name) for name, key in known.items())
        assert board.some(3) == expected[:3]
        assert board.first() == (expected[0] if expected else None)
        assert (len(board), name in board) == (len(known), name in known)


def test_a_board_does_not_grow_with_changes() -> None:
    board: Board[tuple[int, str]] = Board()
    for step in range(5000):
        board.set("a", (step, "a"))
        board.set("b", (-step, "b"))
    assert len(board._heap) < 100


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "leave", "aside"]), st.integers(0, 20)), max_size=80
)


@given(STEPS)
def test_lines_give_who_waits_by_key_and_arrival(steps: list[tuple[str, int]]) -> None:
    ready, aside, both = Line(aside=False), Line(aside=True), Line(aside=None)
    keys: dict[Waiting, int] = {}
    for seq, (step, number) in enumerate(steps):
        present = sorted((one for one in keys if one.alive), key=lambda one: one.seq)
        chosen = present[number % len(present)] if present else None
        if step == "add" or chosen is None:
            chosen = Waiting(job(seq), seq, 1.0)
            keys[chosen] = number
            ready.push(number, chosen)
            both.push(number, chosen)
        elif step == "leave":
            chosen.alive = False
        elif not chosen.aside:
            chosen.aside = True
            aside.push(keys[chosen], chosen)
        for line, wanted in ((ready, [False]), (aside, [True]), (both, [False, True])):
            order = sorted(
                (one for one in keys if one.alive and one.aside in wanted),
                key=lambda one: (keys[one], one.seq),
            )
            assert line.some(4) == order[:4]
            assert line.first() is (order[0] if order else None)
            assert line.first_key() == (keys[order[0]] if order else None)
            assert {one for _, one in line.entries()} == set(order)
        if seq % 9 == 0:
            both.sweep()
            assert len(both) == sum(one.alive for one in keys)


@given(
    st.lists(st.tuples(st.floats(0.01, 99), st.floats(0.1, 20)), min_size=1, max_size=30),
    st.floats(0, 500),
    st.sets(st.integers(0, 29)),
)
def test_what_is_due_is_spared_as_a_plain_sum_says(
    work: list[tuple[float, float]], start: float, gone: set[int]
) -> None:
    demand = Demand(100.0, start)
    marks = [demand.add(start + due, ms, start) for due, ms in work]
    for place in gone & set(range(len(work))):
        demand.remove(marks[place], work[place][1])
    left = sorted(one for place, one in enumerate(work) if place not in gone)
    plain = min(
        (due - sum(ms for other, ms in left if other <= due) for due, _ in left),
        default=math.inf,
    )
    slot = 100.0 / LEAVES
    assert demand.spare(start) == math.inf if not left else True
    if left:
        assert plain - 1e-6 <= demand.spare(start)
        rounded = [(math.ceil((start + due) / slot) * slot - start, ms) for due, ms in left]
        exact = min(due - sum(ms for other, ms in rounded if other <= due) for due, _ in rounded)
        assert demand.spare(start) == pytest.approx(exact, abs=slot + 1e-6)
    if demand.spare(start) < 0:
        until = demand.overrun(start)
        total = sum(ms for due, ms in left if start + due <= until)
        assert total > until - start - 1e-6


def test_time_passes_over_what_is_due() -> None:
    demand = Demand(100.0, 0.0)
    first, second = demand.add(50.0, 60.0, 0.0), demand.add(150.0, 10.0, 0.0)
    assert demand.spare(0.0) < 0.0
    assert demand.spare(100.0) == pytest.approx(40.0, abs=0.5)
    demand.remove(first, 60.0)
    assert demand.spare(100.0) == pytest.approx(40.0, abs=0.5)
    demand.remove(second, 10.0)
    assert demand.spare(100.0) == math.inf
    assert demand.add(math.inf, 5.0, 100.0) is None
    assert demand.add(350.0, 5.0, 100.0) is None
    demand.remove(None, 5.0)
    demand.add(1000.0, 5.0, 990.0)
    assert demand.spare(990.0) == pytest.approx(5.0, abs=0.5)

"""From totals to what was added, whatever is refused on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.intake.deltas import KEEP_MS, Busy, Deltas, Draft, Seen, TooMany

BEGAN = 1_000


def advance(draft: Draft, total: float, time_ns: int, start_ns: int = 0) -> tuple[Seen, float]:
    step = draft.advance("series", start_ns, time_ns, total, lambda last: total < last)
    return step.seen, total - (step.last or 0.0)


def taken(deltas: Deltas, total: float, time_ns: int, start_ns: int = 0) -> tuple[Seen, float]:
    with deltas.draft(0) as draft:
        found = advance(draft, total, time_ns, start_ns)
        draft.commit()
    return found


def test_a_first_total_that_began_before_us_is_only_compared_with() -> None:
    deltas = Deltas(10, BEGAN)
    assert taken(deltas, 100.0, 2_000, BEGAN - 1)[0] is Seen.FIRST
    assert taken(deltas, 107.0, 3_000, BEGAN - 1) == (Seen.ADDED, 7.0)


def test_a_first_total_that_began_after_us_was_added_since() -> None:
    assert taken(Deltas(10, BEGAN), 5.0, 2_000, BEGAN) == (Seen.WHOLE, 5.0)


@pytest.mark.parametrize(("total", "start"), [(3.0, BEGAN), (30.0, BEGAN + 1)])
def test_a_total_that_falls_or_begins_again_was_added_as_a_whole(total: float, start: int) -> None:
    deltas = Deltas(10, BEGAN)
    taken(deltas, 20.0, 2_000, BEGAN)
    assert taken(deltas, total, 3_000, start) == (Seen.WHOLE, total)


@pytest.mark.parametrize("time_ns", [2_000, 1_999])
def test_what_is_not_later_is_stale(time_ns: int) -> None:
    deltas = Deltas(10, BEGAN)
    taken(deltas, 20.0, 2_000, BEGAN)
    assert taken(deltas, 25.0, time_ns, BEGAN)[0] is Seen.STALE
    assert taken(deltas, 26.0, 3_000, BEGAN) == (Seen.ADDED, 6.0)


def test_what_is_not_committed_is_told_again() -> None:
    deltas = Deltas(10, BEGAN)
    taken(deltas, 20.0, 2_000, BEGAN)
    with deltas.draft(0) as draft:
        assert advance(draft, 25.0, 3_000, BEGAN) == (Seen.ADDED, 5.0)
    assert taken(deltas, 25.0, 3_000, BEGAN) == (Seen.ADDED, 5.0)


def test_a_series_is_in_one_draft_at_a_time() -> None:
    deltas = Deltas(10, BEGAN)
    with deltas.draft(0) as first, deltas.draft(0) as second:
        advance(first, 1.0, 2_000)
        with pytest.raises(Busy):
            advance(second, 2.0, 3_000)
    assert taken(deltas, 1.0, 2_000, BEGAN)[0] is Seen.WHOLE


def test_no_more_series_are_remembered_than_may_be_until_one_is_silent() -> None:
    deltas = Deltas(2, BEGAN)
    for now_ms, key in ((0, "a"), (10, "b")):
        with deltas.draft(now_ms) as draft:
            draft.advance(key, 0, 1, 1.0, lambda _: False)
            draft.commit()
    with deltas.draft(KEEP_MS - 1) as draft, pytest.raises(TooMany):
        draft.advance("c", 0, 1, 1.0, lambda _: False)
    with deltas.draft(KEEP_MS) as draft:
        draft.advance("c", 0, 1, 1.0, lambda _: False)
        draft.commit()
        assert draft.advance("b", 0, 2, 1.0, lambda _: False).seen is Seen.ADDED
    assert len(deltas) == 2


def test_series_on_their_way_count_as_remembered() -> None:
    deltas = Deltas(1, BEGAN)
    with deltas.draft(0) as draft:
        draft.advance("a", 0, 1, 1.0, lambda _: False)
        with pytest.raises(TooMany):
            draft.advance("b", 0, 1, 1.0, lambda _: False)
    with deltas.draft(0) as draft:
        assert draft.advance("b", 0, 1, 1.0, lambda _: False).seen is Seen.FIRST


STEPS = st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.booleans()), max_size=30)


@given(STEPS)
def test_what_is_committed_adds_up_to_what_was_added(steps: list[tuple[int, bool, bool]]) -> None:
    """Each step adds something, perhaps after a restart of the source, and may not be delivered."""
    deltas, start, total, added, counted = Deltas(10, BEGAN), BEGAN, 0, 0, 0.0
    for number, (more, restarts, delivered) in enumerate(steps):
        if restarts and counted == added:
            start, total = start + 1, 0
        total, added = total + more, added + more
        with deltas.draft(0) as draft:
            _, found = advance(draft, float(total), 10_000 + number, start)
            if delivered:
                draft.commit()
                counted += found
    with deltas.draft(0) as draft:
        _, rest = advance(draft, float(total), 10**6, start)
    assert counted + rest == added

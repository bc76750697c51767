"""Pasts in columns are what pasts one by one are, to the last bit."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.drifting.concepts import BLOCK, Past
from processors.drifting.pasts import Pasts

KEEP = 16
Event = tuple[int, int, int, float]


def made(dice: random.Random, events: int, series: int) -> list[Event]:
    return [
        (dice.randrange(series), 1_000 + place, 10 * place, dice.gauss(0.3, 1e3))
        for place in range(events)
    ]


def extend(pasts: Pasts, events: list[Event]) -> None:
    ordered = sorted(events, key=lambda event: event[0])
    numbers, times, offsets, values = zip(*ordered, strict=True)
    pasts.extend(np.array(numbers), np.array(times), np.array(offsets), np.array(values))


def one_by_one(events: list[Event], number: int) -> Past:
    past = Past(KEEP)
    for own, time, offset, value in events:
        if own == number:
            past.extend([time], [offset], [value])
    return past


def told(past: Past) -> tuple[object, ...]:
    last = past.tail_place if past.tail else None
    return past.head, past.places, past.sums, past.tail, last, past.events


@given(st.integers(0, 10_000), st.integers(1, 40), st.lists(st.integers(1, 400), max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_table_holds_what_each_past_by_itself_does(
    seed: int, series: int, sizes: list[int]
) -> None:
    dice = random.Random(seed)
    pasts = Pasts(KEEP)
    pasts.reserve(series)
    events = made(dice, sum(sizes), series)
    start = 0
    for size in sizes:
        extend(pasts, events[start : start + size])
        start += size

    for number in range(series):
        assert told(pasts.past(number)) == told(one_by_one(events, number))


def test_more_events_at_once_than_are_kept_push_out_the_oldest() -> None:
    pasts = Pasts(KEEP)
    pasts.reserve(1)
    events = made(random.Random(1), 3 * KEEP * BLOCK + 5, 1)

    extend(pasts, events)

    found = pasts.past(0)
    assert told(found) == told(one_by_one(events, 0))
    assert (len(found.sums), found.head.count) == (KEEP, 2 * KEEP * BLOCK)


def test_what_is_taken_out_changed_and_put_back_goes_on() -> None:
    pasts, events = Pasts(KEEP), made(random.Random(2), 300, 2)
    pasts.reserve(2)
    extend(pasts, events)
    past = pasts.past(0)
    cut = past.cut()
    assert cut is not None
    past.forget(cut)
    assert past.events == 0
    pasts.put(0, past)

    further = made(random.Random(3), 200, 2)
    extend(pasts, further)

    for own, time, offset, value in further:
        if own == 0:
            past.extend([time], [offset], [value])
    assert told(pasts.past(0)) == told(past)
    assert told(pasts.past(1)) == told(one_by_one(events + further, 1))


@pytest.mark.parametrize("count", [0, 5, 8, 200])
def test_a_past_is_saved_and_taken_over(count: int) -> None:
    pasts, other, events = Pasts(KEEP), Pasts(KEEP), made(random.Random(4), count, 1)
    pasts.reserve(1)
    other.reserve(8)
    if events:
        extend(pasts, events)

    other.take_over(7, pasts.state(0), pasts.events(0))

    assert told(other.past(7)) == told(pasts.past(0))
    assert other.state(7) == pasts.state(0)


def test_a_number_that_is_given_again_has_no_past() -> None:
    pasts = Pasts(KEEP)
    pasts.reserve(1)
    extend(pasts, made(random.Random(5), 200, 1))

    pasts.clear(0)

    assert told(pasts.past(0)) == told(Past(KEEP))
    assert pasts.past(0).cut() is None

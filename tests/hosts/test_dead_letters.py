"""Dead letters, and the share of them that a host tolerates."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DecodeError, InvalidEvent
from workers.deadletters import KEPT_BYTES, BadShare, Refused, dead_letter
from workers.errors import TooManyBad

PLACE = Refused("weir.metrics", 2, 7, 1_000, b"key", b"x" * 100_000)


def test_it_says_what_stood_where_and_what_was_wrong() -> None:
    error = InvalidEvent("not-finite", "value", "value is nan")
    letter = dead_letter(PLACE, error, processor="observe", now_ms=5, cluster="c")
    assert (letter.error, letter.field, letter.message) == ("not-finite", "value", "value is nan")
    assert (letter.topic, letter.partition, letter.offset, letter.key) == (
        "weir.metrics",
        2,
        7,
        b"key",
    )
    assert letter.length == 100_000
    assert len(letter.payload) == KEPT_BYTES
    assert letter.sha256 == hashlib.sha256(PLACE.value or b"").hexdigest()


def test_its_id_depends_on_the_place_alone() -> None:
    one = dead_letter(PLACE, DecodeError("malformed", "a"), processor="a", now_ms=1, cluster="c")
    two = dead_letter(PLACE, DecodeError("malformed", "b"), processor="b", now_ms=2, cluster="c")
    other = dead_letter(PLACE, DecodeError("malformed", "a"), processor="a", now_ms=1, cluster="d")
    assert one.event_id == two.event_id != other.event_id


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 0.5)), max_size=30))
def test_up_to_the_share_nothing_happens(batches: list[tuple[int, float]]) -> None:
    share = BadShare(0.5, "observe")
    for messages, bad in batches:
        share.count(messages, int(messages * bad))


@given(st.integers(1, 300), st.integers(0, 5_000))
def test_when_all_is_bad_it_stops_soon(size: int, good: int) -> None:
    share = BadShare(0.5, "observe")
    share.count(good, 0)
    enough = 1_000 // size + good // size + 3
    with pytest.raises(TooManyBad, match="observe"):
        count_bad(share, [size] * enough)


def count_bad(share: BadShare, batches: list[int]) -> None:
    for size in batches:
        share.count(size, size)


def test_a_few_bad_messages_at_the_start_stop_nobody() -> None:
    BadShare(0.5, "observe").count(400, 400)

"""What has functions of its own is read and written as the codec does, and refused as by it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.routing.params import RESULT_FIELDS
from schemas import codec
from schemas.base import Event
from schemas.codec import QUICK
from schemas.errors import DecodeError, EncodeError
from schemas.events import EVENTS
from schemas.inference import InferenceResult
from schemas.quick_reader import reader_of
from schemas.quick_writer import WIDEST, long
from tests.examples import codec as make_codec
from tests.examples import example
from tests.strategies import instances

CODEC = make_codec()
EVERY = [EVENTS[name] for name in QUICK]
HALF = WIDEST // 2


@pytest.mark.parametrize("event", EVERY)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_bytes_and_the_event_are_those_of_the_slower_way(
    event: type, data: st.DataObject
) -> None:
    made = data.draw(instances(event))
    body = codec.pack(made)
    assert body == codec._pack_slowly(made)
    assert codec.pack(reader_of(event)(body, 0)) == body


@pytest.mark.parametrize("event", EVERY)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=60, deadline=None)
def test_odd_bytes_come_to_the_same_either_way(
    event: type[Event], at: int, byte: int, cut: bool
) -> None:
    value = bytearray(CODEC.encode(example(event)))
    at = 5 + at % (len(value) - 5)
    if cut:
        del value[at:]
    else:
        value[at] = byte
    assert _told(CODEC.decode, bytes(value), event) == _told(_slowly, bytes(value), event)


def _slowly(value: bytes, event: type[Event]) -> Event:
    return CODEC._decode_slowly(value, (event,))


def _told(way: Any, value: bytes, event: type[Event]) -> tuple[str, object]:
    try:
        return "read", codec.pack(way(value, event))
    except DecodeError as error:
        return error.kind, str(error)
    except EncodeError as error:
        return "unwritable", str(error)


def test_fewer_fields_are_those_of_the_event() -> None:
    whole = example(InferenceResult)
    found = reader_of(InferenceResult, RESULT_FIELDS)(codec.pack(whole), 0)
    assert all(getattr(found, name) == getattr(whole, name) for name in RESULT_FIELDS)
    with pytest.raises(AttributeError):
        _ = found.task_id


@pytest.mark.parametrize("number", [HALF, -HALF - 1, WIDEST])
def test_what_is_wider_than_a_long_is_refused(number: int) -> None:
    with pytest.raises(OverflowError, match="does not fit"):
        long(number)
    assert long(-HALF) == b"\xff" * 9 + b"\1"

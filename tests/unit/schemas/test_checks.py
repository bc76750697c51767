"""Values that make no sense are refused with field and reason, in rows and in columns alike."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import columns
from schemas.base import Event
from schemas.checks import ELEMENT_BYTES, INLINE_BYTES, MAX_AHEAD_MS, check
from schemas.checks_frame import check_frame
from schemas.errors import InvalidEvent
from schemas.events import EVENTS
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.records import KeyValue, Tensor
from schemas.topics import home_of
from tests.examples import codec, example
from tests.strategies import FEW, instances

NOW = 1_700_000_000_000
METRIC = MetricReport(event_time=NOW, app="a", metric="m", value=1.0)
TENSOR = Tensor(name="x", dtype="float32", shape=(1, 2), data=b"\0" * 8)
REQUEST = InferenceRequest(
    request_id="r", app="a", created_at=NOW, deadline=NOW + 100, inputs=(TENSOR,)
)


@pytest.mark.parametrize(
    ("event", "kind", "field"),
    [
        (replace(METRIC, value=float("nan")), "not-finite", "value"),
        (replace(METRIC, value=float("-inf")), "not-finite", "value"),
        (replace(METRIC, app=""), "empty", "app"),
        (replace(METRIC, metric=""), "empty", "metric"),
        (replace(METRIC, event_time=NOW + MAX_AHEAD_MS + 1), "time-ahead", "event_time"),
        (replace(METRIC, event_time=NOW + 365 * 86_400_000), "time-ahead", "event_time"),
        (replace(REQUEST, request_id=""), "empty", "request_id"),
        (replace(REQUEST, created_at=NOW + 2 * MAX_AHEAD_MS), "time-ahead", "created_at"),
        (replace(REQUEST, deadline=NOW), "deadline", "deadline"),
        (replace(REQUEST, inputs=()), "empty", "inputs"),
        (replace(REQUEST, conditions=(KeyValue(key="", value="x"),)), "conditions", "conditions"),
        (example(EVENTS["GroundTruth"]), None, ""),
    ],
)
def test_what_makes_no_sense_is_refused(event: Event, kind: str | None, field: str) -> None:
    if kind is None:
        check(event, NOW)
        return
    with pytest.raises(InvalidEvent) as caught:
        check(event, NOW)
    assert (caught.value.kind, caught.value.field) == (kind, field)


def test_what_makes_sense_passes() -> None:
    check(replace(METRIC, event_time=NOW + MAX_AHEAD_MS), NOW)
    check(replace(METRIC, event_time=0), NOW)
    check(REQUEST, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": None}, "either data or a reference"),
        ({"reference": "s3://x"}, "either data or a reference"),
        ({"data": None, "reference": "s3://x"}, "digest"),
        ({"data": b"\0" * 7}, "needs 8"),
        ({"shape": (-1, -2)}, "negative"),
        ({"dtype": "object"}, "is none of bool"),
        ({"dtype": "float33"}, "is none of bool"),
        ({"dtype": "01"}, "is none of bool"),
        ({"data": b"\0" * (INLINE_BYTES + 4), "shape": (INLINE_BYTES // 4 + 1,)}, "reference"),
    ],
)
def test_a_tensor_must_fit_its_bytes(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason) as caught:
        check(replace(REQUEST, inputs=(TENSOR, replace(TENSOR, **changes))), NOW)
    assert caught.value.field == "inputs.x"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([("light", "night"), ("camera", "3")], ""),
        ([(f"n{number}", "x") for number in range(8)], ""),
        ([(f"n{number}", "x") for number in range(9)], "9 conditions where .* at most 8"),
        ([("n", "x" * 98)], ""),
        ([("n", "x" * 99)], "101 characters where at most 100"),
        ([("weather", "rain"), ("weather", "fog")], ""),
        ([("light", "")], "needs a name and a value"),
        ([("", "night")], "needs a name and a value"),
        ([("a=b", "c")], "'a=b=c': its name holds a '='"),
        ([("light", "a=b")], ""),
        ([("light", "night\n")], "cannot be printed"),
    ],
)
def test_conditions_are_few_and_short(told: list[tuple[str, str]], why: str) -> None:
    event = replace(REQUEST, conditions=tuple(KeyValue(key=k, value=v) for k, v in told))
    if not why:
        check(event, NOW)
        return
    with pytest.raises(InvalidEvent, match=why):
        check(event, NOW)


@given(tensor=instances(Tensor))
def test_any_tensor_passes_or_is_refused(tensor: Tensor) -> None:
    with suppress(InvalidEvent):
        check(replace(REQUEST, inputs=(tensor,)), NOW)


@pytest.mark.parametrize("dtype", ELEMENT_BYTES)
def test_element_types_are_numpys(dtype: str) -> None:
    array = np.zeros((1, 3), dtype)
    tensor = Tensor(name="x", dtype=str(array.dtype), shape=array.shape, data=array.tobytes())
    check(replace(REQUEST, inputs=(tensor,)), NOW)


def framed(events: list[Event], kind: type[Event], timestamp: int) -> pl.DataFrame:
    values = [codec().encode(event) for event in events]
    frame = columns.decode(values, kind, codec()).frame
    return frame.with_columns(pl.lit(timestamp, dtype=pl.Int64).alias("_timestamp"))


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
@FEW
@given(data=st.data())
def test_frames_are_judged_as_rows(kind: type[Event], data: st.DataObject) -> None:
    events = data.draw(st.lists(instances(kind), max_size=5))
    timestamp = data.draw(st.integers(0, 2**62))
    expected = []
    for row, event in enumerate(events):
        try:
            check(event, timestamp)
        except InvalidEvent as error:
            expected.append((row, error.kind, error.field))
    good, refused = check_frame(framed(events, kind, timestamp), kind)
    assert [(bad.row, bad.error.kind, bad.error.field) for bad in refused] == expected
    bad_rows = {row for row, _, _ in expected}
    assert good["_row"].to_list() == [n for n in range(len(events)) if n not in bad_rows]


def test_every_event_has_a_key_and_a_time_that_exist() -> None:
    for event in EVENTS.values():
        home = home_of(event)
        assert set(home.key) <= set(event.__slots__)
        assert home.time is None or home.time in event.__slots__

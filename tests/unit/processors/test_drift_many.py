"""Drift over many series: the detectors' own verdicts, however batches and numbers fall."""

import random
from collections.abc import Iterator

import polars as pl
import pytest
from river.drift import ADWIN

from processors.drifting.drift import Detect, DriftParams, DriftState
from schemas.codec import unpack_state
from schemas.columns import metrics
from schemas.observing import DriftDetected
from schemas.processing import Columns, Output

START = 1_700_000_000_000
SERIES, EVENTS = 30, 12_000
STALE_MS = 60_000


def events(seed: int, gaps: tuple[int, ...] = ()) -> pl.DataFrame:
    """Return errors of SERIES services; in the end every third has 0.6 of them, not 0.05.

    Before the events at `gaps` nothing comes for longer than a series is remembered.
    """
    dice = random.Random(seed)
    service = [dice.randrange(SERIES) for _ in range(EVENTS)]
    late = [sum(2 * STALE_MS for gap in gaps if place >= gap) for place in range(EVENTS)]
    share = [0.6 if one % 3 == 0 and 3 * n > 2 * EVENTS else 0.05 for n, one in enumerate(service)]
    return pl.DataFrame(
        {
            "event_time": [START + n + wait for n, wait in enumerate(late)],
            "app": "digits",
            "stage": "classify",
            "service": [f"service-{one}" for one in service],
            "instance": "",
            "node": "",
            "metric": "error",
            "value": [float(dice.random() < one) for one in share],
            "unit": [dice.choice(("", "1")) for _ in range(EVENTS)],
            "_offset": range(EVENTS),
        },
        schema_overrides={"event_time": pl.Int64, "_offset": pl.Int64},
    )


def batches(frame: pl.DataFrame, seed: int, *, numbered: bool = False) -> Iterator[Columns]:
    """Yield it in batches of 1 to 900 events, with `_entry` as decoders give it where asked."""
    dice, start, entries = random.Random(seed), 0, dict[bytes, int]()
    while start < frame.height:
        size = dice.randint(1, 900)
        lean, series = metrics(frame[start : start + size])
        if numbered:
            found = [entries.setdefault(key, len(entries)) for key in series["_key"]]
            series = series.with_columns(pl.Series("_entry", found, dtype=pl.Int64))
        yield Columns(lean, "weir.metrics", 0, START, series=series)
        start += size


def fed(parts: Iterator[Columns], stale_ms: int = STALE_MS) -> tuple[list[Output], bytes]:
    detect = Detect(DriftParams(stale_ms=stale_ms))
    outputs = [output for part in parts for output in detect.process(part)]
    return outputs, detect.snapshot()


def test_every_detector_is_as_if_river_had_been_fed_one_by_one() -> None:
    frame = events(1)
    outputs, saved = fed(batches(frame, 1))

    params = DriftParams()
    rivers = {
        name: ADWIN(delta=params.delta, clock=params.clock, grace_period=params.grace)
        for name in frame["service"].unique()
    }
    alarms = 0
    for name, value in frame.select("service", "value").iter_rows():
        rivers[name].update(value)
        alarms += rivers[name].drift_detected
    told = [one.status for one in outputs if isinstance(one, DriftDetected)]
    assert alarms >= told.count("warning") >= told.count("confirmed") > 5
    for one in unpack_state(saved, DriftState).series:
        river = rivers[one.key[2]]
        if not river.drift_detected:
            assert one.memory == vars(river)["_helper"].__getstate__()


@pytest.mark.parametrize("gaps", [(), (5_000,), (5_000, 5_200), (1, 2, 6_000)])
def test_batches_and_the_decoders_numbers_change_nothing(gaps: tuple[int, ...]) -> None:
    frame = events(2, gaps)
    lean, series = metrics(frame)
    whole = fed(iter([Columns(lean, "weir.metrics", 0, START, series=series)]))

    assert fed(batches(frame, 3)) == whole
    assert fed(batches(frame, 4, numbered=True)) == whole
    assert len([one for one in whole[0] if isinstance(one, DriftDetected)]) > 5


def test_series_that_come_back_are_new_whoever_has_their_numbers_by_then() -> None:
    first, other, again = (
        events(seed).with_columns(
            pl.col("event_time") + turn * (10 * STALE_MS + EVENTS),
            pl.col("service") + name,
            pl.col("_offset") + turn * EVENTS,
        )
        for turn, (seed, name) in enumerate([(3, ""), (4, "-other"), (5, "")])
    )
    frame = pl.concat([first, other, again])

    outputs, saved = fed(batches(frame, 6, numbered=True))

    assert (outputs, saved) == fed(batches(frame, 7))
    assert outputs == [one for part in (first, other, again) for one in fed(batches(part, 8))[0]]
    known = {one.key[2] for one in unpack_state(saved, DriftState).series}
    assert known == set(again["service"])


def test_nothing_is_left_of_a_series_that_began_anew_while_it_was_suspected() -> None:
    at = 9_500
    frame = events(6, (at,))
    before, saved = fed(batches(frame[:at], 9))
    assert any(one.watch.suspicion for one in unpack_state(saved, DriftState).series)

    after, last = fed(batches(frame[at:], 10))

    assert fed(batches(frame, 11)) == (before + after, last)


def test_the_bound_leaves_those_series_that_came_first() -> None:
    lean, series = metrics(events(7)[:200])
    first = series["service"][int(lean["_series"][150])]
    assert first != series["service"][0]
    detect = Detect(DriftParams(max_series=1))

    detect.process(Columns(lean[150:], "weir.metrics", 0, START, series=series))

    (one,) = unpack_state(detect.snapshot(), DriftState).series
    assert one.key[2] == first


def test_columns_that_name_no_series_are_refused() -> None:
    frame = events(5)[:3]

    with pytest.raises(TypeError, match="come with their series"):
        Detect(DriftParams()).process(Columns(frame, "weir.metrics", 0, START))

"""Windows of observe, told as timelines: event times in ms after START, left to right as read."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import InvalidParameters
from processors.observing.observe import Observe, ObserveParams, spec
from schemas import codec
from schemas.catalogue import Catalogue
from schemas.columns import metrics
from schemas.decisions import ActionTaken
from schemas.observing import Observation
from schemas.packed import Packed, Told
from schemas.processing import Columns, Output
from schemas.registrations import WindowDefined
from schemas.topics import key_of

START = 1_700_000_000_000
PARAMS = ObserveParams(size_ms=1_000, allowed_lateness_ms=200, hold_ms=10_000)
Row = tuple[int, float] | tuple[int, float, str]


def frame(rows: list[Row], first: int = 0) -> pl.DataFrame:
    """Return rows (event time, value, service) as the columns of MetricReport."""
    count = len(rows)
    return pl.DataFrame(
        {
            "event_time": [START + row[0] for row in rows],
            "app": ["shop"] * count,
            "stage": ["s"] * count,
            "service": [row[2] if len(row) == 3 else "a" for row in rows],
            "instance": [""] * count,
            "node": [""] * count,
            "metric": ["latency"] * count,
            "value": [row[1] for row in rows],
            "unit": ["ms"] * count,
            "_offset": pl.Series(range(first, first + count), dtype=pl.Int64),
        }
    )


def batch(rows: list[Row], now: int, first: int = 0, catalogue: Catalogue | None = None) -> Columns:
    columns, series = metrics(frame(rows, first))
    return Columns(columns, "weir.metrics", 2, START + now, catalogue or Catalogue(), series)


def observe() -> Observe:
    return Observe(PARAMS)


def seen(outputs: object) -> list[Observation]:
    assert isinstance(outputs, Sequence)
    return [event for event in outputs if isinstance(event, Observation)]


def told(outputs: object) -> list[ActionTaken]:
    assert isinstance(outputs, Sequence)
    return [event for event in outputs if isinstance(event, ActionTaken)]


def windows(outputs: object) -> list[tuple[int, int, int]]:
    """Return start, count and late count of each observation."""
    return [(o.window_start - START, o.count, o.late_count) for o in seen(outputs)]


def test_a_window_closes_when_the_watermark_passes_its_end() -> None:
    #  0 ........ 1000 ........ 2000    lateness 200
    #    a    a        a                1199: still open
    #                     a             1200: closed
    processor = observe()

    assert processor.process(batch([(100, 1.0), (900, 3.0), (1199, 9.0)], 1_200)) == []
    outputs = processor.process(batch([(1200, 9.0)], 1_201, first=3))

    assert windows(outputs) == [(0, 2, 0)]
    (one,) = seen(outputs)
    assert (one.mean, one.min, one.max, one.std) == (2.0, 1.0, 3.0, 1.0)
    assert one.emitted_at == START + 1_201
    assert one.window_end - one.window_start == 1_000
    (source,) = one.sources
    assert (source.topic, source.partition, source.first, source.last) == ("weir.metrics", 2, 0, 1)
    assert source.series == "shop/s/a///latency"


def test_rows_out_of_order_within_the_lateness_are_on_time() -> None:
    #  1000 .. 1150, then 950: the window [0, 1000) is open until 1200
    processor = observe()

    outputs = processor.process(batch([(500, 1.0), (1150, 2.0), (950, 3.0), (1200, 4.0)], 2_000))

    assert windows(outputs) == [(0, 2, 0)]


def test_late_rows_count_in_the_next_observation_of_their_series() -> None:
    #  a: 500 | 1300 | 400 late, 600 late | 2300 closes [1000, 2000)
    #  b:                1400             |  its window counts none of them
    processor = observe()
    rows: list[Row] = [(500, 1.0), (1300, 2.0), (400, 3.0), (600, 3.0), (1400, 5.0, "b")]

    outputs = processor.process(batch([*rows, (2300, 4.0)], 3_000))

    assert windows(outputs) == [(0, 1, 0), (1_000, 1, 2), (1_000, 1, 0)]


def test_a_row_that_comes_as_its_window_closes_counts_in_the_one_after() -> None:
    #  1200 closes [0, 1000) and 400 comes next: late at the very instant of the closing
    outputs = observe().process(batch([(500, 1.0), (1200, 2.0), (400, 3.0), (2300, 4.0)], 3_000))

    assert windows(outputs) == [(0, 1, 0), (1_000, 1, 1)]


def test_late_rows_of_a_series_that_comes_back_after_the_deadline_are_told() -> None:
    rows: list[Row] = [(500, 1.0), (1300, 2.0, "b"), (400, 3.0), (40_000, 1.0), (42_000, 1.0)]

    outputs = observe().process(batch(rows, 3_000))

    assert windows(outputs) == [(0, 1, 0), (1_000, 1, 0), (40_000, 1, 0)]
    assert [action.kind for action in told(outputs)] == ["metrics.late"]


def test_late_rows_of_a_series_that_falls_silent_are_told() -> None:
    processor = observe()
    rows: list[Row] = [(500, 1.0, "a"), (1300, 2.0, "b"), (400, 3.0, "a")]

    outputs = [
        *processor.process(batch(rows, 2_000)),
        *processor.process(batch([(40_000, 2.0, "b")], 3_000, first=3)),
    ]

    assert windows(outputs) == [(0, 1, 0), (1_000, 1, 0)]
    (action,) = told(outputs)
    assert action.kind == "metrics.late"
    assert "1 events of shop/s/a///latency" in action.reason


def test_an_idle_partition_closes_its_windows_by_the_clock() -> None:
    processor = observe()
    processor.process(batch([(900, 1.0)], 5_000))

    # newest 900, read at 5000; the window closes at 1200, but not before the partition is idle
    assert processor.wake_at() == START + 5_000 + PARAMS.idle_ms
    assert processor.process(batch([], 5_999)) == []
    assert windows(processor.process(batch([], 6_000))) == [(0, 1, 0)]
    assert processor.wake_at() is None


def test_a_host_that_was_away_does_not_take_its_absence_for_silence() -> None:
    processor = observe()
    processor.process(batch([(900, 1.0)], 1_000))

    assert processor.process(batch([], 60_000)) == []
    assert processor.wake_at() == START + 60_000 + PARAMS.idle_ms
    outputs = processor.process(batch([(950, 2.0), (1_300, 1.0)], 60_010, first=1))

    assert windows(outputs) == [(0, 2, 0)]


@given(
    st.lists(st.floats(min_value=-1e6, max_value=1e6, allow_nan=False), min_size=1, max_size=200)
)
def test_statistics_are_those_of_numpy(values: list[float]) -> None:
    processor = observe()
    rows: list[Row] = [(500, value) for value in values]

    (one,) = seen(processor.process(batch([*rows, (1_300, 0.0)], 2_000)))

    quantiles = np.quantile(values, [0.5, 0.9, 0.95, 0.99], method="linear")
    assert (one.p50, one.p90, one.p95, one.p99) == pytest.approx(tuple(quantiles), rel=1e-9)
    assert one.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert one.std == pytest.approx(np.std(values), rel=1e-6, abs=1e-6)
    assert (one.min, one.max, one.count) == (min(values), max(values), len(values))


times = st.lists(
    st.tuples(st.integers(0, 8_000), st.just(1.0), st.sampled_from("ab")), min_size=1, max_size=60
)


@given(times, st.lists(st.integers(0, 60), max_size=6))
def test_every_row_is_counted_once_wherever_batches_are_cut(
    rows: list[Row], cuts: list[int]
) -> None:
    end: list[Row] = [(60_000, 1.0, "a"), (60_000, 1.0, "b"), (90_000, 1.0, "b")]
    rows = [*rows, *end]
    whole = observe().process(batch(rows, 1_000))

    edges = sorted({0, *(cut for cut in cuts if cut < len(rows)), len(rows)})
    processor = observe()
    parts: list[Output] = []
    for first, last in itertools.pairwise(edges):
        parts += processor.process(batch(rows[first:last], 1_000, first=first))

    assert parts == whole
    late = [int(p.value) for a in told(whole) for p in a.parameters if p.key == "count"]
    counted = sum(o.count + o.late_count for o in seen(whole)) + sum(late)
    assert counted == len(rows) - 1  # the last is in an open window


def test_a_crash_changes_nothing() -> None:
    rows: list[Row] = [(at, float(at)) for at in (100, 900, 1_150, 1_900, 1_250, 300, 2_150)]
    undisturbed = observe()
    expected = [
        *undisturbed.process(batch(rows, 3_000)),
        *undisturbed.process(batch([(3_300, 1.0)], 3_100, first=7)),
    ]

    first = observe()
    before = first.process(batch(rows, 3_000))
    needed = first.oldest_needed()[("weir.metrics", 2)]
    second = observe()
    second.restore(first.snapshot())
    second.rebuild(batch(rows[needed:], 0, first=needed))
    after = second.process(batch([(3_300, 1.0)], 3_100, first=7))

    assert [*before, *after] == expected
    assert windows(expected) == [(0, 2, 0), (1_000, 3, 1), (2_000, 1, 0)]


def defined(name: str, **fields: object) -> WindowDefined:
    values: dict[str, object] = {"size_ms": 1_000, "registered_at": START, "event_id": name}
    return WindowDefined(name=name, **(values | fields))  # type: ignore[arg-type]


def catalogue(*definitions: WindowDefined) -> Catalogue:
    return Catalogue({WindowDefined: {one.name: one for one in definitions}})


def test_all_definitions_that_match_apply_and_the_default_where_none_does() -> None:
    world = catalogue(
        defined("all", size_ms=4_000, service="a"),
        defined("latencies", metric="latency", size_ms=3_000, service="a"),
        defined("gate", app="gate"),
        defined("off", size_ms=500, stopped=True),
    )
    rows: list[Row] = [(100, 1.0), (200, 1.0, "b"), (9_000, 1.0)]

    outputs = observe().process(batch(rows, 1_000, catalogue=world))

    found = [(o.window, o.service, o.window_end - o.window_start) for o in seen(outputs)]
    assert sorted(found) == [
        ("all", "a", 4_000),
        ("default", "b", 1_000),
        ("latencies", "a", 3_000),
    ]


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (defined("hop", kind="rolling"), "kind 'rolling' are unknown"),
        (defined("hop", kind="hopping"), "interval_ms is 0"),
        (defined("hop", kind="hopping", size_ms=2_000, interval_ms=1), "more than 1000 times"),
        (defined("gap", kind="session"), "gap_ms is 0"),
        (defined("gap", gap_ms=5), "gap_ms is 5; tumbling windows of this sort take none"),
        (defined("ten", kind="count", size_ms=0), "size_events is 0"),
        (defined("mix", kind="trailing"), "size_events and interval_ms, or size_ms and"),
        (defined("sum", functions=("mean", "median")), "function 'median' is unknown"),
        (defined("out", late="drop"), "late is 'drop'"),
        (defined("none", size_ms=0), "size_ms is 0"),
        (defined("back", allowed_lateness_ms=-1), "allowed_lateness_ms is -1"),
    ],
)
def test_a_definition_that_cannot_be_applied_is_refused_once(
    definition: WindowDefined, why: str
) -> None:
    processor, world = observe(), catalogue(definition)

    outputs = processor.process(batch([(100, 1.0)], 1_000, catalogue=world))
    again = processor.process(batch([(200, 1.0)], 1_000, 1, catalogue(definition)))

    (refusal,) = told(outputs)
    assert (refusal.kind, refusal.status) == ("definition.refused", "refused")
    assert why in refusal.reason
    assert again == []


def test_two_definitions_of_the_same_series_are_told() -> None:
    world = catalogue(defined("first"), defined("second"))

    (refusal,) = told(observe().process(batch([(100, 1.0)], 1_000, catalogue=world)))

    assert refusal.target == "second"
    assert "first already defines" in refusal.reason


@given(st.lists(st.tuples(st.integers(0, 60_000), st.floats(-1e9, 1e9)), min_size=1, max_size=30))
def test_observations_are_written_as_the_codec_writes_them(rows: list[Row]) -> None:
    world = catalogue(
        defined("few", functions=("last",), early_ms=700),
        defined("sit", kind="session", size_ms=0, gap_ms=9, late="send", early_ms=40),
    )
    processor = observe()

    outputs = processor.process(batch([*rows, (99_000, 1.0)], 5, catalogue=world))

    assert isinstance(outputs, Told)
    packed = [part for part in outputs.parts if isinstance(part, Packed)]
    assert packed
    for part in packed:
        assert codec.pack(part.event()) == part.body
        assert key_of(part.event()) == part.key


def test_a_full_partition_waits_until_the_clock_has_closed_its_windows() -> None:
    processor = Observe(replace(PARAMS, most_rows=3))
    processor.process(batch([(100, 1.0), (200, 1.0)], 1_000))
    assert not processor.full

    processor.process(batch([(300, 1.0)], 1_000, first=2))
    assert processor.full
    assert windows(processor.process(batch([], 2_000))) == [(0, 3, 0)]
    assert not processor.full


def test_a_partition_full_of_series_forgets_those_that_fell_silent() -> None:
    processor = Observe(replace(PARAMS, most_series=3, forget_ms=20_000))
    processor.process(batch([(100, 1.0), (200, 1.0, "b"), (300, 1.0, "c")], 1_000))
    assert processor.full

    outputs: list[Output] = []
    for _ in range(40):
        wake = processor.wake_at()
        if wake is None:
            break
        outputs += processor.process(batch([], wake - START))

    assert not processor.full
    assert windows(outputs) == [(0, 1, 0)] * 3
    again = processor.process(batch([(60_000, 1.0, "c"), (65_000, 1.0, "b")], 70_000, first=3))
    assert [(o.service, o.count) for o in seen(again)] == [("c", 1)]


def test_series_are_forgotten_while_others_have_open_windows() -> None:
    processor = Observe(replace(PARAMS, forget_ms=5_000))
    rows: list[Row] = [(0, 1.0, str(number)) for number in range(40)]
    rows += [(at, 2.0, "last") for at in range(0, 20_000, 500)]
    world = catalogue(defined("few", kind="count", size_ms=0, size_events=7))
    told: list[Output] = []
    for first in range(0, len(rows), 10):
        told += processor.process(batch(rows[first : first + 10], 1_000, first, world))

    assert len(processor._book) < 40
    last = [o for o in seen(told) if o.service == "last"]
    assert [(o.window_start - START, o.count) for o in last] == [
        (start, 7) for start in range(0, 17_500, 3_500)
    ]


def test_series_are_the_same_by_the_numbers_of_a_decoder() -> None:
    rows: list[Row] = [(at, float(at), "abcdefg"[at * 5 % 7]) for at in range(0, 6_000, 30)]
    plain, numbered = observe(), observe()
    for first in range(0, len(rows), 20):
        one = batch(rows[first : first + 20], 1_000, first)
        assert one.series is not None
        letters = one.series["service"].to_list()
        table = 0 if first < 100 else 7 << 32  # the decoder begins a new table
        entries = [table + (ord(letter) * 31) % 97 for letter in letters]
        other = replace(one, series=one.series.with_columns(pl.Series("_entry", entries)))

        assert numbered.process(other) == plain.process(one)


def test_parameters_are_checked() -> None:
    with pytest.raises(InvalidParameters, match=r"ObserveParams\.size_ms is 0"):
        spec(ObserveParams(size_ms=0))


def test_other_parameters_have_another_identity() -> None:
    assert spec().parameters == spec(ObserveParams()).parameters
    assert spec().parameters != spec(ObserveParams(size_ms=999)).parameters

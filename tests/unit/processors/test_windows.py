"""Windows of every kind against a plain reference, whatever the order, batches and restarts."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.observing.observe import Observe, ObserveParams
from processors.observing.windows import objection
from schemas.catalogue import Catalogue
from schemas.columns import metrics
from schemas.observing import LateMetric, Observation
from schemas.processing import Columns
from schemas.registrations import WindowDefined
from tests.unit.processors.windows_plain import Row, expected

START = 1_700_000_000_000
FORGET_MS = 2_000
LATENESS_MS = 300
PARAMS = ObserveParams(hold_ms=60_000, forget_ms=FORGET_MS)
SIZES = {
    "tumbling": ("tumbling", {"size_ms": 700, "align_ms": 130}),
    "hopping": ("hopping", {"size_ms": 900, "interval_ms": 350}),
    "sampled": ("hopping", {"size_ms": 200, "interval_ms": 500, "align_ms": 70}),
    "session": ("session", {"gap_ms": 250}),
    "short": ("session", {"gap_ms": 400, "size_ms": 600}),
    "count": ("count", {"size_events": 4}),
    "sliding": ("count", {"size_events": 5, "interval_events": 2}),
    "every": ("count", {"size_events": 2, "interval_events": 5}),
    "latest": ("trailing", {"size_events": 3, "interval_ms": 400}),
    "recent": ("trailing", {"size_events": 3, "interval_ms": 400, "size_ms": 600}),
    "span": ("trailing", {"size_ms": 800, "interval_events": 3}),
}


def defined(name: str, **fields: object) -> WindowDefined:
    kind, sizes = SIZES[name]
    values: dict[str, object] = {"size_ms": 0, "allowed_lateness_ms": LATENESS_MS} | sizes | fields
    one = WindowDefined(name=name, kind=kind, registered_at=1, event_id=name, **values)  # type: ignore[arg-type]
    assert objection(one) == ""
    return one


def columns(rows: list[Row], first: int, definition: WindowDefined, now: int = 0) -> Columns:
    count = len(rows)
    text = {name: [""] * count for name in ("stage", "instance", "node")}
    frame = pl.DataFrame(
        {
            "event_time": pl.Series([START + row[0] for row in rows], dtype=pl.Int64),
            "app": ["shop"] * count,
            **text,
            "service": pl.Series([row[2] for row in rows], dtype=pl.String),
            "metric": ["m"] * count,
            "value": pl.Series([row[1] for row in rows], dtype=pl.Float64),
            "unit": ["ms"] * count,
            "_offset": pl.Series(range(first, first + count), dtype=pl.Int64),
        }
    )
    lean, series = metrics(frame)
    world = Catalogue({WindowDefined: {definition.name: definition}})
    return Columns(lean, "weir.metrics", 0, START + now, world, series)


def fed(
    definition: WindowDefined, rows: list[Row], cuts: list[int], restarts: set[int]
) -> list[object]:
    """Return what is said of rows in batches cut before some, restarted after some batches."""
    processor, told = Observe(PARAMS), []
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        told += processor.process(columns(rows[low:high], low, definition))
        if number in restarts:
            other = Observe(PARAMS)
            other.restore(processor.snapshot())
            oldest = processor.oldest_needed().get(("weir.metrics", 0), high)
            for at in range(oldest, high, 7):
                other.rebuild(columns(rows[at : min(at + 7, high)], at, definition))
            processor = other
    return told


def seen(told: list[object]) -> list[Observation]:
    return [event for event in told if isinstance(event, Observation) and event.final]


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    """Draw rows that come out of order, none more than the lateness behind the newest."""
    steps = st.sampled_from((0, 0, 1, 40, 90, 130, 260, 420, 900, 2_600))
    rows: list[Row] = []
    newest = 0
    for _ in range(draw(st.integers(1, 45))):
        newest += draw(steps)
        back = draw(st.integers(0, LATENESS_MS)) if draw(st.booleans()) else 0
        rows.append((newest - back, float(len(rows)), draw(st.sampled_from("aab"))))
    return rows


@pytest.mark.parametrize("name", SIZES)
@settings(max_examples=12)
@given(streams(), st.lists(st.integers(1, 45), max_size=6), st.sets(st.integers(0, 6), max_size=2))
def test_windows_are_those_of_the_reference(
    name: str, rows: list[Row], cuts: list[int], restarts: set[int]
) -> None:
    definition = defined(name)
    after = rows[-1][0] + 100_000
    end: list[Row] = [(after, 0.0, "z"), (after + 10_000_000, 0.0, "z")]

    told = fed(definition, [*rows, *end], [*cuts, len(rows)], restarts)

    found = [o for o in seen(told) if o.service != "z"]
    shifted = [(START + time, value, series) for time, value, series in rows]
    wanted = expected(definition, shifted, FORGET_MS)
    assert len(found) == len(wanted)
    assert len({o.event_id for o in found}) == len(found)
    assert not any(o.late_count for o in found)
    for o in found:
        (values,) = [w[3] for w in wanted if _fits(w, o)]
        assert (o.count, o.first, o.last) == (len(values), values[0], values[-1])
        assert (o.min, o.max, o.distinct) == (min(values), max(values), len(set(values)))
        assert o.mean == pytest.approx(np.mean(values))
        assert (o.p50, o.p99) == pytest.approx(tuple(np.quantile(values, [0.5, 0.99])))
        assert o.rate == pytest.approx(len(values) / (o.window_end - o.window_start) * 1_000)


def _fits(window: tuple[str, int, int, tuple[float, ...]], seen: Observation) -> bool:
    series, begin, end, values = window
    place = (seen.service, seen.window_start, seen.window_end, seen.first, seen.last)
    return (series, begin, end, values[0], values[-1]) == place


@pytest.mark.parametrize("name", SIZES)
@settings(max_examples=8)
@given(
    st.lists(
        st.tuples(st.integers(0, 6_000), st.just(1.0), st.sampled_from("ab")),
        min_size=2,
        max_size=40,
    ),
    st.lists(st.integers(1, 40), max_size=5),
    st.sets(st.integers(0, 5), max_size=2),
)
def test_nothing_depends_on_batches_and_restarts_even_when_rows_are_late(
    name: str, rows: list[Row], cuts: list[int], restarts: set[int]
) -> None:
    early = 0 if SIZES[name][0] == "trailing" else 150
    definition = defined(name, early_ms=early, late="send")
    end: list[Row] = [(50_000, 1.0, "a"), (50_000, 1.0, "b"), (400_000, 1.0, "b")]

    whole = fed(definition, [*rows, *end], [], set())

    assert fed(definition, [*rows, *end], cuts, restarts) == whole
    sent = [event for event in whole if isinstance(event, LateMetric)]
    finals = seen(whole)
    told = [a for a in whole if getattr(a, "kind", "") == "metrics.late"]
    counted = sum(o.late_count for o in finals)
    counted += sum(int(p.value) for a in told for p in a.parameters if p.key == "count")  # type: ignore[attr-defined]
    assert counted == len(sent)
    assert all(late.late_ms >= 0 for late in sent)
    if name == "tumbling":
        assert sum(o.count for o in finals) + len(sent) == len(rows) + 2


@pytest.mark.parametrize("name", [name for name in SIZES if SIZES[name][0] != "trailing"])
@settings(max_examples=8)
@given(streams())
def test_early_results_rise_to_the_final_one(name: str, rows: list[Row]) -> None:
    definition = defined(name, early_ms=200)
    after = rows[-1][0] + 100_000
    end: list[Row] = [(after, 0.0, "z"), (after + 10_000_000, 0.0, "z")]

    told = [o for o in fed(definition, [*rows, *end], [], set()) if isinstance(o, Observation)]

    assert [o for o in told if o.final] == [
        o
        for o in fed(definition, [*rows, *end], [7], {0})
        if isinstance(o, Observation) and o.final
    ]
    for event_id in {o.event_id for o in told}:
        one = [o for o in told if o.event_id == event_id]
        assert [o.final for o in one[:-1]] == [False] * (len(one) - 1)
        assert [o.revision for o in one] == sorted({o.revision for o in one})
        assert [o.count for o in one] == sorted(o.count for o in one)
        assert one[-1].final or one[-1].service == "z"

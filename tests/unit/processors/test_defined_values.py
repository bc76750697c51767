"""Values of expressions over windows, worked out by hand and by a plain evaluator."""

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.defining.rows import Rows, looks_at, meeting
from processors.defining.values import Asked, answers
from processors.expressions.expression import compiled
from processors.expressions.typed import SERIES_COLUMNS
from tests.unit.processors.expressions_plain import METRICS, Row, plain, texts

START = 1_000


def row(metric: str, value: float, at: int = 0, **fields: Any) -> dict[str, Any]:
    """Return a row of window 0 unless told otherwise."""
    made = {"app": "shop", "stage": "", "service": "a", "instance": "", "node": "", "unit": ""}
    made |= {"metric": metric, "value": value, "event_time": START + at, "request_id": None}
    return made | {"_window": 0} | fields


def rows_of(rows: list[dict[str, Any]], seconds: tuple[float, ...] = (2.0,)) -> Rows:
    """Return rows, which get offsets in their order."""
    schema = dict.fromkeys(SERIES_COLUMNS, pl.String) | {
        "value": pl.Float64,
        "event_time": pl.Int64,
        "request_id": pl.String,
        "_window": pl.UInt32,
    }
    frame = pl.DataFrame(rows, schema=schema).with_row_index("_offset")
    frame = frame.with_columns(pl.col("_offset").cast(pl.Int64))
    series = frame.select(SERIES_COLUMNS).unique(maintain_order=True)
    coded = frame.join(series.with_row_index("_series"), on=SERIES_COLUMNS, maintain_order="left")
    lean = coded.select("value", "event_time", "request_id", "_offset", "_series", "_window")
    placed = series.with_columns(pl.lit(3).alias("_partition"))
    return Rows(lean, placed, pl.DataFrame({"seconds": seconds}))


def value(text: str, rows: list[dict[str, Any]]) -> float | None:
    found = answers([Asked(compiled(text))], rows_of(rows))
    assert len(found) <= 1
    return found[0].value if found else None


ROWS = [
    row("latency", 10.0, 5, service="a", request_id="r1"),
    row("latency", 30.0, 1, service="b", request_id="r2"),
    row("latency", 20.0, 3, service="a", request_id="r1"),
    row("error", 1.0, 2, service="a"),
    row("error", 0.0, 4, service="b"),
    row("error", 0.0, 6, service="b"),
    row("load", -4.0, 7, service="b"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count()", 7.0),
        ('count(where metric == "error" and value > 0) / count(where metric == "error")', 1 / 3),
        ('ratio(value > 0 where metric == "error")', 1 / 3),
        ('avg(value where metric == "latency")', 20.0),
        ('sum(value where metric == "latency" and service == "a")', 30.0),
        ('quantile(value, 0.75 where metric == "latency")', 25.0),
        ('var(value where metric == "latency")', 200 / 3),
        ('std(value where metric == "latency")', math.sqrt(200 / 3)),
        ('first(value where metric == "latency")', 30.0),
        ('last(value where metric == "latency")', 10.0),
        ("distinct(request_id)", 2.0),
        ("distinct(service)", 2.0),
        ('rate(where metric == "error")', 1.5),
        ("sum(value) / window_s", 28.5),
        ("max(event_time) - min(event_time)", 6.0),
        ('count(where metric in ("error", "load"))', 4.0),
        ('count(where not metric in ("error", "load"))', 3.0),
        ('count(where metric not in ("error", "load"))', 3.0),
        ('abs(avg(value where service == "a") - avg(value where service == "b"))', 31 / 3 - 26 / 4),
        ("avg(1 if value > 5 else 0)", 3 / 7),
        ("-min(value) * 2 + 1", 9.0),
        ("greatest(count(), 9) - least(count(), 9, 3)", 6.0),
        ("1 if first(service) == 'b' else 0", 1.0),
        ("floor(avg(value)) + ceil(avg(value))", 17.0),
        ('count(where metric == "nothing") + count()', 7.0),
        ("2 - 3 - 4 + count() * 0", -5.0),
        ("8 / 4 / 2 + count() * 0", 1.0),
        ("1 if not count() > 9 and count() > 1 or count() == 99 else 2", 1.0),
    ],
)
def test_values_that_were_worked_out_by_hand(text: str, expected: float) -> None:
    assert value(text, ROWS) == pytest.approx(expected, rel=1e-12)


def test_the_deepest_expression_that_is_taken_can_be_computed() -> None:
    others = {"d0": "abs(" * 30 + "count()" + ")" * 30}
    others["d1"] = "abs(" * 30 + 'defined("d0")' + ")" * 30
    text = "abs(" * 38 + 'defined("d1")' + ")" * 38

    (found,) = answers([Asked(compiled(text, (), others))], rows_of(ROWS))

    assert found.value == 7.0


@pytest.mark.parametrize(
    "text",
    [
        'count() / count(where metric == "nothing")',
        'avg(value where metric == "nothing") + count()',
        "log(-count())",
        "sqrt(min(value))",
        "exp(1e3 * count())",
        "1e308 * count() * 1e308",
        "avg(1 / (value - value))",
        "1 / (1 / (count() - 7))",
        "ratio(value > 0 where value > 1e9) + count()",
    ],
)
def test_what_is_no_number_is_no_observation(text: str) -> None:
    assert value(text, ROWS) is None
    assert value(f"coalesce({text}, -1)", ROWS) == -1.0


def test_an_unknown_condition_is_not_true_and_its_opposite_neither() -> None:
    assert value('count(where request_id == "r1")', ROWS) == 2.0
    assert value('count(where not request_id == "r1")', ROWS) == 1.0
    assert value('avg(1 if request_id == "r1" else 0)', ROWS) == pytest.approx(2 / 7)


def test_a_window_without_rows_of_the_series_says_nothing() -> None:
    assert value('count(where metric == "nothing")', ROWS) is None
    assert value("count()", []) is None


def test_groups_and_windows_are_kept_apart_and_in_order() -> None:
    rows = [
        row("latency", 1.0, service="b", stage="s", _window=1),
        row("latency", 3.0, service="a", stage="s", _window=1),
        row("latency", 5.0, service="b", stage="t", _window=0),
        row("error", 9.0, service="c", stage="t", _window=0),
    ]
    asked = [
        Asked(compiled('avg(value where metric == "latency")'), ("service",)),
        Asked(compiled("rate()"), ("stage", "service")),
        Asked(compiled("sum(value)")),
    ]

    found = answers(asked, rows_of(rows, (2.0, 4.0)))

    assert [(one.asked, one.window, one.group, one.value) for one in found] == [
        (0, 0, ("b",), 5.0),
        (0, 1, ("a",), 3.0),
        (0, 1, ("b",), 1.0),
        (1, 0, ("t", "b"), 0.5),
        (1, 0, ("t", "c"), 0.5),
        (1, 1, ("s", "a"), 0.25),
        (1, 1, ("s", "b"), 0.25),
        (2, 0, (), 14.0),
        (2, 1, (), 4.0),
    ]


def test_a_value_tells_the_rows_of_the_series_that_it_looks_at() -> None:
    rows = rows_of(ROWS)
    text = 'count(where metric == "error" and value > 0) / count(where metric == "error")'

    (one,) = answers([Asked(compiled(text))], rows)

    assert (one.count, one.sources) == (3, ((3, 3, 5),))


def test_a_length_of_zero_gives_no_rate() -> None:
    assert answers([Asked(compiled("rate()"))], rows_of(ROWS, (0.0,))) == []


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ('sum(value where metric == "a" and value > 1)', "a"),
        ('count(where metric == "a" or metric == "b")', "ab"),
        ('count(where metric == "a" or value > 1)', "abc"),
        ('count(where not (metric == "a" and value > 1))', "abc"),
        ('count(where metric == "a") / count(where metric != "a" and metric != "c")', "ab"),
        ("count() / count(where metric == 'a')", "abc"),
    ],
)
def test_only_series_that_a_value_depends_on_are_looked_at(text: str, series: str) -> None:
    table = rows_of([row(metric, 1.0) for metric in "abc"]).series

    mask = meeting(looks_at(compiled(text)), table)

    assert "".join(table["metric"].filter(mask)) == series


ROW_LISTS = st.lists(
    st.builds(
        lambda metric, value, at, service, stage, request: row(
            metric, value, at, service=service, stage=stage, request_id=request
        ),
        st.sampled_from(METRICS),
        st.sampled_from([0.0, 1.0, -2.0, 2.5, 10.0, 1e6]),
        st.integers(0, 4),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", "s"]),
        st.sampled_from([None, "a", "r"]),
    ),
    max_size=12,
)


@given(text=texts(), rows=ROW_LISTS, seconds=st.sampled_from([0.5, 2.0]))
def test_columns_say_what_a_plain_evaluator_says(
    text: str, rows: list[dict[str, Any]], seconds: float
) -> None:
    expression = compiled(text)
    numbered: list[Row] = [one | {"_offset": number} for number, one in enumerate(rows)]
    expected = {}
    for stage in sorted({one["stage"] for one in rows}):
        group = [one for one in numbered if one["stage"] == stage]
        expected[stage] = plain(expression.tree, group, seconds)

    found = answers([Asked(expression, ("stage",))], rows_of(rows, (seconds,)))

    for one in found:
        assert math.isfinite(one.value)
        assert one.value == pytest.approx(expected[one.group[0]], rel=1e-6, abs=1e-6), text
    looked = meeting(looks_at(expression), rows_of(rows).series)
    if looked.all():
        assert {one.group[0] for one in found} == {s for s, v in expected.items() if v is not None}

"""Expressions computed plainly: one row after the other, in Python; and texts of random ones."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from processors.expressions.tree import (
    Among,
    Binary,
    Call,
    Choice,
    Literal,
    Name,
    Node,
    Unary,
    children,
)
from processors.expressions.typed import AGGREGATES

Row = Mapping[str, Any]
METRICS = ("latency", "error", "load")
COMPARED = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None,
}
SINGLE = {
    "abs": abs,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else None,
    "log": lambda a: math.log(a) if a > 0 else None,
    "exp": lambda a: math.exp(a) if a < 700 else None,
    "floor": math.floor,
    "ceil": math.ceil,
}


def plain(node: Node, rows: Sequence[Row], seconds: float, row: Row | None = None) -> Any:
    """Return the value of a node in a row, or of the whole window; None is no value."""
    if isinstance(node, Call) and node.name in AGGREGATES:
        return _finite(_aggregate(node, rows, seconds))
    if isinstance(node, Name):
        return seconds if node.name == "window_s" else (row or {})[node.name]
    below = [plain(child, rows, seconds, row) for child in children(node)]
    return _made(node, below)


def _made(node: Node, below: list[Any]) -> Any:
    match node:
        case Literal():
            return node.value
        case Call():
            return _function(node.name, below)
        case Choice():
            return below[1] if below[0] else below[2]
        case Binary("and" | "or" as operator):
            return _logic(operator, *below)
    return None if None in below else _of_known(node, below)


def _of_known(node: Node, below: list[Any]) -> Any:
    if isinstance(node, Unary):
        return not below[0] if node.operator == "not" else -below[0]
    if isinstance(node, Among):
        return below[0] in [option.value for option in node.options]
    assert isinstance(node, Binary)
    return _finite(COMPARED[node.operator](*below))


def _logic(operator: str, a: bool | None, b: bool | None) -> bool | None:
    decides = operator == "or"
    if decides in (a, b):
        return decides
    return None if None in (a, b) else not decides


def _function(name: str, values: list[Any]) -> Any:
    if name == "coalesce":
        return next((value for value in values if value is not None), None)
    if None in values:
        return None
    if name in ("least", "greatest"):
        return min(values) if name == "least" else max(values)
    return _finite(SINGLE[name](values[0]))


def _aggregate(call: Call, rows: Sequence[Row], seconds: float) -> Any:
    where = call.where
    if where is not None:
        rows = [row for row in rows if plain(where, (), seconds, row)]
    if call.name in ("count", "rate"):
        return len(rows) / (seconds if call.name == "rate" else 1)
    ordered = sorted(rows, key=lambda row: (row["event_time"], row["_offset"]))
    values = [plain(call.arguments[0], (), seconds, row) for row in ordered]
    if call.name == "ratio":
        return sum(map(bool, values)) / len(values) if values else None
    values = [value for value in values if value is not None]
    if call.name in ("sum", "distinct"):
        return math.fsum(values) if call.name == "sum" else len(set(values))
    if not values:
        return None
    if call.name == "quantile":
        rank = call.arguments[1]
        assert isinstance(rank, Literal)
        return _quantile(sorted(values), float(rank.value))
    return {
        "avg": statistics.fmean,
        "min": min,
        "max": max,
        "std": statistics.pstdev,
        "var": statistics.pvariance,
        "first": lambda found: found[0],
        "last": lambda found: found[-1],
    }[call.name](values)


def _quantile(values: list[float], rank: float) -> float:
    place = rank * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _joined(form: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda found: form.format(*found))


NUMBERS = st.sampled_from(["0", "1", "2.5", "10", "1e3", "-3"])
STRINGS = st.sampled_from(["metric", "service", "stage", "request_id", '"error"', "'a'"])
SIGNS = st.sampled_from(["+", "-", "*", "/"])
ORDERS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def _of_rows(depth: int) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """Return texts of numbers and of conditions in a row."""
    number = st.one_of(NUMBERS, st.sampled_from(["value", "window_s", "event_time"]))
    truth = st.one_of(
        _joined("{} {} {}", STRINGS, st.sampled_from(["==", "!="]), STRINGS),
        _joined('{} in ("error", "a")', st.sampled_from(["metric", "service", "request_id"])),
        _joined("value {} {}", ORDERS, NUMBERS),
    )
    for _ in range(depth):
        number, truth = (
            st.one_of(
                number,
                _joined("({} {} {})", number, SIGNS, number),
                _joined("{}({})", st.sampled_from(sorted(SINGLE)), number),
                _joined("least({}, {})", number, number),
                _joined("coalesce({}, {})", number, number),
                _joined("({} if {} else {})", number, truth, number),
            ),
            st.one_of(
                truth,
                _joined("({} {} {})", truth, st.sampled_from(["and", "or"]), truth),
                _joined("not {}", truth),
                _joined("{} {} {}", number, ORDERS, number),
            ),
        )
    return number, truth


def texts() -> st.SearchStrategy[str]:
    """Return expressions of windows, as text."""
    number, truth = _of_rows(2)
    filters = st.one_of(st.just(""), truth.map(" where {}".format))
    simple = st.sampled_from(["sum", "avg", "min", "max", "std", "var", "first", "last"])
    ranks = st.sampled_from(["0", "0.5", "0.95", "1"])
    kept = st.sampled_from(["value", "service", "request_id", "value > 1"])
    whole: st.SearchStrategy[str] = st.one_of(
        _joined("{}({}{})", simple, number, filters),
        _joined("quantile({}, {}{})", number, ranks, filters),
        _joined("distinct({}{})", kept, filters),
        _joined("ratio({}{})", truth, filters),
        _joined("{}({})", st.sampled_from(["count", "rate"]), st.one_of(
            st.just(""), truth.map("where {}".format))),
    )  # fmt: skip
    for _ in range(2):
        whole = st.one_of(
            whole,
            _joined("({} {} {})", whole, SIGNS, st.one_of(whole, NUMBERS)),
            _joined("greatest({}, {})", whole, whole),
            _joined("({} if {} > 2 else {})", whole, whole, whole),
            _joined("coalesce({}, -1)", whole),
        )
    return whole

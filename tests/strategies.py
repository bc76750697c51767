"""Hypothesis strategies for every event class, derived from its fields."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

FEW = settings(max_examples=max(1, settings().max_examples // 3))
"""For a property of every event: forty classes go the same way."""
LONGS = st.integers(-(2**63), 2**63 - 1)
_PRIMITIVES: dict[Any, Callable[[], SearchStrategy[Any]]] = {
    str: lambda: st.text(max_size=20),
    int: lambda: LONGS,
    float: st.floats,
    bool: st.booleans,
    bytes: lambda: st.binary(max_size=40),
}


@cache
def instances(record: type) -> SearchStrategy[Any]:
    """Return a strategy for instances of a record; NaN and infinities are among the floats."""
    hints = get_type_hints(record)
    return st.builds(record, **{field.name: _of(hints[field.name]) for field in fields(record)})


def _of(hint: Any) -> SearchStrategy[Any]:
    if hint in _PRIMITIVES:
        return _PRIMITIVES[hint]()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType) and arguments[1] is NoneType:
        return st.none() | _of(arguments[0])
    if origin is tuple:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if is_dataclass(hint) and isinstance(hint, type):
        return instances(hint)
    raise TypeError(f"no strategy for {hint!r}")

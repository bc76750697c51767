"""Functions that write one event as Avro, each made for its schema: what a request waits for.

The source of such a function names every field once, in the schema's order, so that nothing is
looked up while it runs; the bytes are those of the codec. It knows the shapes that Weir's own
schemas have. It raises what Python raises on a value that does not fit: the codec says then why.
"""

import struct
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import count
from typing import Any

from schemas import files
from schemas.making import define

Writer = Callable[[Any], bytes]
_DOUBLE = struct.Struct("<d")
WIDEST = 1 << 64
"""Zigzag numbers of a long are below."""


def fresh(text: str) -> bytes:
    """Return a string as Avro has it: its length, then UTF-8."""
    raw = text.encode()
    return long(len(raw)) + raw


@lru_cache(maxsize=4096, typed=True)
def known(text: str) -> bytes:
    """Return the same of a string that comes again and again."""
    return fresh(text)


@lru_cache(maxsize=4096, typed=True)
def long(number: int) -> bytes:
    """Return a long as Avro has it: zigzag, then seven bits a byte, the lowest first.

    Raises OverflowError for what is wider than 64 bits.
    """
    left = number << 1 if number >= 0 else ((-number) << 1) - 1
    if left >= WIDEST:
        raise OverflowError(f"{number} does not fit into a long")
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


def raw(data: bytes) -> bytes:
    """Return bytes as Avro has them: their number, then they themselves."""
    return long(len(data)) + data


def doubles(values: tuple[float, ...]) -> bytes:
    """Return an array of doubles, of which there is at least one."""
    return long(len(values)) + struct.pack(f"<{len(values)}d", *values) + b"\0"


@cache
def writer_of(record: str) -> Writer:
    """Return the function from an event, or its like, to the Avro of a record's newest schema."""
    return _Source().made(files.schema(record))


class _Source:
    """Expressions for the types of one schema; those of nested records are functions as well."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {
            "T": known,
            "F": fresh,
            "L": long,
            "R": raw,
            "N": doubles,
            "D": _DOUBLE.pack,
            "J": b"".join,
        }
        self._records: dict[str, str] = {}
        self._numbers = count()

    def made(self, schema: Any) -> Writer:
        """Return the function for a record."""
        function: Writer = self._names[self._record(schema)]
        return function

    def _record(self, schema: Any) -> str:
        parts = [self._of(one["type"], f"e.{one['name']}", one["name"]) for one in schema["fields"]]
        name = self._records[schema["name"]] = f"W{next(self._numbers)}"
        source = f"def {name}(e): return J(({','.join(parts)},))"
        define(source, self._names)
        return name

    def _of(self, kind: Any, value: str, field: str) -> str:
        if isinstance(kind, list):
            v = f"v{next(self._numbers)}"
            inner = self._of(kind[1], v, field)
            return f"(b'\\0' if ({v}:={value}) is None else b'\\2'+{inner})"
        if isinstance(kind, dict):
            return self._named(kind, value, field)
        if kind == "string":
            return f"F({value})" if field.endswith("_id") else f"T({value})"
        plain = {"long": "L({})", "double": "D({})", "bytes": "R({})"}
        if kind == "boolean":
            return f"(b'\\1' if {value} else b'\\0')"
        if kind in plain:
            return plain[kind].format(value)
        return f"{self._records[kind.rpartition('.')[2]]}({value})"

    def _named(self, kind: Any, value: str, field: str) -> str:
        if kind["type"] == "record":
            return f"{self._record(kind)}({value})"
        if kind["type"] != "array":
            return self._of(kind["type"], value, field)
        v, one = f"v{next(self._numbers)}", f"v{next(self._numbers)}"
        if kind["items"] == "double":
            return f"(N({v}) if ({v}:={value}) else b'\\0')"
        inner = self._of(kind["items"], one, field)
        each = f"L(len({v}))+J([{inner} for {one} in {v}])+b'\\0'"
        return f"({each} if ({v}:={value}) else b'\\0')"

"""Functions that read one event from Avro, each made for its schema: what a request waits for.

The source of such a function goes through the fields in the schema's order and passes over those
that nobody asked for. It knows the shapes that Weir's own schemas have, and no other version than
the newest. Whatever is odd about the bytes makes it raise: the codec says then what.
"""

import struct
from collections.abc import Callable, Collection
from functools import cache
from itertools import count
from typing import Any, get_args, get_type_hints

from schemas import files
from schemas.making import define, unfrozen
from schemas.quick_writer import WIDEST

Reader = Callable[[bytes, int], Any]
_DOUBLE = struct.Struct("<d")
ODD = (IndexError, ValueError, struct.error)
"""What a reader raises on bytes that it was not made for."""
_BYTE = 0x7F
_INDENT = " "


def rest(data: bytes, at: int, first: int) -> tuple[int, int]:
    """Return a number of several bytes, zigzag as it is, and where it ends; `at` is its second.

    Raises ValueError for one that no long holds, IndexError where the bytes end before it.
    """
    number, shift = first & _BYTE, 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & _BYTE) << shift
        if byte <= _BYTE:
            break
        shift += 7
    if number >= WIDEST:
        raise ValueError("a number wider than 64 bits")
    return number, at


def reader_of(record: type, fields: tuple[str, ...] | None = None) -> Reader:
    """Return the function from bytes, and where the Avro in them begins, to an event.

    With `fields`, it has these alone: to look at another raises AttributeError. The function
    raises one of ODD for bytes that are not of the newest schema.
    """
    return _made(record, fields)


@cache
def _made(record: type, fields: tuple[str, ...] | None) -> Reader:
    return _Source().made(record, fields)


class _Source:
    """The lines that read one schema; those of nested records are functions as well."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {
            "more": rest,
            "double": _DOUBLE.unpack_from,
            "new": object.__new__,
        }
        self._lines: list[str] = []
        self._depth = 1
        self._records: dict[str, str] = {}
        self._numbers = count()

    def made(self, record: type, fields: Collection[str] | None) -> Reader:
        """Return the function for an event."""
        self._function("read", files.schema(record.__name__), record, fields)
        inner = self._names["read"]

        def read(data: bytes, at: int) -> Any:
            event, end = inner(data, at)
            if end != len(data):
                raise ValueError("the bytes end elsewhere")
            return event

        return read

    def _function(
        self, name: str, schema: Any, record: type, fields: Collection[str] | None
    ) -> None:
        outer, self._lines = self._lines, []
        hints = get_type_hints(record)
        self._names[record.__name__] = record
        self._line("e = 0")
        taken = []
        for one in schema["fields"]:
            field = one["name"]
            if fields is None or field in fields:
                self._read(one["type"], f"f_{field}", hints[field])
                taken.append(field)
            else:
                self._read(one["type"], "_", hints[field])
        self._line("if e & 1: raise ValueError('a length below nothing')")
        if fields is None:
            self._line(f"return {record.__name__}({', '.join(f'{f}=f_{f}' for f in taken)}), i")
        else:
            self._names["Open"] = unfrozen(record)
            self._line("o = new(Open)")
            for field in taken:
                self._line(f"o.{field} = f_{field}")
            self._line(f"o.__class__ = {record.__name__}")
            self._line("return o, i")
        source = "\n".join([f"def {name}(b, i):", *self._lines])
        define(source, self._names)
        self._lines = outer

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _read(self, kind: Any, to: str, hint: Any) -> None:
        """Read a value into a variable, or pass over it where that is `_`."""
        if isinstance(kind, list):
            self._optional(kind[1], to, hint)
        elif isinstance(kind, dict) and kind["type"] == "record":
            self._nested(kind["name"], kind, to, hint)
        elif isinstance(kind, dict) and kind["type"] == "array":
            self._array(kind["items"], to, get_args(hint)[0])
        elif isinstance(kind, dict):
            self._read(kind["type"], to, hint)
        elif kind in ("string", "bytes"):
            self._text(kind, to)
        elif kind == "long":
            self._number(to)
        elif kind == "double":
            if to != "_":
                self._line(f"{to}, = double(b, i)")
            self._line("i += 8")
        elif kind == "boolean":
            self._line("b[i]" if to == "_" else f"{to} = b[i] != 0")
            self._line("i += 1")
        else:
            self._nested(kind.rpartition(".")[2], None, to, hint)

    def _length(self, to: str = "n") -> None:
        self._line(f"{to} = b[i]; i += 1")
        self._line(f"if {to} > {_BYTE}: {to}, i = more(b, i, {to})")

    def _number(self, to: str) -> None:
        self._length()
        if to != "_":
            self._line(f"{to} = n >> 1 if not n & 1 else ~(n >> 1)")

    def _text(self, kind: str, to: str) -> None:
        self._length()
        self._line("e |= n")
        if to == "_":
            self._line("i += n >> 1")
            return
        self._line("j = i + (n >> 1)")
        self._line(f"{to} = b[i:j]" if kind == "bytes" else f"{to} = str(b[i:j], 'utf-8')")
        self._line("i = j")

    def _optional(self, kind: Any, to: str, hint: Any) -> None:
        self._line("n = b[i]; i += 1")
        self._line(f"if n == 0: {to} = None")
        self._line("elif n == 2:")
        self._depth += 1
        self._read(kind, to, get_args(hint)[0])
        self._depth -= 1
        self._line("else: raise ValueError('no such branch')")

    def _array(self, items: Any, to: str, hint: Any) -> None:
        """Read blocks until an empty one; a block of a negative number tells its bytes as well."""
        number = next(self._numbers)
        count_, found, one = f"c{number}", f"a{number}", f"x{number}"
        self._line(f"{found} = []")
        self._number(count_)
        self._line(f"while {count_}:")
        self._depth += 1
        self._line(f"if {count_} < 0:")
        self._depth += 1
        self._line(f"{count_} = -{count_}")
        self._length()
        self._depth -= 1
        self._line(f"for _ in range({count_}):")
        self._depth += 1
        self._read(items, "_" if to == "_" else one, hint)
        if to != "_":
            self._line(f"{found}.append({one})")
        self._depth -= 1
        self._number(count_)
        self._depth -= 1
        if to != "_":
            self._line(f"{to} = tuple({found})")

    def _nested(self, name: str, schema: Any, to: str, hint: Any) -> None:
        if name not in self._records:
            self._records[name] = f"read_{name}"
            depth, self._depth = self._depth, 1
            self._function(self._records[name], schema, hint, None)
            self._depth = depth
        self._line(f"{to}, i = {self._records[name]}(b, i)")

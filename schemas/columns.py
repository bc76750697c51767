"""Batches of events to columns: N framed messages become one polars frame.

A batch of payloads of one schema is one Avro object-container block, which polars decodes in
Rust. Every payload gets a random nonce of eight bytes appended, and the writer's schema a
fixed(8) field for it: bytes that hold two records, too few or too many, shift what follows, and
the nonce tells. Then the batch is read message by message, and exactly the bad ones are reported.

Polars panics on lengths that point beyond the block; the panic is caught here, but Rust writes a
line to stderr. It is lenient in one place: any union index but null's is taken as the other
branch, which changes no value, neither of that message nor of another.
"""

import io
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from schemas import files
from schemas.base import Event
from schemas.codec import PREFIX, Codec, record_name, schema_id_of, unpack_plain
from schemas.codec import without_logical_types as plain_types
from schemas.errors import DecodeError

NONCE_BYTES = 8
_NONCE = "_nonce"
_ROW = "_row"
_PROMOTIONS = frozenset(
    {
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
    }
)
"""Numeric types that Avro lets a reader widen, from and to; bytes and strings are left to rows."""
_PRIMITIVES: dict[str, Any] = {
    "string": pl.String,
    "long": pl.Int64,
    "int": pl.Int32,
    "double": pl.Float64,
    "float": pl.Float32,
    "boolean": pl.Boolean,
    "bytes": pl.Binary,
}


@dataclass(frozen=True, slots=True)
class Bad:
    """A message that could not be decoded: its position in the batch, and why."""

    row: int
    error: DecodeError


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame in the reader's newest shape; column `_row` is the position in the batch.

    Instants are Int64 milliseconds. `bad` lists what is missing from the frame, ascending.
    """

    frame: pl.DataFrame
    bad: tuple[Bad, ...]


def decode(values: Sequence[bytes], event: type[Event], codec: Codec) -> Decoded:
    """Decode framed messages of one event class, of any mix of schema versions.

    Nothing is raised for bad messages: they are reported, and disturb nobody.
    """
    groups, bad = _by_schema(values)
    frames = []
    for schema_id, rows in groups.items():
        part, wrong = _decode_group(values, rows, schema_id, event, codec)
        frames.append(part)
        bad.extend(wrong)
    full = [frame for frame in frames if frame.height] or [_empty(event)]
    frame = full[0] if len(full) == 1 else pl.concat(full).sort(_ROW)
    return Decoded(frame, tuple(sorted(bad, key=lambda b: b.row)))


def _by_schema(values: Sequence[bytes]) -> tuple[dict[int, list[int]], list[Bad]]:
    prefixes = {value[: PREFIX.size] for value in values}
    bad: list[Bad] = []
    if len(prefixes) == 1 and (first := next(iter(prefixes)))[:1] == b"\0" and len(first) == 5:
        return {schema_id_of(first): list(range(len(values)))}, bad
    groups: dict[int, list[int]] = {}
    for row, value in enumerate(values):
        try:
            groups.setdefault(schema_id_of(value), []).append(row)
        except DecodeError as error:
            bad.append(Bad(row, error))
    return groups, bad


def _decode_group(
    values: Sequence[bytes], rows: list[int], schema_id: int, event: type[Event], codec: Codec
) -> tuple[pl.DataFrame, list[Bad]]:
    try:
        writer = codec.writer_schema(schema_id)
    except DecodeError as error:
        return _empty(event), [Bad(row, error) for row in rows]
    if record_name(writer) != event.__name__:
        wrong = DecodeError(
            "wrong-record", f"a {record_name(writer)} where {event.__name__} stands"
        )
        return _empty(event), [Bad(row, wrong) for row in rows]
    bodies = [values[row][PREFIX.size :] for row in rows]
    plan = _plan(writer, event.__name__)
    frame = None if plan is None else _decode_block(bodies, writer)
    if plan is not None and frame is not None:
        return frame.select(plan).with_columns(pl.Series(_ROW, rows, dtype=pl.Int64)), []
    return _decode_rows(bodies, rows, writer, event)


def _decode_block(bodies: list[bytes], writer: str) -> pl.DataFrame | None:
    """Decode bodies of one schema in one go; None when any of them is not exactly one record."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sync = secrets.token_bytes(16)
    block = nonce.join(bodies) + nonce
    head = _header(writer) + sync + _varint(len(bodies)) + _varint(len(block))
    try:
        frame = pl.read_avro(io.BytesIO(b"".join((head, block, sync))))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError):
        return None
    whole = frame.select((pl.col(_NONCE) == pl.lit(nonce)).all()).item()
    if frame.height != len(bodies) or not whole:
        return None
    return frame


def _decode_rows(
    bodies: list[bytes], rows: list[int], writer: str, event: type[Event]
) -> tuple[pl.DataFrame, list[Bad]]:
    good: list[dict[str, Any]] = []
    bad: list[Bad] = []
    for row, body in zip(rows, bodies, strict=True):
        try:
            good.append(unpack_plain(body, writer, event) | {_ROW: row})
        except DecodeError as error:
            bad.append(Bad(row, error))
    return pl.DataFrame(good, schema=_schema(event.__name__), orient="row"), bad


@lru_cache(maxsize=256)
def _plan(writer: str, record: str) -> list[pl.Expr] | None:
    """Return what brings a frame of the writer's schema to the record's newest shape.

    None where polars does not resolve as Avro does: maps, most unions, changes inside of records.
    """
    written = {field["name"]: field["type"] for field in _fields(writer)}
    if _NONCE in written or not all(map(_decodes, written.values())):
        return None
    columns = []
    for field in _fields(files.text(record)):
        name, dtype = field["name"], _dtype(field["type"])
        given = next((n for n in (name, *field.get("aliases", ())) if n in written), None)
        if given is None and "default" in field:
            columns.append(_default(field, dtype).alias(name))
        elif given is None or not _resolves(written[given], field["type"]):
            return None
        elif _dtype(written[given]) == dtype:
            columns.append(pl.col(given).alias(name))
        else:
            columns.append(pl.col(given).cast(dtype).alias(name))
    return columns


def _decodes(kind: Any) -> bool:
    """Tell whether polars decodes a type; nested enums are given to it as the int they are."""
    if isinstance(kind, list):
        plain = [branch for branch in kind if branch != "null"]
        return len(plain) == 1 and len(kind) <= 2 and _decodes(plain[0])
    if isinstance(kind, str):
        return True
    if kind["type"] == "record":
        return all(_decodes(field["type"]) for field in kind["fields"])
    return kind["type"] != "map" and _decodes(kind.get("items", "null"))


def _default(field: dict[str, Any], dtype: pl.DataType) -> pl.Expr:
    default = field["default"]
    if dtype == pl.Binary and default is not None:
        default = default.encode("latin-1")  # as Avro writes bytes in JSON
    return pl.lit(default, dtype=dtype)


def _resolves(writer: Any, reader: Any) -> bool:
    if writer == reader:
        return True
    if isinstance(reader, list) and reader[0] == "null":
        nullable = isinstance(writer, list) and writer[0] == "null" and len(writer) == 2
        return _resolves(writer[1] if nullable else writer, reader[1])
    return isinstance(writer, str) and isinstance(reader, str) and (writer, reader) in _PROMOTIONS


@lru_cache(maxsize=256)
def _fields(schema: str) -> list[dict[str, Any]]:
    """Return the fields of a record, every type written out where it stands."""
    top = json.loads(schema)
    inlined = _inline(plain_types(top), {})
    return [
        field | {"type": plain["type"]}
        for field, plain in zip(top["fields"], inlined["fields"], strict=True)
    ]


@lru_cache(maxsize=256)
def _schema(record: str) -> dict[str, pl.DataType]:
    columns = {field["name"]: _dtype(field["type"]) for field in _fields(files.text(record))}
    return columns | {_ROW: pl.Int64()}


def _empty(event: type[Event]) -> pl.DataFrame:
    return pl.DataFrame(schema=_schema(event.__name__))


def _dtype(kind: Any) -> pl.DataType:
    if isinstance(kind, list):
        return _dtype(kind[1] if kind[0] == "null" else kind[0])
    if isinstance(kind, str):
        primitive: pl.DataType = _PRIMITIVES[kind]()
        return primitive
    if kind["type"] == "array":
        return pl.List(_dtype(kind["items"]))
    return pl.Struct({field["name"]: _dtype(field["type"]) for field in kind["fields"]})


@lru_cache(maxsize=256)
def _header(writer: str) -> bytes:
    """Return the head of an object container for the writer's schema plus the nonce field."""
    fields = [
        {"name": f["name"], "type": f["type"] if _is_enum(f["type"]) else _as_int(f["type"])}
        for f in _fields(writer)
    ]
    nonce = {"name": _NONCE, "type": {"type": "fixed", "name": "WeirNonce", "size": NONCE_BYTES}}
    schema = {"type": "record", "name": "Framed", "fields": [*fields, nonce]}
    entries = ((b"avro.schema", json.dumps(schema).encode()), (b"avro.codec", b"null"))
    pairs = b"".join(_varint(len(part)) + part for entry in entries for part in entry)
    return b"Obj\x01" + _varint(len(entries)) + pairs + b"\x00"


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, dict) and kind["type"] == "enum"


def _as_int(kind: Any) -> Any:
    """Return a type with enums as ints, which they are on the wire: polars knows no nested enum."""
    if isinstance(kind, list):
        return [_as_int(branch) for branch in kind]
    if isinstance(kind, str):
        return kind
    if _is_enum(kind):
        return "int"
    plain = dict(kind)
    if "items" in plain:
        plain["items"] = _as_int(plain["items"])
    if "fields" in plain:
        plain["fields"] = [f | {"type": _as_int(f["type"])} for f in plain["fields"]]
    return plain


def _inline(schema: Any, named: dict[str, Any]) -> Any:
    """Repeat named types where they are referred to, as polars resolves no names; drop the rest."""
    if isinstance(schema, list):
        return [_inline(branch, named) for branch in schema]
    if isinstance(schema, str):
        return named.get(schema.rpartition(".")[2], schema)
    kind = schema["type"]
    if kind == "array":
        return {"type": "array", "items": _inline(schema["items"], named)}
    if kind == "map":
        return {"type": "map", "values": _inline(schema["values"], named)}
    plain = {key: schema[key] for key in ("type", "name", "symbols", "size") if key in schema}
    if kind == "record":
        plain["fields"] = [
            {"name": f["name"], "type": _inline(f["type"], named)} for f in schema["fields"]
        ]
    named[schema["name"].rpartition(".")[2]] = plain
    return plain


def _varint(value: int) -> bytes:
    """Return a non-negative Avro long: zig-zag, then seven bits a byte, lowest first."""
    zigzag = value << 1
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)

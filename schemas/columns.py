"""Batches of events to columns: N framed messages become one polars frame.

A batch of payloads of one schema is one Avro object-container block, which polars decodes in
Rust. Every payload gets a random nonce of eight bytes appended, and the writer's schema a
fixed(8) field for it: bytes that hold two records, too few or too many, shift what follows, and
the nonce tells. Then the batch is read message by message, and exactly the bad ones are reported.
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
    frames = [_empty(event)]
    for schema_id, rows in groups.items():
        part, wrong = _decode_group(values, rows, schema_id, event, codec)
        frames.append(part)
        bad.extend(wrong)
    full = [frame for frame in frames if frame.height] or frames[:1]
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
    if _readable(writer):
        frame = _decode_block(bodies, writer, event)
        if frame is not None:
            return frame.with_columns(pl.Series(_ROW, rows, dtype=pl.Int64)), []
    return _decode_rows(bodies, rows, writer, event)


def _decode_block(bodies: list[bytes], writer: str, event: type[Event]) -> pl.DataFrame | None:
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
    return _align(frame, event)


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
    return pl.DataFrame(good, schema=_schema(event), orient="row"), bad


def _align(frame: pl.DataFrame, event: type[Event]) -> pl.DataFrame | None:
    """Bring a decoded frame to the newest shape: defaults, promotions, order.

    None when a nested type differs, which polars cannot resolve as Avro does.
    """
    wanted = _schema(event)
    defaults = _defaults(event)
    columns = []
    for name, dtype in wanted.items():
        if name == _ROW:
            continue
        if name not in frame.columns:
            if name not in defaults:
                return None
            columns.append(pl.lit(defaults[name], dtype=dtype).alias(name))
        elif frame.schema[name] == dtype:
            columns.append(pl.col(name))
        elif frame.schema[name].is_numeric() and dtype.is_numeric():
            columns.append(pl.col(name).cast(dtype))
        else:
            return None
    return frame.select(columns)


@lru_cache(maxsize=256)
def _schema(event: type[Event]) -> dict[str, pl.DataType]:
    fields = plain_types(files.schema(event.__name__))["fields"]
    named: dict[str, pl.DataType] = {}
    columns = {field["name"]: _dtype(field["type"], named) for field in fields}
    return columns | {_ROW: pl.Int64()}


@lru_cache(maxsize=256)
def _defaults(event: type[Event]) -> dict[str, Any]:
    fields = files.schema(event.__name__)["fields"]
    return {field["name"]: field["default"] for field in fields if "default" in field}


def _empty(event: type[Event]) -> pl.DataFrame:
    return pl.DataFrame(schema=_schema(event))


def _dtype(kind: Any, named: dict[str, pl.DataType]) -> pl.DataType:
    if isinstance(kind, list):
        return _dtype(kind[1] if kind[0] == "null" else kind[0], named)
    if isinstance(kind, str):
        primitive = _PRIMITIVES.get(kind)
        return named[kind] if primitive is None else primitive()
    if kind["type"] == "array":
        return pl.List(_dtype(kind["items"], named))
    if kind["type"] == "record":
        inner = pl.Struct({f["name"]: _dtype(f["type"], named) for f in kind["fields"]})
        named[f"{kind.get('namespace', 'weir')}.{kind['name']}"] = inner
        return inner
    return _dtype(kind["type"], named)


@lru_cache(maxsize=256)
def _readable(writer: str) -> bool:
    """Whether polars can decode the schema: no maps, whose reading ends in a panic."""
    return '"map"' not in writer


@lru_cache(maxsize=256)
def _header(writer: str) -> bytes:
    """Return the head of an object container for the writer's schema plus the nonce field."""
    schema = _inline(plain_types(json.loads(writer)), {})
    nonce = {"name": _NONCE, "type": {"type": "fixed", "name": "WeirNonce", "size": NONCE_BYTES}}
    schema["fields"] = [*schema["fields"], nonce]
    text = json.dumps(schema).encode()
    entries = ((b"avro.schema", text), (b"avro.codec", b"null"))
    pairs = b"".join(_varint(len(part)) + part for entry in entries for part in entry)
    return b"Obj\x01" + _varint(len(entries)) + pairs + b"\x00"


def _inline(schema: Any, named: dict[str, Any]) -> Any:
    """Repeat records where they are referred to by name: polars resolves no names."""
    if isinstance(schema, list):
        return [_inline(branch, named) for branch in schema]
    if isinstance(schema, str):
        return named.get(schema.rpartition(".")[2], schema) if schema not in _PRIMITIVES else schema
    copy = {key: value for key, value in schema.items() if key not in ("doc", "default")}
    if copy["type"] == "record":
        copy["fields"] = [
            {"name": f["name"], "type": _inline(f["type"], named)} for f in copy["fields"]
        ]
        named[copy["name"]] = copy
    elif copy["type"] == "array":
        copy["items"] = _inline(copy["items"], named)
    return copy


def _varint(value: int) -> bytes:
    """Return a non-negative Avro long: zig-zag, then seven bits a byte, lowest first."""
    zigzag = value << 1
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)

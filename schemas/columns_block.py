"""A batch of payloads of one schema as one Avro object-container block, which polars decodes.

Every payload gets a random nonce of eight bytes appended, and the writer's schema a fixed(8)
field for it: bytes that hold two records, too few or too many, shift what follows, and the nonce
tells.

Polars panics on lengths that point beyond the block; the panic is caught here, but Rust writes a
line to stderr. It is lenient in one place: any union index but null's is taken as the other
branch, which changes no value, neither of that message nor of another.
"""

import io
import json
import secrets
from functools import lru_cache
from typing import Any

import polars as pl

from schemas import files
from schemas.codec import without_logical_types as plain_types
from schemas.errors import DecodeError

NONCE_BYTES = 8
_NONCE = "_nonce"
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


def seed() -> int:
    """Return 64 bits that nobody can guess, for hashes that must not be made to collide."""
    return secrets.randbits(64)


def decode_block(bodies: list[bytes], writer: str) -> pl.DataFrame | None:
    """Decode bodies of one schema in one go; None when any of them is not exactly one record."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    frame = _read(_header(writer), len(bodies), nonce.join(bodies) + nonce)
    if frame is None or frame.height != len(bodies):
        return None
    whole = frame.select((pl.col(_NONCE) == pl.lit(nonce)).all()).item()
    return frame if whole else None


def read_block(block: bytes, count: int, writer: str) -> pl.DataFrame:
    """Decode records of a flat schema that are well formed, but for texts that may be no UTF-8.

    Raises DecodeError (malformed) when there are such.
    """
    frame = _read(_plain_header(writer), count, block)
    if frame is None:
        raise DecodeError("malformed", "a text is no UTF-8")
    return frame


def _read(header: bytes, count: int, block: bytes) -> pl.DataFrame | None:
    sync = secrets.token_bytes(16)
    head = header + sync + varint(count) + varint(len(block))
    try:
        return pl.read_avro(io.BytesIO(b"".join((head, block, sync))))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError):
        return None


@lru_cache(maxsize=256)
def plan_of(writer: str, record: str) -> list[pl.Expr] | None:
    """Return what brings a frame of the writer's schema to the record's newest shape.

    None where polars does not resolve as Avro does: maps, most unions, changes inside of records.
    """
    written = {field["name"]: field["type"] for field in fields_of(writer)}
    if _NONCE in written or not all(map(_decodes, written.values())):
        return None
    columns = []
    for field in fields_of(files.text(record)):
        name, dtype = field["name"], dtype_of(field["type"])
        given = next((n for n in (name, *field.get("aliases", ())) if n in written), None)
        if given is None and "default" in field:
            columns.append(_default(field, dtype).alias(name))
        elif given is None or not _resolves(written[given], field["type"]):
            return None
        elif dtype_of(written[given]) == dtype:
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
def fields_of(schema: str) -> list[dict[str, Any]]:
    """Return the fields of a record, every type written out where it stands."""
    top = json.loads(schema)
    inlined = _inline(plain_types(top), {})
    return [
        field | {"type": plain["type"]}
        for field, plain in zip(top["fields"], inlined["fields"], strict=True)
    ]


def dtype_of(kind: Any) -> pl.DataType:
    """Return the polars type of a plain Avro type."""
    if isinstance(kind, list):
        return dtype_of(kind[1] if kind[0] == "null" else kind[0])
    if isinstance(kind, str):
        primitive: pl.DataType = _PRIMITIVES[kind]()
        return primitive
    if kind["type"] == "array":
        return pl.List(dtype_of(kind["items"]))
    return pl.Struct({field["name"]: dtype_of(field["type"]) for field in kind["fields"]})


@lru_cache(maxsize=256)
def _header(writer: str) -> bytes:
    """Return the head of an object container for the writer's schema plus the nonce field."""
    fields = [
        {"name": f["name"], "type": f["type"] if _is_enum(f["type"]) else _as_int(f["type"])}
        for f in fields_of(writer)
    ]
    nonce = {"name": _NONCE, "type": {"type": "fixed", "name": "WeirNonce", "size": NONCE_BYTES}}
    return _container([*fields, nonce])


@lru_cache(maxsize=16)
def _plain_header(writer: str) -> bytes:
    return _container(fields_of(writer))


def _container(fields: list[dict[str, Any]]) -> bytes:
    schema = {"type": "record", "name": "Framed", "fields": fields}
    entries = ((b"avro.schema", json.dumps(schema).encode()), (b"avro.codec", b"null"))
    pairs = b"".join(varint(len(part)) + part for entry in entries for part in entry)
    return b"Obj\x01" + varint(len(entries)) + pairs + b"\x00"


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


def varint(value: int) -> bytes:
    """Return a non-negative Avro long: zig-zag, then seven bits a byte, lowest first."""
    zigzag = value << 1
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)

"""Events to bytes and back, one at a time, in the Confluent wire format (0, schema id, Avro).

fastavro does the work, on schemas from which logical types are removed: an instant stays the
integer that stands on the wire. What a request waits for has functions of its own, made for the
newest schema (`quick_reader`, `quick_writer`); what is odd goes the slower way, which says why.
Batches are decoded by `schemas.columns`.
"""

import io
import json
import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType, parse_schema
from fastavro.validation import ValidationError, validate

from schemas import files, introspect
from schemas.base import Event
from schemas.errors import DecodeError, EncodeError
from schemas.quick_reader import ODD, reader_of
from schemas.quick_writer import writer_of

E = TypeVar("E", bound=Event)
T = TypeVar("T")
MAGIC = 0
QUICK = ("InferenceRequest", "InferenceTask", "InferenceResult", "InferenceResponse")
"""Records that have functions of their own: the way of a request."""
PREFIX = struct.Struct(">bI")
_UNPARSABLE = (
    SchemaParseException,
    UnknownType,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""What json and fastavro raise on texts that are no Avro schema."""
_UNREADABLE = (
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)
"""What fastavro raises on bytes that do not follow the writer's schema."""
_UNFIT = (ValueError, TypeError, OverflowError, AttributeError, struct.error)
"""What writing raises on values that do not fit the schema."""
SchemaLookup = Callable[[int], str]
"""From a registry's schema id to the schema's JSON; raises KeyError when there is no such id."""


def without_logical_types(schema: Any) -> Any:
    """Return the schema with every logical type replaced by the type that it annotates."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kind, plain = schema["type"], dict(schema)
    if kind in ("record", "error"):
        plain["fields"] = [
            field | {"type": without_logical_types(field["type"])} for field in schema["fields"]
        ]
    elif kind in ("array", "map"):
        inner = "items" if kind == "array" else "values"
        plain[inner] = without_logical_types(schema[inner])
    elif kind not in ("enum", "fixed"):
        return without_logical_types(kind)
    plain.pop("logicalType", None)
    return plain


@lru_cache(maxsize=1024)
def parsed(schema: str, count: int | None = None) -> Any:
    """Return a record's schema, given as JSON, ready for fastavro and without logical types.

    With `count`, only its first fields are kept. Raises DecodeError (bad-schema) when the text is
    no Avro record.
    """
    try:
        top = without_logical_types(json.loads(schema))
        fields = top["fields"][:count]
        return parse_schema(top | {"fields": fields})
    except _UNPARSABLE as error:
        raise DecodeError(
            "bad-schema", f"the schema that the value names is no Avro record: {error}"
        ) from error


def _own(record: str) -> Any:
    return parsed(files.text(record))


def frame(schema_id: int, payload: bytes) -> bytes:
    """Return a payload behind the Confluent prefix."""
    return PREFIX.pack(MAGIC, schema_id) + payload


def schema_id_of(value: bytes) -> int:
    """Return the schema id that a message value names.

    Raises DecodeError (not-framed) when it does not begin with the Confluent prefix.
    """
    if len(value) < PREFIX.size or value[0] != MAGIC:
        raise DecodeError(
            "not-framed",
            "the value does not begin with byte 0 and a schema id; send it through a serializer "
            "that speaks the Confluent wire format",
        )
    return int.from_bytes(value[1:5], "big")


def pack(event: Event) -> bytes:
    """Return the Avro body of an event, written with the newest schema of its record.

    Raises EncodeError, naming the field, when a value does not fit the schema.
    """
    if type(event).__name__ in QUICK:
        try:
            return writer_of(type(event).__name__)(event)
        except _UNFIT:
            return _pack_slowly(event)
    return _pack_slowly(event)


def _pack_slowly(event: Event) -> bytes:
    buffer = io.BytesIO()
    record = type(event)
    try:
        plain = introspect.to_plain(record)(event)
        fastavro.schemaless_writer(buffer, _own(record.__name__), plain)
    except _UNFIT as error:
        raise EncodeError(_why(event, error)) from error
    return buffer.getvalue()


def _why(event: Event, error: Exception) -> str:
    record = type(event)
    try:
        validate(introspect.to_plain(record)(event), _own(record.__name__), raise_errors=True)
    except ValidationError as invalid:
        return f"{record.__name__}: {invalid}"
    except (TypeError, AttributeError) as invalid:
        return f"{record.__name__}: {invalid}"
    return f"{record.__name__}: {error}"


def unpack_plain(body: bytes, writer: str, reader: type[Event]) -> dict[str, Any]:
    """Return the plain data of one Avro body written with `writer`, in the reader's newest shape.

    Raises DecodeError (malformed, trailing-bytes, wrong-record, bad-schema), with the field where
    there is one.
    """
    written, wanted = parsed(writer), _own(reader.__name__)
    if record_name(writer) != reader.__name__:
        raise DecodeError(
            "wrong-record", f"a {record_name(writer)} where a {reader.__name__} stands"
        )
    buffer = io.BytesIO(body)
    try:
        read: Any = fastavro.schemaless_reader(buffer, written, wanted)
    except SchemaResolutionError as error:
        raise _unresolved(written, wanted, error) from error
    except _UNREADABLE as error:
        field = _unreadable_field(body, writer)
        text = "the bytes end here" if isinstance(error, EOFError) else str(error)
        raise DecodeError(
            "malformed", f"{reader.__name__}.{field} cannot be read: {text}", field
        ) from error
    rest = len(body) - buffer.tell()
    if rest:
        raise DecodeError(
            "trailing-bytes", f"{rest} bytes follow the {reader.__name__}; send one record each"
        )
    plain: dict[str, Any] = read
    for name in _byte_defaults(reader.__name__):
        if isinstance(plain[name], str):
            plain[name] = plain[name].encode("latin-1")
    return plain


@lru_cache(maxsize=256)
def _byte_defaults(record: str) -> tuple[str, ...]:
    """Return the fields whose default fastavro fills in as the text that stands in the schema."""
    fields = _own(record)["fields"]
    return tuple(f["name"] for f in fields if f["type"] == "bytes" and "default" in f)


def _unresolved(written: Any, wanted: Any, error: SchemaResolutionError) -> DecodeError:
    given = {field["name"] for field in written["fields"]}
    for field in wanted["fields"]:
        if field["name"] not in given and "default" not in field:
            name = field["name"]
            return DecodeError("wrong-record", f"{name} is missing from the writer's schema", name)
    return DecodeError("wrong-record", f"the writer's schema does not fit: {error}")


def _unreadable_field(body: bytes, writer: str) -> str:
    """Return the first field of the writer's schema at which reading fails, by bisection."""
    names = [field["name"] for field in parsed(writer)["fields"]]

    def fails(count: int) -> bool:
        try:
            fastavro.schemaless_reader(io.BytesIO(body), parsed(writer, count), None)
        except _UNREADABLE:
            return True
        return False

    index = bisect_left(range(1, len(names)), True, key=fails)
    return str(names[index])


def readable_fields(body: bytes, writer: str) -> dict[str, Any]:
    """Return the leading fields of a body that its writer's schema can read, as plain data.

    For people who look at a message that nobody could decode. Raises DecodeError (bad-schema).
    """
    names = [field["name"] for field in parsed(writer)["fields"]]
    for count in range(len(names), 0, -1):
        try:
            read: Any = fastavro.schemaless_reader(io.BytesIO(body), parsed(writer, count), None)
        except _UNREADABLE:
            continue
        return dict(read)
    return {}


class Codec:
    """Encodes with the ids that a registry gave, decodes with any schema that it knows."""

    def __init__(self, ids: Mapping[type[Event], int], schema_of: SchemaLookup) -> None:
        self._ids = ids
        self._schema_of = schema_of
        self._quick: dict[bytes, type[Event] | None] = {}

    def encode(self, event: Event) -> bytes:
        """Return the framed bytes of an event.

        Raises EncodeError when a value does not fit the schema or the record has no id.
        """
        return self.framed(type(event), pack(event))

    def framed(self, event: type[Event], body: bytes) -> bytes:
        """Return the framed bytes of an event's body, written with the newest schema.

        Raises EncodeError when the record has no id.
        """
        schema_id = self._ids.get(event)
        if schema_id is None:
            raise EncodeError(f"{event.__name__} is not registered; run `weir schemas register`")
        return frame(schema_id, body)

    def writer_schema(self, schema_id: int) -> str:
        """Return the JSON of a record's schema by its id.

        Raises DecodeError (unknown-schema, bad-schema) when the registry has no such id, or has
        something else than an Avro record under it.
        """
        try:
            text = self._schema_of(schema_id)
        except KeyError as error:
            raise DecodeError(
                "unknown-schema",
                f"the registry has no schema with id {schema_id}; register the schema first",
            ) from error
        parsed(text)
        return text

    def decode(self, value: bytes, *events: type[E], fields: tuple[str, ...] | None = None) -> E:
        """Return the event in a framed value; it must be one of the given classes.

        With `fields`, it may have these alone, where that is quicker. Raises DecodeError.
        """
        kind = self._quick.get(value[: PREFIX.size])
        if kind is not None and kind in events:
            try:
                quick: E = reader_of(kind, fields)(value, PREFIX.size)
            except ODD:
                pass  # what is wrong with it, the slower way says
            else:
                return quick
        return self._decode_slowly(value, events)

    def _decode_slowly(self, value: bytes, events: tuple[type[E], ...]) -> E:
        writer = self.writer_schema(schema_id_of(value))
        reader = _reader(writer, events)
        plain = unpack_plain(value[PREFIX.size :], writer, reader)
        prefix = value[: PREFIX.size]
        if prefix not in self._quick:
            newest = reader.__name__ in QUICK and parsed(writer) == _own(reader.__name__)
            self._quick[prefix] = reader if newest else None
        event: E = introspect.from_plain(reader)(plain)
        return event


def _reader(writer: str, events: tuple[type[E], ...]) -> type[E]:
    if len(events) == 1:
        return events[0]
    name = record_name(writer)
    for event in events:
        if event.__name__ == name:
            return event
    allowed = ", ".join(event.__name__ for event in events)
    raise DecodeError("wrong-record", f"a {name} does not belong here; allowed: {allowed}")


@lru_cache(maxsize=1024)
def record_name(schema: str) -> str:
    """Return the record name, without namespace, of a schema given as JSON."""
    top = json.loads(schema)
    name = top.get("name", "") if isinstance(top, dict) else ""
    return str(name).rpartition(".")[2]


@lru_cache(maxsize=256)
def _state_schema(state: type) -> Any:
    return parse_schema(without_logical_types(introspect.avro_of(state, namespace="weir.state")))


def pack_state(state: Any) -> bytes:
    """Return a processor's state, a dataclass of Avro-compatible fields, as Avro bytes."""
    kind: type = type(state)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _state_schema(kind), introspect.to_plain(kind)(state))
    return buffer.getvalue()


def unpack_state(data: bytes, state: type[T], writer: str = "") -> T:
    """Return the state that `pack_state` wrote, or another format of it, with its schema as JSON.

    Raises DecodeError (malformed, trailing-bytes) when the bytes are no such state.
    """
    kind: type = state
    buffer = io.BytesIO(data)
    written = parsed(writer) if writer else _state_schema(kind)
    try:
        plain = fastavro.schemaless_reader(buffer, written, _state_schema(kind) if writer else None)
    except (SchemaResolutionError, *_UNREADABLE) as error:
        raise DecodeError("malformed", f"no {state.__name__} can be read: {error}") from error
    if buffer.tell() != len(data):
        raise DecodeError("trailing-bytes", f"more than one {state.__name__}")
    built: T = introspect.from_plain(kind)(plain)
    return built

"""Batches of events to columns: N framed messages become one polars frame.

A batch of payloads of one schema is decoded in one go (`schemas.columns_block`). Where any of
them is not exactly one record, the batch is read message by message, and exactly the bad ones are
reported. Metrics go on as rows of numbers beside a short frame of the series they belong to.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from schemas import files, introspect
from schemas.base import Event
from schemas.codec import PREFIX, Codec, record_name, schema_id_of, unpack_plain
from schemas.columns_block import decode_block, dtype_of, fields_of, plan_of, varint
from schemas.errors import DecodeError
from schemas.topics import SERIES

KEYS = (*SERIES, "unit")
"""Columns of a frame of series after its `_key`."""
_LEAN = {
    "event_time": pl.Int64(),
    "value": pl.Float64(),
    "_series": pl.UInt32(),
    "_offset": pl.Int64(),
    "request_id": pl.String(),
}
_ROW = "_row"
Planner = Callable[[str, str], list[pl.Expr] | None]
"""From a writer's schema and a record to how a whole block is resolved; None: it is not."""


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
    return _decode(values, event, codec, plan_of)


def decode_rows(values: Sequence[bytes], event: type[Event], codec: Codec) -> Decoded:
    """Do the same message by message, which is slower and lenient nowhere."""
    return _decode(values, event, codec, _no_plan)


def _no_plan(_writer: str, _record: str) -> None:
    return None


def _decode(values: Sequence[bytes], event: type[Event], codec: Codec, planned: Planner) -> Decoded:
    groups, bad = _by_schema(values)
    frames = []
    for schema_id, rows in groups.items():
        try:
            writer = codec.writer_schema(schema_id)
        except DecodeError as error:
            bad.extend(Bad(row, error) for row in rows)
            continue
        part, wrong = _decode_group(values, rows, writer, event, planned(writer, event.__name__))
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
    values: Sequence[bytes],
    rows: list[int],
    writer: str,
    event: type[Event],
    plan: list[pl.Expr] | None,
) -> tuple[pl.DataFrame, list[Bad]]:
    if record_name(writer) != event.__name__:
        wrong = DecodeError(
            "wrong-record", f"a {record_name(writer)} where {event.__name__} stands"
        )
        return _empty(event), [Bad(row, wrong) for row in rows]
    bodies = [values[row][PREFIX.size :] for row in rows]
    frame = None if plan is None else decode_block(bodies, writer)
    if plan is not None and frame is not None:
        return frame.select(plan).with_columns(pl.Series(_ROW, rows, dtype=pl.Int64)), []
    return _decode_rows(bodies, rows, writer, event)


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
def _schema(record: str) -> dict[str, pl.DataType]:
    columns = {field["name"]: dtype_of(field["type"]) for field in fields_of(files.text(record))}
    return columns | {_ROW: pl.Int64()}


def frame_of(event: type[Event], events: Sequence[Event]) -> pl.DataFrame:
    """Return events of one class as a decoded frame has them, without `_row`."""
    plain = introspect.to_plain(event)
    schema = {name: dtype for name, dtype in _schema(event.__name__).items() if name != _ROW}
    return pl.DataFrame([plain(one) for one in events], schema=schema, orient="row")


def _empty(event: type[Event]) -> pl.DataFrame:
    return pl.DataFrame(schema=_schema(event.__name__))


def metrics(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Code a frame with the fields of MetricReport and `_offset`, as `Columns` has it.

    Returns the rows and their series, in the order in which those come first. `request_id` may be
    absent.
    """
    series = frame.select(KEYS).unique(maintain_order=True)
    coded = frame.join(series.with_row_index("_series"), on=KEYS, how="left", maintain_order="left")
    if "request_id" not in frame.columns:
        coded = coded.with_columns(pl.lit(None, dtype=pl.String).alias("request_id"))
    keys = [key_of(row) for row in series.iter_rows()]
    lean = coded.select(pl.col(name).cast(dtype) for name, dtype in _LEAN.items())
    return lean, series.select(pl.Series("_key", keys, dtype=pl.Binary), *KEYS)


def key_of(texts: Iterable[str]) -> bytes:
    """Return the `_key` of a series: its texts and the unit as Avro writes them."""
    return b"".join(varint(len(data)) + data for data in map(str.encode, texts))

"""From messages of one topic to frames for the tables: pure, and nobody else's row is lost.

Whatever cannot be decoded or makes no sense is reported with its message and left out. Tombstones
of catalogue topics become rows that say so.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl

from schemas import columns
from schemas.base import Event
from schemas.checks_frame import check_frame
from schemas.codec import Codec, record_name, schema_id_of
from schemas.errors import DecodeError, InvalidEvent
from schemas.identity import stable_id
from schemas.partitioning import partition_of
from schemas.topics import Topic
from workers.kafka.clients import RawMessage
from workers.sinking.tables import Table, tables

_ROW = "_row"
_UTC = pl.Datetime("ms", "UTC")
_MEMBER = re.compile(r"`(\w+)` (?:Nullable\()?DateTime64")


@dataclass(frozen=True, slots=True)
class Unusable:
    """A message that gives no row, and why."""

    message: RawMessage
    error: DecodeError | InvalidEvent


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch of one topic gives: frames in the shape of their tables, and what is wrong."""

    frames: tuple[tuple[Table, pl.DataFrame], ...]
    unusable: tuple[Unusable, ...]


def rows_of(
    topic: Topic, messages: Sequence[RawMessage], codec: Codec, cluster: str, partitions: int = 1
) -> Rows:
    """Turn messages of one topic, of `partitions` partitions, into rows.

    What stands in a wrong partition gives none where the topic has a mover: it comes again.
    Raises what the codec's registry raises when it cannot be reached.
    """
    unusable: list[Unusable] = []
    groups: dict[type[Event], list[RawMessage]] = {}
    ended: list[RawMessage] = []
    for message in messages:
        try:
            kind = _kind(topic, message, codec)
        except DecodeError as error:
            unusable.append(Unusable(message, error))
            continue
        (ended if kind is None else groups.setdefault(kind, [])).append(message)
    frames: dict[type[Event], list[pl.DataFrame]] = {}
    for event, part in groups.items():
        frame, wrong = _decoded(event, part, codec)
        if frame.height and topic.mover and partitions > 1:
            frame = _at_home(frame, topic, partitions)
        frames[event] = [_finished(event, frame, topic, cluster)] if frame.height else []
        unusable += wrong
    for event in topic.events if ended else ():
        frames.setdefault(event, []).append(_tombstones(event, ended, topic, cluster))
    whole = [(tables()[e], pl.concat(f, how="diagonal")) for e, f in frames.items() if f]
    return Rows(tuple(whole), tuple(unusable))


def _kind(topic: Topic, message: RawMessage, codec: Codec) -> type[Event] | None:
    """Return the class that a message is to be read as; None for a tombstone."""
    value = message.value()
    if value is None:
        if topic.compacted:
            return None
        raise DecodeError("not-framed", f"no value; {topic.name} is not compacted, nothing to end")
    if len(value) > topic.max_bytes:
        raise DecodeError("too-large", f"{len(value)} bytes; {topic.name} takes {topic.max_bytes}")
    if len(topic.events) == 1:
        return topic.events[0]
    name = record_name(codec.writer_schema(schema_id_of(value)))
    for event in topic.events:
        if event.__name__ == name:
            return event
    allowed = ", ".join(event.__name__ for event in topic.events)
    raise DecodeError("wrong-record", f"a {name} does not belong here; allowed: {allowed}")


def _decoded(
    event: type[Event], messages: list[RawMessage], codec: Codec
) -> tuple[pl.DataFrame, list[Unusable]]:
    decoded = columns.decode([message.value() or b"" for message in messages], event, codec)
    unusable = [Unusable(messages[bad.row], bad.error) for bad in decoded.bad]
    placed = _placed(messages)
    frame = decoded.frame
    if frame.height != placed.height:
        placed = placed[frame[_ROW].to_list()]
    good, refused = check_frame(frame.hstack(placed), event)
    unusable += [Unusable(messages[wrong.row], wrong.error) for wrong in refused]
    return good.drop(_ROW), unusable


def _at_home(frame: pl.DataFrame, topic: Topic, partitions: int) -> pl.DataFrame:
    """Return the rows that stand where their key says."""
    key = pl.concat_str(topic.key, separator="/")
    keys = frame.select(key.alias("key")).to_series().unique()
    homes = [partition_of(key, partitions) for key in keys]
    home = key.replace_strict(keys, homes, return_dtype=pl.Int32)
    return frame.filter(home == pl.col("_partition"))


def _placed(messages: Iterable[RawMessage]) -> pl.DataFrame:
    places = [(m.partition(), m.offset(), m.timestamp()[1], m.key() or b"") for m in messages]
    partitions, offsets, stamps, keys = zip(*places, strict=True)
    return pl.DataFrame(
        {
            "_partition": pl.Series(partitions, dtype=pl.Int32),
            "_offset": pl.Series(offsets, dtype=pl.Int64),
            "_timestamp": pl.Series(stamps, dtype=pl.Int64),
            "_key": pl.Series(keys, dtype=pl.Binary),
        }
    )


def _finished(event: type[Event], frame: pl.DataFrame, topic: Topic, cluster: str) -> pl.DataFrame:
    table = tables()[event]
    stood = [pl.lit(cluster).alias("_cluster"), pl.lit(topic.name).alias("_topic")]
    instants = [
        pl.col(name).cast(_dated(frame.schema[name], members) if members else _UTC)
        for name, members in _instants(table).items()
    ]
    tensors = [_without_data(frame[name]) for name in _tensors(event, frame)]
    deleted = [pl.lit(value=False).alias("_deleted")] if topic.compacted else []
    shaped = frame.with_columns(*stood, *instants, *tensors, *deleted)
    return shaped.select([column.name for column in table.columns])


def _instants(table: Table) -> dict[str, frozenset[str]]:
    """Return the columns that are or hold instants, and which members of their records are."""
    dated = (column for column in table.columns if "DateTime64" in column.type)
    return {column.name: frozenset(_MEMBER.findall(column.type)) for column in dated}


def _dated(kind: Any, members: frozenset[str]) -> Any:
    """Return the type of a column of records with instants in the place of their milliseconds."""
    if isinstance(kind, pl.List):
        return pl.List(_dated(kind.inner, members))
    if isinstance(kind, pl.Struct):
        return pl.Struct(
            {f.name: _UTC if f.name in members else _dated(f.dtype, members) for f in kind.fields}
        )
    return kind


@lru_cache(maxsize=64)
def _tensor_type() -> pl.DataType:
    text = pl.String()
    return pl.List(
        pl.Struct(
            {
                "name": text,
                "dtype": text,
                "shape": pl.List(pl.Int64),
                "length": pl.Int64(),
                "reference": text,
                "digest": text,
            }
        )
    )


def _tensors(event: type[Event], frame: pl.DataFrame) -> list[str]:
    marked = [c.name for c in tables()[event].columns if "`length` Nullable(Int64)" in c.type]
    return [name for name in marked if name in frame.columns]


def _without_data(series: pl.Series) -> pl.Series:
    """Return a column of tensors with length and digest in the place of their data."""
    kept = [[_described(tensor) for tensor in tensors] for tensors in series.to_list()]
    return pl.Series(series.name, kept, dtype=_tensor_type())


def _described(tensor: dict[str, Any]) -> dict[str, Any]:
    data = tensor.pop("data")
    tensor["length"] = None if data is None else len(data)
    if data is not None and tensor["digest"] is None:
        tensor["digest"] = hashlib.sha256(data).hexdigest()
    return tensor


def _tombstones(
    event: type[Event], messages: list[RawMessage], topic: Topic, cluster: str
) -> pl.DataFrame:
    """Return rows that end entries: the key in its field, an id of their own, else defaults."""
    table = tables()[event]
    placed = _placed(messages).with_columns(
        pl.lit(cluster).alias("_cluster"),
        pl.lit(topic.name).alias("_topic"),
        pl.col("_timestamp").cast(_UTC),
        pl.lit(value=True).alias("_deleted"),
        pl.Series(topic.key[0], [(m.key() or b"").decode("utf-8", "replace") for m in messages]),
    )
    if "event_id" not in {column.name for column in table.columns}:
        return placed
    places = placed.select("_partition", "_offset").iter_rows()
    ids = [stable_id("tombstone", cluster, topic.name, *place) for place in places]
    return placed.with_columns(pl.Series("event_id", ids))

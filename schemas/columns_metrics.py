"""Metrics to numbers, fast: compiled readers for the plain ones, `schemas.columns` for the rest.

What a writer's schema of plain fields says is read by a compiled kernel, as far as a message is
right. Whatever else a batch holds is read as any event is, so that the same messages are refused
with the same words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import checks, checks_frame, columns
from schemas import kernels_metrics as kernels
from schemas.base import Event
from schemas.codec import PREFIX, Codec, schema_id_of
from schemas.columns_block import read_block
from schemas.columns_programs import program_of
from schemas.columns_series import UNUSABLE, SeriesTable
from schemas.errors import ContractError, DecodeError
from schemas.observing import MetricReport
from schemas.topics import home_of

Longs = npt.NDArray[np.int64]
TOPIC = home_of(MetricReport)
Reader = Callable[[Sequence[bytes], type[Event], Codec], columns.Decoded]
MOST_SCHEMAS = 8
"""Writers' schemas of a batch that are read by kernels; the messages of others are the rest."""
_REQUESTS = '{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "string"]}]}'


@dataclass(frozen=True, slots=True)
class Bad:
    """A message that cannot be used: its position in the batch, and why."""

    row: int
    error: ContractError


@dataclass(frozen=True, slots=True)
class Metrics:
    """Rows and series as `Columns` has them; `homes` has the hash of each series' message key.

    Modulo the number of partitions it says where the series belongs. `bad` is ascending.
    """

    frame: pl.DataFrame
    series: pl.DataFrame
    homes: Longs
    bad: tuple[Bad, ...]


@dataclass(slots=True)
class _Part:
    """Rows that were read in one way, and what they say; all of the same length."""

    rows: Longs
    times: Longs
    values: npt.NDArray[np.float64]
    entries: Longs
    requests: pl.Series

    def at(self, places: npt.NDArray[np.bool_] | Longs) -> "_Part":
        """Return the rows at places, or those where places are true."""
        chosen = np.flatnonzero(places) if places.dtype == np.bool_ else places
        return _Part(
            self.rows[chosen],
            self.times[chosen],
            self.values[chosen],
            self.entries[chosen],
            self.requests[chosen],
        )


class MetricDecoder:
    """Decodes batches of MetricReport, and knows the series of those before."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._table = SeriesTable()
        self._rooms = [np.empty(0, np.uint8) for _ in range(3)]
        self._unasked = pl.Series([], dtype=pl.String)

    def decode(self, values: Sequence[bytes], timestamps: Longs, offsets: Longs) -> Metrics:
        """Decode framed messages, given their records' timestamps (ms) and offsets.

        Nothing is raised for bad messages: they are reported, and disturb nobody.
        """
        self._table.begin()
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        large = np.flatnonzero(lengths > TOPIC.max_bytes)
        parts, odd, others = self._by_kernels(values, lengths, timestamps)
        bad = _too_large(lengths, large)
        for rows, reader in ((odd, columns.decode_rows), (others, columns.decode)):
            if rows.size or not parts:
                part, wrong = self._by_rows(values, rows, timestamps, reader)
                parts.append(part)
                bad += wrong
        whole = parts[0] if len(parts) == 1 else _merged(parts)
        codes, series, homes = self._table.coded(whole.entries)
        frame = pl.DataFrame(
            {
                "event_time": whole.times,
                "value": whole.values,
                "_series": codes,
                "_offset": offsets if whole.rows.size == len(values) else offsets[whole.rows],
                "request_id": whole.requests,
            }
        )
        return Metrics(frame, series, homes, tuple(sorted(bad, key=lambda wrong: wrong.row)))

    def _by_kernels(
        self, values: Sequence[bytes], lengths: Longs, timestamps: Longs
    ) -> tuple[list[_Part], Longs, Longs]:
        """Read what kernels can, schema by schema.

        Returns that, the rows of the same schemas that are not plainly right, and other rows.
        """
        data = np.frombuffer(bytearray().join((*values, bytes(kernels.SPARE))), np.uint8)
        ends = np.cumsum(lengths)
        pending = np.flatnonzero(lengths <= TOPIC.max_bytes)
        rest, left = [pending[:0]], [pending[:0]]
        parts: list[_Part] = []
        for _ in range(MOST_SCHEMAS):
            if not pending.size:
                break
            prefix = values[int(pending[0])][: PREFIX.size]
            program = self._program(prefix)
            if program is None:
                alike = np.array([values[row][: PREFIX.size] == prefix for row in pending.tolist()])
                left.append(pending[alike])
                pending = pending[~alike]
                continue
            given = (data, ends, pending, int.from_bytes(prefix, "little"), program)
            part, odd, pending = self._read(given)
            usable = self._table.homes(part.entries) != UNUSABLE
            usable &= part.times <= timestamps[part.rows] + checks.MAX_AHEAD_MS
            if not usable.all():
                odd = np.concatenate([odd, part.rows[~usable]])
                part = part.at(usable)
            parts.append(part)
            rest.append(odd)
        return parts, np.sort(np.concatenate(rest)), np.sort(np.concatenate([*left, pending]))

    def _program(self, prefix: bytes) -> Longs | None:
        """Return how to read what has a prefix; None when that takes longer, or is wrong."""
        try:
            return program_of(self._codec.writer_schema(schema_id_of(prefix)))
        except DecodeError:
            return None

    def _read(self, given: kernels.Input) -> tuple[_Part, Longs, Longs]:
        """Return what was read, the rows that a kernel does not read, and those it did not try."""
        data, ends, rows, _, _ = given
        count = ends.size
        times, numbers = np.empty(count, np.int64), np.empty(count, np.float64)
        status, starts, lengths = self._room(3 * count * 8, 0).view(np.int64).reshape(3, count)
        keys = self._room((data.size + kernels.SPARE * (rows.size + 1)) & ~7, 1)
        requests = self._room(data.size + rows.size + kernels.SPARE, 2)
        made = (status, times, numbers, starts, lengths, keys, requests)
        key_bytes, request_bytes, told = kernels.decode(given, made)
        found = status[rows]
        read = rows if not found.any() else rows[found == kernels.READ]
        texts = self._texts(requests[:request_bytes], read.size, told)
        if read.size < count:
            times, numbers = times[read], numbers[read]
            starts, lengths = starts[read], lengths[read]
        entries = self._table.find(keys[:key_bytes].view(np.uint64), starts >> 3, lengths)
        part = _Part(read, times, numbers, entries, texts)
        return part, rows[found == kernels.ODD], rows[found == kernels.OTHER]

    def _texts(self, requests: npt.NDArray[np.uint8], count: int, told: int) -> pl.Series:
        """Return request ids from Avro, `told` of which are not null."""
        if told:
            return read_block(requests.tobytes(), count, _REQUESTS)["r"]
        if len(self._unasked) < count:
            self._unasked = pl.Series([None], dtype=pl.String).new_from_index(0, 2 * count)
        return self._unasked.head(count)

    def _room(self, size: int, number: int) -> npt.NDArray[np.uint8]:
        """Return bytes to work in, whose content is of no use after a batch."""
        if self._rooms[number].size < size:
            self._rooms[number] = np.empty(2 * size & ~7, np.uint8)
        return self._rooms[number][:size]

    def _by_rows(
        self, values: Sequence[bytes], rows: Longs, timestamps: Longs, reader: Reader
    ) -> tuple[_Part, list[Bad]]:
        """Read messages as those of any event, and check their values."""
        decoded = reader([values[row] for row in rows.tolist()], MetricReport, self._codec)
        place = decoded.frame["_row"].to_numpy()
        stamped = decoded.frame.with_columns(
            pl.Series("_timestamp", timestamps[rows[place]], dtype=pl.Int64),
            pl.Series("_offset", rows[place], dtype=pl.Int64),
        )
        good, refused = checks_frame.check_frame(stamped, MetricReport)
        bad = [Bad(int(rows[wrong.row]), wrong.error) for wrong in decoded.bad]
        bad += [Bad(int(rows[wrong.row]), wrong.error) for wrong in refused]
        lean, series = columns.metrics(good)
        entries = self._table.find_keys(series["_key"].to_list())
        part = _Part(
            lean["_offset"].to_numpy(),
            lean["event_time"].to_numpy(),
            lean["value"].to_numpy(),
            entries[lean["_series"].to_numpy()],
            lean["request_id"],
        )
        return part, bad


def _too_large(lengths: Longs, rows: Longs) -> list[Bad]:
    bad: list[Bad] = []
    for row in rows.tolist():
        try:
            checks.check_size(int(lengths[row]), TOPIC)
        except DecodeError as error:
            bad.append(Bad(row, error))
    return bad


def _merged(parts: Sequence[_Part]) -> _Part:
    """Return parts as one, in the order of their rows."""
    whole = _Part(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.entries for part in parts]),
        pl.concat([part.requests for part in parts]),
    )
    return whole.at(np.argsort(whole.rows))

"""The series of a partition: a number for each, what identifies it, and when it was last seen."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from processors.entries import UNKNOWN, Entries
from processors.observing.rows import Flags, Ids, Ints, Rows
from processors.observing.windows import Windowing
from schemas.columns_block import varint
from schemas.identity import joined_parts, stable_number
from schemas.processing import Columns
from schemas.topics import SERIES

FIELDS = (*SERIES, "unit")
SERIES_BYTES = 700
"""What one series takes, about: its key, its fields, its number."""
Names = tuple[str, str, str, str, str, str, str]
_SPARED = 1_024


class SeriesBook:
    """Numbers the series of one partition; memory for those that fell silent is given back."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._names: list[Names] = []
        self._stems: list[bytes | None] = []
        self._seen: Ints = np.zeros(_SPARED, np.int64)
        self._words: dict[str, str] = {}
        self._flags: dict[tuple[Windowing, ...], tuple[Flags, int]] = {}
        self._swept: int | None = None
        self._entries = Entries()
        self._frame: pl.DataFrame | None = None
        self._numbers: Ids = np.empty(0, np.uint32)

    def __len__(self) -> int:
        return len(self._keys)

    def ids(self, series: pl.DataFrame, newest: int) -> Ids:
        """Return the number of each row of a frame of series, which are noted as seen.

        Where a decoder has numbered them, known ones are found by that, else by their keys. The
        frame of the call before, which decoders tell again while series stay the same, needs none.
        """
        if series is not self._frame:
            numbered = "_entry" in series.columns
            numbers = self._by_entry(series) if numbered else self._by_key(series)
            self._frame, self._numbers = series, numbers.astype(np.uint32)
        self._seen[self._numbers] = newest
        return self._numbers

    def _by_entry(self, series: pl.DataFrame) -> Ints:
        entries = series["_entry"].to_numpy()
        numbers = self._entries.find(entries)
        unknown = np.flatnonzero(numbers == UNKNOWN)
        if len(unknown):
            numbers[unknown] = self._by_key(series[unknown])
            self._entries.note(entries, numbers)
        return numbers

    def _by_key(self, series: pl.DataFrame) -> Ints:
        keys = series["_key"].to_list()
        ids = [self._ids.get(key, -1) for key in keys]
        if -1 in ids:
            unknown = [row for row, number in enumerate(ids) if number < 0]
            fields = series.select(FIELDS)[unknown].rows()
            for row, names in zip(unknown, fields, strict=True):
                ids[row] = self._add(keys[row], names)
        return np.array(ids, np.int64)

    def _add(self, key: bytes, names: Sequence[str]) -> int:
        number = self._ids.get(key)
        if number is not None:
            return number
        number = self._ids[key] = len(self._keys)
        self._keys.append(key)
        words = self._words
        self._names.append(tuple(words.setdefault(name, name) for name in names))  # type: ignore[arg-type]  # as many as FIELDS
        self._stems.append(None)
        if number >= len(self._seen):
            self._seen = np.concatenate((self._seen, np.zeros_like(self._seen)))
        return number

    def names(self, number: int) -> Names:
        """Return the fields of a series, as FIELDS has them."""
        return self._names[number]

    def stem(self, number: int) -> bytes:
        """Return how the identities of what is observed of a series begin."""
        stem = self._stems[number]
        if stem is None:
            stem = self._stems[number] = joined_parts("observe", *self._names[number])
        return stem

    def digest(self, number: int) -> int:
        """Return a number that tells a series from others on any machine (64 bits, signed)."""
        return stable_number(self._keys[number])

    def raw(self, number: int) -> bytes:
        """Return the fields of a series as Avro writes them, one after the other."""
        return self._keys[number]

    def key(self, number: int) -> bytes:
        """Return the message key of a series, as Avro writes a text."""
        key = "/".join(self._names[number][:-1]).encode()
        return varint(len(key)) + key

    def flags(self, windowings: tuple[Windowing, ...]) -> Flags:
        """Return for each windowing (a row) and series (a column) whether it applies.

        The last is for series without another. There may be more columns than series.
        """
        flags, known = self._flags.get(windowings, (np.zeros((len(windowings), 0), np.bool_), 0))
        if len(self) > flags.shape[1]:
            wider = np.zeros((len(windowings), 2 * len(self)), np.bool_)
            wider[:, :known] = flags[:, :known]
            flags = wider
        for number in range(known, len(self)):
            names = self._names[number][:-1]
            matching = [one.matches(names) for one in windowings[:-1]]
            flags[:, number] = [*matching, not any(matching)]
        self._flags[windowings] = (flags, len(self))
        return flags

    def sweep_at(self, forget_ms: int) -> int:
        """Return the event time of the next sweep."""
        return (self._swept or 0) + forget_ms

    def sweep(self, newest: int, forget_ms: int, used: Iterable[Ids], enough: int) -> Ids | None:
        """Forget the series not seen for `forget_ms` that are not in use, every `forget_ms`.

        It is left undone where it would free little and fewer than `enough` are known. Returns the
        new number of each old one; None when nothing has changed.
        """
        if self._swept is None or newest - self._swept < forget_ms:
            self._swept = newest if self._swept is None else self._swept
            return None
        self._swept = newest
        keep = self._seen[: len(self)] > newest - forget_ms
        if keep.sum() > 0.75 * len(self) and len(self) < enough:
            return None
        for ids in used:
            keep[ids] = True
        return self._renumber(np.flatnonzero(keep))

    def _renumber(self, kept: Ints) -> Ids:
        ids = np.zeros(len(self), np.uint32)
        ids[kept] = np.arange(len(kept))
        old = kept.tolist()
        self._keys = [self._keys[number] for number in old]
        self._names = [self._names[number] for number in old]
        self._stems = [self._stems[number] for number in old]
        self._ids = {key: number for number, key in enumerate(self._keys)}
        self._words = {word: word for names in self._names for word in names}
        seen = np.zeros(max(_SPARED, 2 * len(kept)), np.int64)
        seen[: len(kept)] = self._seen[kept]
        self._seen = seen
        self._flags = {}
        self._entries.forget()
        self._frame = None
        return ids


def rows_of(batch: Columns, book: SeriesBook, newest: int | None) -> Rows:
    """Return the rows of a batch, with the numbers of their series, which are noted as seen.

    Raises TypeError when the batch does not say which series there are.
    """
    frame = batch.frame
    if batch.series is None:
        raise TypeError("observe takes columns of metrics, which come with their series")
    times = frame["event_time"].to_numpy()
    seen = int(times.max()) if newest is None else max(newest, int(times.max()))
    ids = book.ids(batch.series, seen)[frame["_series"].to_numpy()]
    return Rows(ids, times, frame["value"].to_numpy(), frame["_offset"].to_numpy())

"""The series that have been seen: a number, the texts and the home of each, found by its key."""

import json
from collections.abc import Sequence
from itertools import count
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import kernels_series as kernels
from schemas.columns import KEYS
from schemas.columns_block import read_block, seed
from schemas.errors import DecodeError

N = TypeVar("N", bound=np.generic)
Longs = npt.NDArray[np.int64]
MOST_SERIES = 1 << 18
MOST_WORDS = 1 << 23
"""Bounds, of 8 bytes each for words: a table that reaches one is emptied and filled again."""
MOST_CHUNKS = 16
UNUSABLE = -1
"""Home of a key that no event may have: empty app or metric, or no UTF-8."""
_BASES = count()
"""Of `_entry`, one for each time that a table is filled; entries are its lower 32 bits."""
_KEY_SCHEMA = json.dumps(
    {"type": "record", "name": "Key", "fields": [{"name": n, "type": "string"} for n in KEYS]}
)


class SeriesTable:
    """Numbers series by their keys, entries from 0; a number holds until the next `begin`.

    Entries cost memory only where series come: about 300 bytes each.
    """

    def __init__(self) -> None:
        self._seed = np.uint64(seed())
        self._empty()

    def _empty(self) -> None:
        self._base = next(_BASES) << 32
        self._counts = np.zeros(2, np.int64)
        self._hashes = np.empty(0, np.uint64)
        self._where, self._sizes, self._homes = (np.empty(0, np.int64) for _ in range(3))
        self._words = np.empty(0, np.uint64)
        self._slots = np.empty(0, np.int32)
        self._marks = np.empty(0, np.int32)
        self._told = np.empty(0, np.int64)
        texts = dict.fromkeys(KEYS, pl.String())
        self._frame = pl.DataFrame(schema={"_key": pl.Binary(), **texts, "_entry": pl.Int64()})
        self._series = self._frame

    def __len__(self) -> int:
        return int(self._counts[0])

    def begin(self) -> None:
        """Forget all series when there are too many; those that still come are taken in again."""
        if self._counts[0] > MOST_SERIES or self._counts[1] > MOST_WORDS:
            self._empty()

    def find(self, keys: npt.NDArray[np.uint64], starts: Longs, lengths: Longs) -> Longs:
        """Return the entries of keys given by first word and length in bytes."""
        known, entries = int(self._counts[0]), np.empty(starts.size, np.int64)
        if starts.size:
            self._reserve(starts.size, keys.size)
            kernels.find(self._table(), keys, starts, lengths, self._seed, entries)
        if self._counts[0] > known:
            self._name(known)
        return entries

    def find_keys(self, keys: Sequence[bytes]) -> Longs:
        """Return the entries of keys given as bytes."""
        lengths = np.fromiter(map(len, keys), np.int64, len(keys))
        words = (lengths + 7) >> 3
        padded = bytearray().join(
            key.ljust(size * 8, b"\0") for key, size in zip(keys, words, strict=True)
        )
        return self.find(np.frombuffer(padded, np.uint64), np.cumsum(words) - words, lengths)

    def homes(self, entries: Longs) -> Longs:
        """Return the hashes of the message keys, UNUSABLE where nothing may be."""
        return self._homes[entries]

    def coded(self, entries: Longs) -> tuple[npt.NDArray[np.uint32], pl.DataFrame, Longs]:
        """Return small numbers for entries, and the series and homes by these numbers.

        The series have `_entry`, which no other series ever has in this process. Where they are
        those of the batch before, as they mostly are, they are told by the same frame.
        """
        codes = np.empty(entries.size, np.uint32)
        if not kernels.number_again(entries, self._marks, self._told.size, codes):
            self._marks[self._told] = -1
            found = np.empty(entries.size, np.int64)
            self._told = found[: kernels.renumber(entries, self._marks, codes, found)]
            self._series = self._frame[self._told]
        return codes, self._series, self._homes[self._told]

    def _table(self) -> kernels.Table:
        return (
            self._slots,
            self._hashes,
            self._where,
            self._sizes,
            self._homes,
            self._words,
            self._counts,
        )

    def _reserve(self, entries: int, words: int) -> None:
        count, taken = (int(number) for number in self._counts)
        if taken + words > self._words.size:
            self._words = _longer(self._words, 2 * (taken + words))
        if count + entries <= self._hashes.size:
            return
        room = 1 << (2 * (count + entries)).bit_length()
        self._hashes = _longer(self._hashes, room)
        self._where, self._sizes = _longer(self._where, room), _longer(self._sizes, room)
        self._homes = _longer(self._homes, room)
        self._marks = np.full(room, -1, np.int32)
        self._slots = np.full(2 * room, -1, np.int32)
        kernels.fill_slots(self._slots, self._hashes, count)

    def _name(self, known: int) -> None:
        """Read the texts of the entries from `known` on."""
        count = int(self._counts[0])
        first = int(self._where[known])
        data = self._words[first : int(self._counts[1])].tobytes()
        starts = ((self._where[known:count] - first) * 8).tolist()
        sizes = self._sizes[known:count].tolist()
        keys = [data[at : at + size] for at, size in zip(starts, sizes, strict=True)]
        try:
            texts = read_block(b"".join(keys), len(keys), _KEY_SCHEMA)
        except DecodeError:
            texts = pl.concat([_texts_of(key) for key in keys])
        empty = texts.select((pl.col("app") == "") | (pl.col("metric") == "")).to_series()
        self._homes[known:count][empty.to_numpy()] = UNUSABLE
        entries = pl.Series("_entry", np.arange(known, count) + self._base)
        named = texts.select(pl.Series("_key", keys, dtype=pl.Binary), *KEYS, entries)
        self._frame = self._frame.vstack(named)
        if self._frame.n_chunks() > MOST_CHUNKS:
            self._frame = self._frame.rechunk()


def _texts_of(key: bytes) -> pl.DataFrame:
    """Return the texts of a key; empty ones when they are no UTF-8."""
    try:
        return read_block(key, 1, _KEY_SCHEMA)
    except DecodeError:
        return pl.DataFrame({name: [""] for name in KEYS})


def _longer(array: npt.NDArray[N], size: int) -> npt.NDArray[N]:
    longer = np.empty(size, array.dtype)
    longer[: array.size] = array
    return longer

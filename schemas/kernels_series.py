"""Compiled: a table of byte strings, the keys of series, that gives each a number for good.

Open addressing with linear probing on 64-bit hashes; equal hashes are told apart by the bytes.
The hash is seeded per process, so that nobody can prepare keys that collide. Keys stand in 8-byte
words, the last one filled up with zeros.

A table is the arrays (slots, hashes, where, sizes, homes, words, counts): entry numbers by slot, -1
where free; hash, first word and length in bytes of each entry, and the hash of its message key;
the words of all keys; and how many entries and words are taken. Callers see to it that there is
room.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.compiling import compiled, helper

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]
Entries = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Whole = Any
"""A number; mypy tells int from np.int64, numba does not."""
Words = npt.NDArray[np.uint64]
Table = tuple[Entries, Words, Longs, Longs, Longs, Words, Longs]

SERIES = 6
"""Texts of a key that make the message key: all but the unit."""
_M = np.uint64(0x5BD1E995)
_LOW = np.uint64(0xFFFFFFFF)
_KAFKA_SEED = np.uint64(0x9747B28C)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@helper
def _hash(keys: Words, first: Whole, size: Whole, seed: np.uint64) -> np.uint64:
    value = seed ^ np.uint64(size)
    for index in range(first, first + ((size + 7) >> 3)):
        value = (value ^ keys[index]) * _ODD
        value ^= value >> np.uint64(29)
    value *= _MIX
    return value ^ (value >> np.uint64(32))


@helper
def _same(words: Words, stood: Whole, keys: Words, first: Whole, size: Whole) -> bool:
    for index in range((size + 7) >> 3):  # noqa: SIM110 - numba compiles no generators
        if words[stood + index] != keys[first + index]:
            return False
    return True


@helper
def _home(key: Bytes, joined: Bytes) -> Whole:
    """Return the hash of the message key: the texts of the series, joined by '/'."""
    at = size = 0
    for part in range(SERIES):
        if part > 0:
            joined[size] = 47
            size += 1
        length: Whole = 0
        shift = 0
        while key[at] >= 0x80:
            length |= (key[at] & 0x7F) << shift
            shift += 7
            at += 1
        length = (length | (np.int64(key[at]) << shift)) >> 1
        for index in range(length):
            joined[size + index] = key[at + 1 + index]
        at += 1 + length
        size += length
    return _murmur2(joined, size)


@helper
def _murmur2(key: Bytes, size: Whole) -> Whole:
    """Return the hash by which Kafka's clients choose a partition, without its highest bit.

    Source: org.apache.kafka.common.utils.Utils.murmur2; `schemas.partitioning` for one key.
    """
    value = (_KAFKA_SEED ^ np.uint64(size)) & _LOW
    whole = size & ~3
    for start in range(0, whole, 4):
        word = np.uint64(0)
        for index in range(4):
            word |= np.uint64(key[start + index]) << np.uint64(8 * index)
        word = (word * _M) & _LOW
        word = ((word ^ (word >> np.uint64(24))) * _M) & _LOW
        value = ((value * _M) & _LOW) ^ word
    if size > whole:
        rest = np.uint64(0)
        for index in range(size - whole):
            rest |= np.uint64(key[whole + index]) << np.uint64(8 * index)
        value = ((value ^ rest) * _M) & _LOW
    value = ((value ^ (value >> np.uint64(13))) * _M) & _LOW
    return np.int64((value ^ (value >> np.uint64(15))) & np.uint64(0x7FFFFFFF))


@helper
def _take_in(table: Table, keys: Words, first: Whole, size: Whole, joined: Bytes) -> Whole:
    _, _, where, sizes, homes, words, counts = table
    entry, at, taken = counts[0], counts[1], (size + 7) >> 3
    for index in range(taken):
        words[at + index] = keys[first + index]
    where[entry] = at
    sizes[entry] = size
    homes[entry] = _home(words[at : at + taken].view(np.uint8), joined)
    counts[0] += 1
    counts[1] += taken
    return entry


@compiled(
    "void(Tuple((int32[::1], uint64[::1], int64[::1], int64[::1], int64[::1], uint64[::1], "
    "int64[::1])), uint64[::1], int64[::1], int64[::1], uint64, int64[::1])"
)
def find(
    table: Table, keys: Words, starts: Longs, lengths: Longs, seed: np.uint64, entries: Longs
) -> None:
    """Write the entries of keys, given by first word and length in bytes; take the new ones in.

    A key is the Avro encoding of app, stage, service, instance, node, metric and unit.
    """
    slots, hashes, where, sizes, _, words, _ = table
    joined = np.empty(np.max(lengths) + SERIES, np.uint8)
    mask = slots.size - 1
    for row in range(starts.size):
        first, size = starts[row], lengths[row]
        digest = _hash(keys, first, size, seed)
        slot = np.int64(digest & np.uint64(mask))
        entry = np.int64(slots[slot])
        while entry >= 0:
            alike = hashes[entry] == digest and sizes[entry] == size
            if alike and _same(words, where[entry], keys, first, size):
                break
            slot = (slot + 1) & mask
            entry = np.int64(slots[slot])
        if entry < 0:
            entry = _take_in(table, keys, first, size, joined)
            slots[slot] = entry
            hashes[entry] = digest
        entries[row] = entry


@compiled("void(int32[::1], uint64[::1], int64)")
def fill_slots(slots: Entries, hashes: Words, count: int) -> None:
    """Put the first `count` entries into free slots."""
    mask = slots.size - 1
    for entry in range(count):
        slot = np.int64(hashes[entry] & np.uint64(mask))
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = entry


@compiled("int64(int64[::1], int32[::1], uint32[::1], int64[::1])")
def renumber(entries: Longs, marks: Entries, codes: Codes, found: Longs) -> Whole:
    """Write a small number for each entry to `codes`, in the order in which entries come first.

    Their entries go to `found`; returns how many. `marks` is all -1, and gets the numbers.
    """
    count = 0
    for row in range(entries.size):
        entry = entries[row]
        if marks[entry] < 0:
            marks[entry] = count
            found[count] = entry
            count += 1
        codes[row] = marks[entry]
    return count


@compiled("boolean(int64[::1], int32[::1], int64, uint32[::1])")
def number_again(entries: Longs, marks: Entries, count: Whole, codes: Codes) -> Whole:
    """Write the numbers that entries have by `marks`; tell whether they are all `count` numbers."""
    seen = np.zeros(count, np.bool_)
    different = 0
    for row in range(entries.size):
        code = marks[entries[row]]
        if code < 0:
            return False
        codes[row] = code
        if not seen[code]:
            seen[code] = True
            different += 1
    return different == count

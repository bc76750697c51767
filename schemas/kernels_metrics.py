"""Compiled: metric messages of one writer's schema to numbers, and to the keys of their series.

A program says what the writer's fields are, in their order: the kind, where null stands among two
branches (-1: the field is no union), and what becomes of it, a target. What is not written is
empty. A message that is anything but plainly right, as the shortest encoding of one record, is
left as ODD to a reader that takes longer and finds the words for it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.compiling import (
    compiled,
    helper,
    load_byte,
    load_double,
    load_float,
    load_word,
    store_word,
)

LONG, INT, DOUBLE, FLOAT, BOOLEAN, TEXT = range(6)
"""Kinds of fields."""
TIME, VALUE, REQUEST, KEY = 0, 1, 2, 3
"""Targets; the texts of the key have KEY and the numbers after it. -1 is read and dropped."""
KEYS = 7
READ, ODD, OTHER = 0, 1, 2
"""What became of a message; OTHER has another prefix."""
PREFIX = 5
SPARE = 16
"""Bytes behind the data, and what a key needs more than its message: missing texts, whole words."""

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Whole = Any
"""A number, or whether something holds; mypy tells int from np.int64, numba does not."""
Input = tuple[Bytes, Longs, Longs, int, Longs]
Output = tuple[Longs, Longs, npt.NDArray[np.float64], Longs, Longs, Bytes, Bytes]

_ONE, _SEVEN, _63 = np.uint64(1), np.uint64(7), np.uint64(63)
_HIGH, _LOW = np.uint64(0x80), np.uint64(0x7F)
_PREFIX_BITS = np.uint64(0xFFFFFFFFFF)


@helper
def _varint(data: Bytes, at: Whole, end: Whole) -> tuple[Any, Whole]:
    """Return the raw number at a place and the place behind it; -1 unless it is the shortest."""
    raw, shift, byte = np.uint64(0), np.uint64(0), _HIGH
    while byte >= _HIGH and at < end and shift <= _63:
        byte = np.uint64(load_byte(data, at))
        raw |= (byte & _LOW) << shift
        shift += _SEVEN
        at += 1
    if byte >= _HIGH or (byte == 0 and shift > _SEVEN) or (shift > _63 and byte > _ONE):
        at = -1
    return raw, at


@helper
def _is_utf8(data: Bytes, at: Whole, stop: Whole) -> Whole:
    """Tell whether bytes are UTF-8: no overlong forms, no surrogates, up to U+10FFFF."""
    right: Whole = True
    while right and at < stop:
        byte = load_byte(data, at)
        at += 1
        if byte < 0x80:
            continue
        more = 1 if byte < 0xE0 else (2 if byte < 0xF0 else 3)
        low = 0xA0 if byte == 0xE0 else (0x90 if byte == 0xF0 else 0x80)
        high = 0x9F if byte == 0xED else (0x8F if byte == 0xF4 else 0xBF)
        right = 0xC2 <= byte <= 0xF4 and stop - at >= more and low <= data[at] <= high
        for index in range(at + 1, min(at + more, stop)):
            right = right and 0x80 <= data[index] <= 0xBF
        at += more
    return right


@helper
def _text(data: Bytes, at: Whole, end: Whole, target: Whole, spans: Longs) -> Whole:
    """Note where a text begins, its length before it, and where it ends; return that, or -1."""
    start = at
    raw, at = _varint(data, at, end)
    stop = at + np.int64(raw >> _ONE)
    if at < 0 or raw & _ONE or np.int64(raw >> _ONE) > end - at:
        stop = -1
    elif target >= REQUEST:
        spans[target, 0] = start
        spans[target, 1] = stop
        if target == REQUEST and not _is_utf8(data, at, stop):
            stop = -1
    return stop


@helper
def _short_text(data: Bytes, at: Whole, end: Whole) -> Whole:
    """Return the place behind a text of less than 64 bytes; -1 where none stands.

    Most texts of keys are such, and this takes half of the time.
    """
    size = np.int64(load_byte(data, at))
    stop = at + 1 + (size >> 1)
    return -1 if size & 0x81 or stop > end else stop


@helper
def _number(data: Bytes, at: Whole, end: Whole, kind: Whole) -> tuple[Whole, float, Whole]:
    """Return a number, as whole and as fraction, and the place behind it, or -1."""
    whole, fraction, stop = np.int64(0), 0.0, at + (8 if kind == DOUBLE else 4)
    if kind in (DOUBLE, FLOAT):
        if stop > end:
            stop = -1
        elif kind == DOUBLE:
            fraction = load_double(data, at)
        else:
            fraction = np.float64(load_float(data, at))
    else:
        raw, stop = _varint(data, at, end)
        whole = np.int64(raw >> _ONE) ^ -np.int64(raw & _ONE)
        fraction = np.float64(whole)
        if (kind == INT and not -0x80000000 <= whole <= 0x7FFFFFFF) or (
            kind == BOOLEAN and raw > _ONE
        ):
            stop = -1
    return whole, fraction, stop


@helper
def _walk(
    data: Bytes, at: Whole, end: Whole, program: Longs, spans: Longs
) -> tuple[Whole, float, Whole]:
    """Read one body by a program; return time, value, and the place behind it, or -1."""
    time, value = np.int64(0), 0.0
    field = 0
    while at >= 0 and field < program.shape[0]:
        kind, null_at, target = program[field, 0], program[field, 1], program[field, 2]
        field += 1
        if null_at >= 0:
            branch = load_byte(data, at)
            null = branch >> 1 == null_at
            if at >= end or branch & 0xFD or (null and target >= 0 and target != REQUEST):
                at = -2
            at += 1
            if null or at < 0:
                continue
        if kind == TEXT:
            stop = _short_text(data, at, end)
            if stop >= 0 and target >= KEY:
                spans[target, 0] = at
                spans[target, 1] = stop
                at = stop
            else:
                at = _text(data, at, end, target, spans)
        else:
            whole, fraction, at = _number(data, at, end, kind)
            if target == TIME:
                time = whole
            elif target == VALUE:
                value = fraction
    return time, value, at


@helper
def _copy(data: Bytes, start: Whole, stop: Whole, target: Bytes, at: Whole) -> None:
    """Copy bytes; up to seven more are written behind them."""
    for place in range(0, stop - start, 8):
        store_word(target, at + place, load_word(data, start + place))


@helper
def _key(data: Bytes, spans: Longs, keys: Bytes, at: Whole) -> Whole:
    """Write the texts of a key one behind the other, zeros up to a whole word; return the size."""
    size, part = 0, KEY
    while part < KEY + KEYS:
        start, stop = spans[part, 0], spans[part, 1]
        part += 1
        while part < KEY + KEYS and spans[part, 0] == stop:
            stop = spans[part, 1]
            part += 1
        _copy(data, start, stop, keys, at + size)
        size += stop - start
    store_word(keys, at + size, np.uint64(0))
    return size


@helper
def _request(data: Bytes, spans: Longs, requests: Bytes, at: Whole) -> Whole:
    """Write a request id as Avro's union of null and string; return the place behind it."""
    start, stop = spans[REQUEST, 0], spans[REQUEST, 1]
    if start < 0:
        requests[at] = 0
        stop = start
    else:
        requests[at] = 2
        _copy(data, start, stop, requests, at + 1)
    return at + 1 + stop - start


@compiled(
    "UniTuple(int64, 3)("
    "Tuple((uint8[::1], int64[::1], int64[::1], uint64, int64[:,::1])), "
    "Tuple((int64[::1], int64[::1], float64[::1], int64[::1], int64[::1], uint8[::1], uint8[::1])))"
)
def decode(given: Input, made: Output) -> tuple[int, int, int]:
    """Decode messages: `given` is data, ends, rows, prefix, program.

    `data` has one message behind the other and SPARE zeros after the last; `ends` where each
    ends; `rows` which to read; `prefix` how they begin, as a little-endian number. `made` gets,
    per message, what became of it, event time, value, and the first byte and length of its key;
    all keys; and the request ids as Avro, of those that were READ. Returns the bytes of the keys,
    of the request ids, and how many of these there are.
    """
    data, ends, rows, prefix, program = given
    status, times, values, starts, lengths, keys, requests = made
    spans = np.empty((KEY + KEYS, 2), np.int64)
    spans[:, 0], spans[:, 1] = data.size - SPARE, data.size - SPARE + 1
    key_at = request_at = told = 0
    for row in rows:
        start, end = ends[row - 1] if row > 0 else 0, ends[row]
        if end - start < PREFIX or load_word(data, start) & _PREFIX_BITS != prefix:
            status[row] = OTHER
            continue
        spans[REQUEST, 0] = -1
        time, value, stop = _walk(data, start + PREFIX, end, program, spans)
        if stop != end or not np.isfinite(value):
            status[row] = ODD
            continue
        status[row], times[row], values[row] = READ, time, value
        starts[row], lengths[row] = key_at, _key(data, spans, keys, key_at)
        key_at += (lengths[row] + 7) & ~7
        request_at = _request(data, spans, requests, request_at)
        told += spans[REQUEST, 0] >= 0
    return key_at, request_at, told

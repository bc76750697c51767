"""Encodes the metrics of one reporter: what never changes of a series is encoded once. Pure.

An Avro record is its fields one after another, so that two reports of a series differ in the time,
in the eight bytes of the value and, where there is one, in the request id at the end. A template
is cut out of what `schemas.codec` writes, and tried against it; a schema of another order, or with
fields between these, is simply written by the codec.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from schemas.codec import pack
from schemas.observing import MetricReport
from schemas.topics import key_of

MOST_SERIES = 10_000
"""Templates that are kept; when there are more series, they are made anew."""
_DOUBLE = struct.Struct("<d")
_PROBES = ((1_700_000_000_123, -1234.5678, None), (0, 7.25e-300, "request-é"), (1, 0.0, ""))
"""Times, values and request ids on which a template must agree with the codec."""
NO_NUMBER = (TypeError, ValueError, ArithmeticError, RuntimeError)
"""What objects raise that are asked for a number and are none, tensors of several among them."""

Encode = Callable[[int, float, str | None], bytes]
"""From time (ms since the epoch), value and request id to an Avro body."""


def zigzag(number: int) -> bytes:
    """Return a non-negative number as an Avro long. Source: Avro specification, binary encoding."""
    rest = number << 1
    if rest < 0x80:
        return bytes((rest,))
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its message key, and what writes its reports."""

    key: str
    encode: Encode


class MetricEncoder:
    """Writes the reports of one reporter, given as a report with any metric and value."""

    def __init__(self, reporter: MetricReport) -> None:
        self._reporter = reporter
        self._series: dict[tuple[str, str], Series] = {}

    def series(self, metric: str, unit: str) -> Series:
        """Return how a metric is written."""
        found = self._series.get((metric, unit))
        if found is None:
            if len(self._series) >= MOST_SERIES:
                self._series.clear()
            report = replace(self._reporter, metric=clean(metric), unit=clean(unit))
            found = Series(key_of(report), _template(report) or _by_codec(report))
            self._series[metric, unit] = found
        return found


def clean(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _by_codec(report: MetricReport) -> Encode:
    def encode(when: int, value: float, request_id: str | None) -> bytes:
        return pack(replace(report, event_time=when, value=value, request_id=request_id))

    return encode


def _template(report: MetricReport) -> Encode | None:
    """Return a quick writer of a series, or None when the schema allows none."""
    plain = _by_codec(report)
    nought, other = plain(0, 0.0, None), plain(0, _DOUBLE.unpack(b"\x01" * 8)[0], None)
    at = next(place for place in range(len(nought)) if nought[place] != other[place])
    head, tail = nought[1:at], nought[at + _DOUBLE.size : -1]
    double = _DOUBLE.pack

    def encode(when: int, value: float, request_id: str | None) -> bytes:
        body = zigzag(when) + head + double(value) + tail
        if request_id is None:
            return body + b"\x00"
        text = request_id.encode("utf-8", "replace")
        return body + b"\x02" + zigzag(len(text)) + text

    return encode if all(encode(*probe) == plain(*probe) for probe in _PROBES) else None

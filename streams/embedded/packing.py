"""Content encodings of HTTP bodies: gzip, deflate, lz4 and zstd, both ways. Pure."""

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MAX_BODY = 512 * 1_048_576
OFFERED = ("lz4", "zstd", "gzip", "deflate")
"""What answers may be packed with, the quickest first."""
_ZLIB_LEVEL = 3
_GZIP, _ZLIB, _EITHER = 31, 15, 47


class Unreadable(Exception):
    """A request that cannot be read; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def decompress(data: bytes, encoding: str) -> bytes:
    """Return a body without its content encoding: gzip, deflate, zstd or lz4.

    Raises Unreadable for bad data, another encoding, or more than MAX_BODY bytes.
    """
    if encoding == "identity":
        return data
    make, invalid = _decompressor(encoding)
    try:
        return _frames(make, data)
    except (invalid, EOFError, ValueError) as error:
        raise Unreadable(400, f"the body is no valid {encoding}: {error}") from error


def _decompressor(encoding: str) -> tuple[Callable[[], Any], type[Exception]]:
    """Return what makes a decompressor, and the error that it raises for bad data."""
    try:
        if encoding in ("gzip", "deflate"):
            return lambda: zlib.decompressobj(_EITHER), zlib.error
        if encoding == "lz4":
            return importlib.import_module("lz4.frame").LZ4FrameDecompressor, RuntimeError
        if encoding == "zstd":
            zstd = importlib.import_module("backports.zstd")
            return zstd.ZstdDecompressor, zstd.ZstdError
    except ImportError as error:
        raise Unreadable(415, f"{encoding} is not installed here; send gzip") from error
    raise Unreadable(
        415, f"unknown Content-Encoding {encoding!r}; gzip, deflate, lz4 and zstd are known"
    )


def _frames(make: Callable[[], Any], data: bytes) -> bytes:
    """Decompress frames that follow each other; clients send one for each block."""
    parts: list[bytes] = []
    room = MAX_BODY
    while data:
        frame = make()
        part = _bounded(frame, data, room)
        parts.append(part)
        room -= len(part)
        data = frame.unused_data or b""
    return b"".join(parts)


def _bounded(decompressor: Any, data: bytes, room: int = MAX_BODY) -> bytes:
    plain: bytes = decompressor.decompress(data, room)
    if len(plain) >= room:
        raise Unreadable(413, f"the body is larger than {MAX_BODY} bytes when unpacked")
    if not decompressor.eof:
        raise EOFError("it ends too early")
    return plain


def chosen(accepted: str) -> str | None:
    """Return the encoding for an answer, given an Accept-Encoding header; None for none."""
    wanted = {item.partition(";")[0].strip().lower() for item in accepted.split(",")}
    return next((name for name in OFFERED if name in wanted and _installed(name)), None)


def _installed(encoding: str) -> bool:
    try:
        _decompressor(encoding)
    except Unreadable:
        return False
    return True


def packed(parts: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the parts of a body under a content encoding, as one frame."""
    if encoding == "lz4":
        yield from _lz4(parts)
        return
    compressor = _compressor(encoding)
    for part in parts:
        if block := compressor.compress(part):
            yield block
    yield compressor.flush()


def _compressor(encoding: str) -> Any:
    if encoding == "zstd":
        return importlib.import_module("backports.zstd").ZstdCompressor(level=1)
    return zlib.compressobj(_ZLIB_LEVEL, wbits=_GZIP if encoding == "gzip" else _ZLIB)


def _lz4(parts: Iterable[bytes]) -> Iterator[bytes]:
    compressor = importlib.import_module("lz4.frame").LZ4FrameCompressor()
    yield compressor.begin()
    for part in parts:
        if block := compressor.compress(part):
            yield block
    yield compressor.flush()

"""One document from many: a streamed query gives each block as a document of its own. Pure.

Formats without head and foot are simply strung together. Lines of names are kept once. An Arrow
stream loses the end marks and repeated schemas between its blocks (IPC format: 0xFFFFFFFF, the
length of the metadata, metadata; a stream ends with a length of 0).
"""

import struct

_PLAIN_NAMES = """
native rowbinary csv tsv tabseparated tsvraw tabseparatedraw tskv jsoneachrow jsonlines ndjson
jsonstringseachrow jsoncompacteachrow jsoncompactstringseachrow lineasstring
"""
_PLAIN = frozenset(_PLAIN_NAMES.split())
_NAMED = ("csv", "tsv", "tabseparated", "tsvraw", "tabseparatedraw")
_HEADED = {
    **{f"{name}withnames": 1 for name in _NAMED},
    **{f"{name}withnamesandtypes": 2 for name in _NAMED},
    "jsoncompacteachrowwithnames": 1,
    "jsoncompacteachrowwithnamesandtypes": 2,
}
_ARROW = "arrowstream"
_END = b"\xff\xff\xff\xff\0\0\0\0"
_UNSTREAMABLE = (b"totals", b"extremes", b"json_array_of_rows")
"""What a statement may contain that stands once, behind or around all rows."""


def streams(format_: str, statement: bytes) -> bool:
    """Tell whether the blocks of a statement's answer can be strung together in a format."""
    name = format_.lower()
    known = name in _PLAIN or name in _HEADED or name == _ARROW
    text = statement.lower()
    return known and not any(word in text for word in _UNSTREAMABLE)


def has_head(format_: str) -> bool:
    """Tell whether even an answer without rows says something in a format."""
    return format_.lower() not in _PLAIN


class Joiner:
    """Strings the documents of one answer together."""

    def __init__(self, format_: str) -> None:
        name = format_.lower()
        self._lines = _HEADED.get(name, 0)
        self._quoted = name.startswith("csv")
        self._arrow = name == _ARROW
        self._head: bytes | None = None

    def add(self, document: bytes) -> bytes:
        """Return what a further document adds to those before it."""
        if self._arrow:
            document = document.removesuffix(_END)
        if self._head is None:
            self._head = document[: self._head_length(document)]
            return document
        return document.removeprefix(self._head)

    def end(self) -> bytes:
        """Return what stands behind the last document."""
        return _END if self._arrow else b""

    def _head_length(self, document: bytes) -> int:
        if self._arrow:
            return 8 + int(struct.unpack_from("<i", document, 4)[0])
        at = 0
        for _ in range(self._lines):
            at = self._line_end(document, at)
        return at

    def _line_end(self, document: bytes, at: int) -> int:
        """Return where the line that begins at an offset ends; quotes may hold line breaks."""
        end = document.find(b"\n", at) + 1
        while self._quoted and document.count(b'"', at, end) % 2:
            end = document.find(b"\n", end) + 1
        return end or len(document)

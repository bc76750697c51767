"""Where a ClickHouse statement ends and its data begins, and which format it names. Pure.

An HTTP body is one run of bytes: `INSERT INTO t FORMAT Native`, a line break, then binary. So
nothing is decoded as text before the two are told apart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""
    (?P<skip> \s+ | --[^\n]* | /\*.*?\*/ )
  | (?P<quoted> '(?:\\.|''|[^'\\])*' | `(?:\\.|[^`\\])*` | "(?:\\.|[^"\\])*" )
  | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_GAP = re.compile(rb"[ \t\f]*\r?\n?")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `text` for the engine, and for an insert its `data` in `insert_format`.

    `verb` is the first word in upper case; `output_format` the one that a FORMAT clause names.
    """

    verb: str
    text: bytes
    insert_format: str | None = None
    data: bytes = b""
    output_format: str | None = None


def parse(raw: bytes) -> Statement:
    """Return a statement and its data; what cannot be understood is left to the engine."""
    words = _top_words(raw)
    verb = next((word.upper().decode() for word, _, _ in words), "")
    return _insert(raw, words) if verb == "INSERT" else _query(raw, verb, words)


def _top_words(raw: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield words and quoted names outside parentheses and comments, with their start and end."""
    depth = 0
    for token in _TOKEN.finditer(raw):
        text = token.group()
        if token.lastgroup == "other":
            depth += (text in (b"(", b"[", b"{")) - (text in (b")", b"]", b"}"))
        elif token.lastgroup != "skip" and depth == 0:
            yield text, token.start(), token.end()


def _insert(raw: bytes, words: Iterator[tuple[bytes, int, int]]) -> Statement:
    previous = b""
    for word, start, _ in words:
        upper = word.upper()
        named = previous in (b"INTO", b"TABLE")
        if upper in (b"SELECT", b"WITH", b"VALUES", b"WATCH") and not named:
            return Statement("INSERT", raw)
        if upper == b"FORMAT" and not named:
            name, _, end = next(words, (b"", 0, len(raw)))
            gap = _GAP.match(raw, end)
            data = raw[gap.end() if gap else end :]
            return Statement("INSERT", raw[:start].rstrip(), name.decode(), data)
        previous = upper
    return Statement("INSERT", raw)


def _query(raw: bytes, verb: str, words: Iterator[tuple[bytes, int, int]]) -> Statement:
    found, after_format = None, verb == "FORMAT"
    for word, _, _ in words:
        if after_format:
            found = word.decode()
        after_format = word.upper() == b"FORMAT"
    return Statement(verb, raw, output_format=found)

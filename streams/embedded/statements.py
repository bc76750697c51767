"""Where a ClickHouse statement ends and its data begins, and which format it names. Pure.

An HTTP body is one run of bytes: `INSERT INTO t FORMAT Native`, a line break, then binary. So
nothing is decoded as text before the two are told apart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

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


_READING = (
    "SELECT WITH FROM SHOW DESCRIBE DESC EXPLAIN EXISTS VALUES UNION INTERSECT EXCEPT SET USE"
)
READING = frozenset(_READING.split())
"""First words of statements that change no data; a parenthesis before them is passed over."""
_INPUT = "INSERT ... SELECT ... FROM input() is not supported by the embedded ClickHouse: insert "
_INPUT += "into a temporary table of a session first, then SELECT from it"
_SHUTDOWN = "the embedded ClickHouse is stopped by SIGTERM to its process, not by SYSTEM "


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: `text` for the engine, and for an insert its `data` in `insert_format`.

    `verb` is the first word in upper case; `output_format` the one that a FORMAT clause names, if
    it is one; `beyond` says why the engine here must not be asked. `settings_at` is where in the
    text of an insert its SETTINGS begin.
    """

    verb: str
    text: bytes
    insert_format: str | None = None
    data: bytes = b""
    output_format: str | None = None
    beyond: str = ""
    settings_at: int | None = field(default=None, compare=False)

    def reading(self, path: str) -> bytes:
        """Return an insert whose data stands in a file."""
        at = len(self.text) if self.settings_at is None else self.settings_at
        head, settings = self.text[:at], self.text[at:]
        return b"%b\nFROM INFILE '%b' %b\nFORMAT %b" % (
            head,
            path.encode(),
            settings,
            (self.insert_format or "").encode(),
        )


def parse(raw: bytes) -> Statement:
    """Return a statement and its data; what cannot be understood is left to the engine."""
    words = _top_words(raw)
    first = next(words, None)
    if first is None:
        return Statement("", raw)
    verb = first[0].upper().decode()
    if verb == "INSERT":
        return _insert(raw, words)
    if verb == "SYSTEM":
        second = next((word.upper().decode() for word, _, _ in words), "")
        return Statement(verb, raw, beyond=_beyond(second))
    return Statement(verb, raw, output_format=_format(raw, [first, *words]))


def _beyond(command: str) -> str:
    return f"{_SHUTDOWN}{command}" if command in ("SHUTDOWN", "KILL") else ""


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
    previous, settings_at = b"", None
    for word, start, _ in words:
        upper = word.upper()
        named = previous in (b"INTO", b"TABLE")
        if upper == b"SETTINGS" and not named:
            settings_at = start
        if upper in (b"SELECT", b"WITH", b"VALUES", b"WATCH") and not named:
            beyond = _INPUT if upper != b"VALUES" and _reads_input(raw, words) else ""
            return Statement("INSERT", raw, beyond=beyond)
        if upper == b"FORMAT" and not named:
            name, _, end = next(words, (b"", 0, len(raw)))
            gap = _GAP.match(raw, end)
            data = raw[gap.end() if gap else end :]
            text = raw[:start].rstrip()
            return Statement("INSERT", text, name.decode(), data, settings_at=settings_at)
        previous = upper
    return Statement("INSERT", raw)


def _reads_input(raw: bytes, words: Iterator[tuple[bytes, int, int]]) -> bool:
    previous = b""
    for word, _, end in words:
        called = raw[end:].lstrip()[:1] == b"("
        if word.lower() == b"input" and previous in (b"FROM", b"JOIN") and called:
            return True
        previous = word.upper()
    return False


def _format(raw: bytes, words: list[tuple[bytes, int, int]]) -> str | None:
    """Return the name behind the last FORMAT with which, or before SETTINGS, a statement ends."""
    for (word, _, end), (name, start, after) in reversed(list(pairwise(words))):
        if word.upper() == b"FORMAT" and not raw[end:start].strip():
            rest = raw[after:].strip(b"; \t\r\n")
            settles = rest[:8].upper() == b"SETTINGS" or rest[:2] in (b"--", b"/*")
            return name.decode() if not rest or settles else None
    return None

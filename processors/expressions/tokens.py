"""Texts of expressions to words: names, numbers, strings and signs, each with its place."""

import math
import re
from dataclasses import dataclass

from processors.expressions.tree import Mistake, Place

KEYWORDS = ("and", "else", "false", "if", "in", "not", "or", "true", "where")
MOST_CHARACTERS = 2_000

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\[\"'\\])*\"|'(?:[^'\\\n]|\\[\"'\\])*')"
    r"|(?P<sign>==|!=|<=|>=|[-+*/()<>,])"
)
_ESCAPE = re.compile(r"\\(.)")
_MENDED = (
    ("**", "there are no powers; write a product"),
    ("//", "there is no whole division; write floor(a / b)"),
    ("<>", "write != for unequal"),
    ("&&", "write and"),
    ("||", "write or"),
    ("=", "write == to compare"),
    ("&", "write and"),
    ("|", "write or"),
    ("!", "write not"),
    ("%", "there is no remainder; write a - floor(a / b) * b"),
    ("^", "there are no powers; write a product"),
    ("[", "write lists in round brackets"),
    ("]", "write lists in round brackets"),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its kind (number, name, string, sign, keyword, end), its text and its place."""

    kind: str
    text: str
    place: Place


def tokens(text: str) -> list[Token]:
    """Return the words of an expression and an `end`.

    Raises Mistake for what is no word, and for a text that is empty or too long.
    """
    if len(text) > MOST_CHARACTERS:
        whole = Place(MOST_CHARACTERS, len(text))
        raise Mistake(f"it has {len(text)} characters; at most {MOST_CHARACTERS} are taken", whole)
    found: list[Token] = []
    at = _after_space(text, 0)
    while at < len(text):
        found.append(_token(text, at))
        at = _after_space(text, found[-1].place.end)
    if not found:
        raise Mistake("it is empty; write an aggregate, such as avg(value)", Place(0, 0))
    last = found[-1].place.end
    return [*found, Token("end", "", Place(last, last))]


def number(token: Token) -> float:
    """Return what a number says.

    Raises Mistake when it is too large.
    """
    value = float(token.text)
    if not math.isfinite(value):
        raise Mistake(f"{token.text} is too large for a number", token.place)
    return value


def string(token: Token) -> str:
    """Return what a string says, without quotes and escapes."""
    return _ESCAPE.sub(r"\1", token.text[1:-1])


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _token(text: str, at: int) -> Token:
    mended = next((mend for sign, mend in _MENDED if text.startswith(sign, at)), None)
    found = _WORD.match(text, at)
    if found is None or (mended is not None and found.group() not in ("==", "!=")):
        raise _unknown(text, at, mended)
    kind = found.lastgroup or ""
    word = found.group()
    if kind == "name" and word in KEYWORDS:
        kind = "keyword"
    return Token(kind, word, Place(at, found.end()))


def _unknown(text: str, at: int, mended: str | None) -> Mistake:
    sign = text[at]
    if sign in "\"'":
        stop = text.find("\n", at)
        end = len(text) if stop < 0 else stop
        mend = f"the string is not closed by {sign} (backslash escapes only quotes and itself)"
        return Mistake(mend, Place(at, end))
    what = mended or f"{sign!r} means nothing here"
    length = next((len(s) for s, _ in _MENDED if text.startswith(s, at)), 1)
    return Mistake(what, Place(at, at + length))

"""Keeps secrets and what names people out of prompts. Pure.

A prompt is made of a diagnosis alone, but names and reasons in it were chosen by people and
programs of others. What looks like a credential, an address of a person or of a machine, or a long
random string is replaced, and whatever words an operator names.
"""

import re
from collections.abc import Sequence
from typing import Final

MARK: Final = "[redacted]"
MOST_CHARACTERS: Final = 300
"""A longer text is cut: nothing in a diagnosis needs more."""
_TELLTALES = (
    r"pass(?:word|wd|phrase)?|secret|token|api[-_ ]?key|access[-_ ]?key|auth\w*|credential\w*"
    r"|session(?:[-_ ]?id)?|cookie|bearer|private[-_ ]?key|client[-_ ]?secret|pwd|sas|dsn"
)
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)",
        r"\b[a-z][a-z0-9+.-]*://[^\s/@]*@[^\s]*",
        r"\b(?:bearer|basic|digest)\s+[\w.~+/=-]{6,}",
        rf"\b[\w.-]*(?:{_TELLTALES})[\w.-]*\s*[\"']?\s*[=:]\s*[\"']?[^\s\"',;]+",
        rf"\b(?:{_TELLTALES})\s+(?:is|was)\s+\S+",
        r"\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf|AKIA|ASIA|AIza)[-_A-Z0-9]{12,}",
        r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*",
        r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+",
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\d.])",
        r"(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])",
        r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b",
        r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b",
        r"(?:/home/|/Users/|C:\\Users\\)[^\s/\\]+",
        r"(?<![\w.])(?:\+\d[\d ./()-]{7,}\d|\(?\d{2,5}\)?(?:[ ./-]\d{2,5}){2,4})(?![\w.])",
        r"\b\d{3}-\d{2}-\d{4}\b",
        r"\b(?:\d[ -]?){13,19}\b",
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b",
        r"\b(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])[\w+/=-]{24,}",
    )
)
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)


def redacted(text: str, words: Sequence[str] = ()) -> str:
    """Return a text without what looks like a secret or a person, on one line, and cut.

    `words` go too, wherever they stand, in any case.
    """
    found = _CONTROL.sub(" ", text)
    for word in sorted(filter(None, words), key=len, reverse=True):
        found = re.sub(re.escape(word), MARK, found, flags=re.IGNORECASE)
    for pattern in _PATTERNS:
        found = pattern.sub(MARK, found)
    return found if len(found) <= MOST_CHARACTERS else found[:MOST_CHARACTERS] + "…"


def printable(text: str, most: int) -> str:
    """Return an answer without control characters but line breaks, cut to so many characters."""
    lines = (_CONTROL.sub(" ", line).rstrip() for line in text.splitlines())
    return "\n".join(lines).strip()[:most]

"""Reading documents of others: versions, and fields with what is wrong of them in words. Pure."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from workers.handover.errors import DocumentRefused

MANIFEST = "inferedge-agent-manifest-v1"
RESULT = "inferedge-runtime-result-v1"
AGENT_TASK = "inferedge-runtime-agent-task-v1"
REGISTRY = "inferedge-remote-worker-registry-v1"
REQUEST = "inferedge-remote-task-request-v1"
DISPATCH = "inferedge-remote-dispatch-result-v1"
SUMMARY = "inferedge-orchestration-summary-v1"
VERSION = "schema_version"
_VERSIONED = re.compile(r"(.+)-v(\d+)")
_SHOWN = 60


class Fields:
    """A table of a document; `where` names the file, and the table in it."""

    def __init__(self, content: Any, where: str, what: str = "a table of fields") -> None:
        if not isinstance(content, Mapping):
            raise DocumentRefused(f"{where}: it is {shown(content)} and should be {what}")
        self.plain: Mapping[str, Any] = content
        self.where = where

    def wrong(self, field: str, told: str) -> DocumentRefused:
        """Return the error for a field."""
        return DocumentRefused(f"{self.where}: {field} {told}")

    def version(self, wanted: str, *, needed: bool = True) -> None:
        """Raise DocumentRefused unless the document says that it is of this kind and version."""
        found = self.plain.get(VERSION)
        if found is None and not needed:
            return
        if found == wanted:
            return
        raise self.wrong(VERSION, f"is {shown(found)}; {remedy(found, wanted)}")

    def only(self, known: Collection[str]) -> None:
        """Raise DocumentRefused for a field that this kind of document does not have."""
        for name in self.plain:
            if name not in known:
                near = get_close_matches(str(name), list(known), 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise self.wrong(f"{name!r}", f"is unknown; {hint}known are {', '.join(known)}")

    def text(self, field: str, default: str | None = None) -> str:
        """Return a text that is not empty; a default that is given stands for null and absence."""
        found = self.plain.get(field)
        if found is None and default is not None:
            return default
        if not isinstance(found, str) or not found:
            raise self.wrong(field, f"is {shown(found)}; write a text that is not empty")
        return found

    def number(self, field: str) -> float | None:
        """Return a finite number above 0; None for null and absence."""
        found = self.plain.get(field)
        return None if found is None else positive(found, f"{self.where}: {field}")

    def whole(self, field: str, default: int) -> int:
        """Return a whole number of at least 0."""
        found = self.plain.get(field)
        if found is None:
            return default
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise self.wrong(field, f"is {shown(found)}; write a whole number of at least 0")
        return found

    def texts(self, field: str) -> tuple[str, ...]:
        """Return a list of texts; empty for null and absence."""
        found = self.plain.get(field)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.wrong(field, f"is {shown(found)}; write a list of texts")
        return tuple(found)

    def table(self, field: str) -> "Fields":
        """Return a table in this one; an empty one for null and absence."""
        found = self.plain.get(field)
        return Fields({} if found is None else found, f"{self.where}: {field}")

    def tables(self, field: str) -> Iterator["Fields"]:
        """Yield the tables of a list that is not empty."""
        found = self.plain.get(field)
        if not isinstance(found, list) or not found:
            raise self.wrong(field, f"is {shown(found)}; write a list with at least one table")
        for place, one in enumerate(found):
            yield Fields(one, f"{self.where}: {field}[{place}]")


def positive(value: Any, what: str) -> float:
    """Return a finite number above 0. Raises DocumentRefused; `what` names file and field."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DocumentRefused(f"{what} is {shown(value)}; write a number such as 12.5")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > 0):
        raise DocumentRefused(f"{what} is {shown(value)}; write a finite number above 0")
    return number


def remedy(found: Any, wanted: str) -> str:
    """Return what to do about a version that is not the one wanted."""
    known, other = _VERSIONED.fullmatch(wanted), _VERSIONED.fullmatch(str(found))
    if known and other and known[1] == other[1]:
        return f"this version of Weir reads {wanted}; write the document in that one"
    return f"give a document that says {wanted!r}"


def shown(value: Any) -> str:
    """Return a value as text that is not long; `missing` for None."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."

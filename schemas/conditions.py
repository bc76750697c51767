"""Conditions: what a request says of the circumstances in which its inputs were taken.

One has a name and a value, as `light` and `night`, written `light=night`. Each becomes part of the
names of series, so they are few and short.
"""

from collections.abc import Iterable

from schemas.errors import InvalidEvent
from schemas.records import KeyValue

MOST = 8
"""Conditions that one request may name."""
LONGEST = 100
"""Characters of the longest condition, as it is written."""


def written(condition: KeyValue) -> str:
    """Return a condition as `name=value`."""
    return f"{condition.key}={condition.value}"


def spelled(pairs: Iterable[tuple[str, str]]) -> tuple[KeyValue, ...]:
    """Return names and values as conditions in the order of their names."""
    return tuple(KeyValue(key=name, value=value) for name, value in sorted(pairs))


def read(texts: Iterable[str]) -> tuple[KeyValue, ...]:
    """Return conditions written as `name=value`. Raises InvalidEvent when they cannot be."""
    return checked(spelled(_pair(text) for text in texts))


def checked(conditions: tuple[KeyValue, ...]) -> tuple[KeyValue, ...]:
    """Return conditions as they are. Raises InvalidEvent when they cannot be those of a request."""
    if len(conditions) > MOST:
        raise _refused(f"{len(conditions)} conditions where a request names at most {MOST}")
    for one in conditions:
        if why := _wrong(one):
            raise _refused(f"condition {written(one)!r:.120}: {why}")
    return conditions


def _refused(why: str) -> InvalidEvent:
    return InvalidEvent("conditions", "conditions", why)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _wrong(one: KeyValue) -> str:
    if not one.key or not one.value:
        return "it needs a name and a value, as light=night"
    if "=" in one.key:
        return "its name holds a '='"
    text = written(one)
    if len(text) > LONGEST:
        return f"{len(text)} characters where at most {LONGEST} are taken"
    return "" if text.isprintable() else "it holds what cannot be printed"

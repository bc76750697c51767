"""Conditions: what a request says of the circumstances in which its inputs were taken.

One has a name and a value, as `light` and `night`, written `light=night`. Each becomes part of the
names of series, so they are few and short.
"""

from collections.abc import Iterable, Sequence

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


def objection(conditions: Sequence[KeyValue]) -> str:
    """Return why conditions cannot be those of a request, or ''."""
    if len(conditions) > MOST:
        return f"{len(conditions)} conditions where a request names at most {MOST}"
    wrong = ((one, why) for one in conditions if (why := _wrong(one)))
    return next((f"condition {written(one)!r:.120}: {why}" for one, why in wrong), "")


def _wrong(one: KeyValue) -> str:
    if not one.key or not one.value:
        return "it needs a name and a value, as light=night"
    if "=" in one.key:
        return "its name holds a '='"
    text = written(one)
    if len(text) > LONGEST:
        return f"{len(text)} characters where at most {LONGEST} are taken"
    return "" if text.isprintable() else "it holds what cannot be printed"

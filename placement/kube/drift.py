"""What an object has other than is wanted of it; what others add to it is theirs. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_KEYS = ("name", "mountPath")
"""What tells the entries of a list apart, where the API merges lists by entry."""


def differences(wanted: Any, found: Any, path: str = "") -> tuple[str, ...]:
    """Return the fields that are wanted and are otherwise, as paths; empty when there are none.

    Fields and entries of lists that only `found` has are not ours: defaults, a sidecar that
    somebody injects, what controllers note. Quantities are to be in canonical form.
    """
    return tuple(_differences(wanted, found, path))


def _differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if not wanted and not found and not isinstance(wanted, bool | int):
        return
    if isinstance(wanted, Mapping):
        held = found if isinstance(found, Mapping) else {}
        for name, value in wanted.items():
            yield from _differences(value, held.get(name), f"{path}.{name}" if path else name)
    elif isinstance(wanted, list | tuple):
        yield from _entries(wanted, found if isinstance(found, list | tuple) else (), path)
    elif wanted != found or isinstance(wanted, bool) != isinstance(found, bool):
        yield path


def _entries(wanted: Sequence[Any], found: Sequence[Any], path: str) -> Iterator[str]:
    key = next((k for k in _KEYS if all(_named(w, k) for w in wanted)), None)
    if key is None:
        if len(wanted) != len(found):
            yield path
            return
        for index, (want, have) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(want, have, f"{path}[{index}]")
        return
    held = {have[key]: have for have in found if _named(have, key)}
    for want in wanted:
        yield from _differences(want, held.get(want[key]), f"{path}[{want[key]}]")


def _named(entry: Any, key: str) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get(key), str)

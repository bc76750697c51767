"""Of the observations of several windows of one series, those that tell every event once.

Any number of window definitions may apply to a series. Whoever adds observations up takes one
definition: the shortest tumbling one, or else the one whose name comes first, and of that no
window that overlaps a newer one.
"""

from collections.abc import Iterable
from typing import Final

from schemas.observing import Observation

TUMBLING: Final = ("", "tumbling")
"""Kinds of windows that never overlap; the empty one is of events before there were others."""
_LONGEST: Final = 1 << 53


def rank(seen: Observation) -> int:
    """Return the length of a tumbling window, ms; any other kind counts as longer than all."""
    return seen.window_end - seen.window_start if seen.kind in TUMBLING else _LONGEST


def unrepeated(observations: Iterable[Observation]) -> list[Observation]:
    """Return those of an application that count, series by series, each from the newest back."""
    series: dict[tuple[str, ...], dict[str, list[Observation]]] = {}
    for seen in observations:
        key = (seen.metric, seen.unit, seen.stage, seen.service, seen.instance, seen.node)
        series.setdefault(key, {}).setdefault(seen.window, []).append(seen)
    return [
        seen
        for windows in series.values()
        for seen in _apart(min(windows.items(), key=_shortest)[1])
    ]


def _shortest(item: tuple[str, list[Observation]]) -> tuple[int, str]:
    return min(map(rank, item[1])), item[0]


def _apart(windows: list[Observation]) -> Iterable[Observation]:
    begin: int | None = None
    for seen in sorted(windows, key=lambda o: (o.window_end, o.window_start), reverse=True):
        if begin is None or seen.window_end <= begin:
            begin = seen.window_start
            yield seen

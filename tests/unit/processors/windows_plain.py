"""What windows hold, said plainly: rows (event time, value, series) in the order they came.

Everything is on time here. The end of time has come for all windows that are returned.
"""

from itertools import groupby

from schemas.registrations import WindowDefined

Row = tuple[int, float, str]
Window = tuple[str, int, int, tuple[float, ...]]
"""Series, begin, end, and the values in order of event time and arrival."""


def expected(d: WindowDefined, rows: list[Row], forget_ms: int) -> set[Window]:
    """Return all windows of a definition."""
    found: set[Window] = set()
    ordered = sorted(rows, key=lambda row: (row[2], row[0]))
    for series, group in groupby(ordered, key=lambda row: row[2]):
        events = [(time, value) for time, value, _ in group]
        for begin, end, inside in _windows(d, events, forget_ms):
            found.add((series, begin, end, tuple(value for _, value in inside)))
    return found


def _windows(d: WindowDefined, events, forget_ms):  # type: ignore[no-untyped-def]
    if d.kind == "session":
        return _sessions(events, d.gap_ms, d.size_ms)
    if d.kind == "count":
        step = d.interval_events or d.size_events
        runs = _runs(events, forget_ms)
        parts = [r[at : at + d.size_events] for r in runs for at in range(0, len(r), step)]
        return [(part[0][0], part[-1][0] + 1, part) for part in parts]
    if d.kind == "trailing" and d.interval_events:
        found = []
        for run in _runs(events, forget_ms):
            for last in range(d.interval_events - 1, len(run), d.interval_events):
                begin, end = run[last][0] + 1 - d.size_ms, run[last][0] + 1
                found.append((begin, end, [e for e in run[: last + 1] if e[0] >= begin]))
        return found
    return _on_grid(d, events)


def _on_grid(d, events):  # type: ignore[no-untyped-def]
    step = d.interval_ms or d.size_ms
    size = d.size_ms or min(3_600_000, 1_000 * step)
    first = (min(time for time, _ in events) - size - d.align_ms) // step
    last = (max(time for time, _ in events) - d.align_ms) // step
    found = []
    for number in range(first, last + 1):
        begin = number * step + d.align_ms
        inside = [event for event in events if begin <= event[0] < begin + size]
        if d.size_events and not any(begin + size - step <= time for time, _ in inside):
            continue
        inside = inside[-d.size_events :]
        if inside:
            found.append((inside[0][0] if d.size_events else begin, begin + size, inside))
    return found


def _runs(events, limit):  # type: ignore[no-untyped-def]
    runs = [[events[0]]]
    for event in events[1:]:
        if event[0] - runs[-1][-1][0] >= limit:
            runs.append([])
        runs[-1].append(event)
    return runs


def _sessions(events, gap, size):  # type: ignore[no-untyped-def]
    found, part = [], [events[0]]
    for event in [*events[1:], None]:
        ended = event is None or event[0] - part[-1][0] >= gap
        if ended or (size and event[0] - part[0][0] >= size):
            end = part[-1][0] + gap
            found.append((part[0][0], min(end, part[0][0] + size) if size else end, part))
            part = []
        part.append(event)
    return found

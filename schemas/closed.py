"""Rows of closed windows, on their way to the metrics that are defined by expressions.

Every field is documented in `avro/WindowsClosed`; a test holds the two together. The rows are
columns of little-endian numbers: they are many, and read by machines alone.
"""

from dataclasses import dataclass

from schemas.base import Event, Timestamp

WIDTHS = {"window_of": 4, "series_of": 4, "event_times": 8, "values": 8, "offsets": 8}
"""Columns of WindowsClosed and the bytes that a row has in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedWindow:
    """A window that is closed; `series` is the one that it belongs to, -1 when all share it.

    `anchor` is the offset of the event that tells it from others of its series and times; -1
    where times tell them apart.
    """

    name: str
    start: Timestamp
    end: Timestamp
    series: int
    anchor: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedSeries:
    """A series that has rows."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionHeld:
    """A definition whose rows are all given in windows that start at or after an instant."""

    definition: str
    since: Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsClosed(Event):
    """Windows of one partition that closed at one instant, and those of their rows that count."""

    event_id: str
    topic: str
    partition: int
    until: Timestamp
    last: bool
    rows: int
    definitions: tuple[DefinitionHeld, ...] = ()
    windows: tuple[ClosedWindow, ...] = ()
    series: tuple[ClosedSeries, ...] = ()
    window_of: bytes = b""
    series_of: bytes = b""
    event_times: bytes = b""
    values: bytes = b""
    offsets: bytes = b""
    request_ids: tuple[str, ...] = ()
    emitted_at: Timestamp


def objection(event: WindowsClosed) -> str:
    """Return why the columns of an event do not fit each other; empty when they do."""
    for name, width in WIDTHS.items():
        length = len(getattr(event, name))
        if length != width * event.rows:
            return f"{name} has {length} bytes; {event.rows} rows need {width * event.rows}"
    if len(event.request_ids) not in (0, event.rows):
        return f"there are {len(event.request_ids)} request_ids for {event.rows} rows"
    for name, most in (("window_of", len(event.windows)), ("series_of", len(event.series))):
        column = memoryview(getattr(event, name)).cast("I") if event.rows else ()
        if max(column, default=-1) >= most:
            return f"{name} names number {max(column)}, and there are {most}"
    wrong = [window.series for window in event.windows if window.series >= len(event.series)]
    return f"a window is of series {wrong[0]}, and there are {len(event.series)}" if wrong else ""

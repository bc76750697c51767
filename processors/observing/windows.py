"""Which windows a series has: the definitions of the catalogue, checked and matched.

A series is what stands between the same app, stage, service, instance, node, metric and unit.
`newest` is the newest event time that the partition has shown, row by row in offset order, the
row itself included.

Tumbling and hopping windows are [s, s + size), s = align + k * interval, and close when newest
reaches their end plus the allowed lateness. A row enters a window that it comes in time for. It
is late, once per definition, when it misses the first window that it belongs to; later ones it
may still enter. Trailing windows of `size_events` every `interval_ms` end at each align + k *
interval and hold the last events of the series before that, none older than the size in ms; only
series with an event since the last interval are told.

Session, count and trailing windows with `interval_events` take the events of a series in the
order (event time, offset), settled behind newest (taken down to a multiple of SETTLE_MS) minus the
lateness; an event older than that is late. So neither the order in which events come, within the
lateness, nor where batches end plays a part.

- A session ends before the first event that is `gap_ms` or more behind the one before it, or that
  is `size_ms` or more behind its first.
- Count windows number the events of a series from 0 and hold [k * interval, k * interval + size);
  a series silent for `forget_ms` is told with what there is, and numbered from 0 again.
- Trailing windows of `size_ms` every `interval_events` end with every such event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from schemas.registrations import WindowDefined
from schemas.topics import SERIES

TUMBLING, HOPPING, SESSION, COUNT, TRAILING = KINDS = (
    "tumbling",
    "hopping",
    "session",
    "count",
    "trailing",
)
FUNCTIONS = ("count", "mean", "std", "min", "max", "p50", "p90", "p95", "p99")
"""Statistics that every observation has, since others judge by them."""
EXTRAS = ("rate", "first", "last", "distinct")
"""Those that a definition may leave out."""
SETTLE_MS = 100
MAX_SIZE_MS = 86_400_000
MAX_EVENTS = 1_000_000
MAX_OVERLAP = 1_000
LONGEST_MS = 3_600_000
"""How old an event of a trailing window of `size_events` may be, where no `size_ms` says so."""
_SIZES = ("size_ms", "size_events", "interval_ms", "interval_events", "gap_ms", "align_ms")
_FIELDS = {
    TUMBLING: ("size_ms", "align_ms"),
    HOPPING: ("size_ms", "interval_ms", "align_ms"),
    SESSION: ("gap_ms", "size_ms"),
    COUNT: ("size_events", "interval_events"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How series are cut; an empty field of the series means any. Fields as in WindowDefined.

    `interval_ms` and `interval_events` are never 0 where the kind has them.
    """

    name: str
    app: str = ""
    stage: str = ""
    service: str = ""
    instance: str = ""
    node: str = ""
    metric: str = ""
    kind: str = TUMBLING
    size_ms: int = 0
    size_events: int = 0
    interval_ms: int = 0
    interval_events: int = 0
    gap_ms: int = 0
    align_ms: int = 0
    early_ms: int = 0
    lateness_ms: int = 0
    send_late: bool = False
    functions: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Return what equal ones share; names hardly ever stand for more than one."""
        return hash(self.name)

    @property
    def on_time(self) -> bool:
        """Whether its windows lie on a grid of event time, the same for all series."""
        return bool(self.interval_ms)

    def matches(self, series: Sequence[str]) -> bool:
        """Tell whether it applies to a series, given by its fields in the order of SERIES."""
        return all(
            getattr(self, name) in ("", value) for name, value in zip(SERIES, series, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """A definition that cannot be applied, and why."""

    definition: WindowDefined
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The windowings in force by name, the default one last, and the refused definitions."""

    windowings: tuple[Windowing, ...]
    refused: tuple[Refused, ...]


def tumbling(name: str, size_ms: int, lateness_ms: int) -> Windowing:
    """Return the windowing of all series into equal parts."""
    return Windowing(name=name, size_ms=size_ms, interval_ms=size_ms, lateness_ms=lateness_ms)


def resolve(definitions: Mapping[str, WindowDefined], default: Windowing) -> Resolved:
    """Return what definitions by name amount to; all that match a series apply to it.

    Of two that cut the same series in the same way the first name holds. Stopped ones are out of
    force. The default applies where none else does.
    """
    taken: dict[tuple[object, ...], str] = {}
    windowings: list[Windowing] = []
    refused: list[Refused] = []
    for name, definition in sorted(definitions.items()):
        if definition.stopped:
            continue
        place = tuple(getattr(definition, field) for field in (*SERIES, "kind", *_SIZES))
        reason = objection(definition)
        if not reason and place in taken:
            reason = f"{taken[place]} already defines this window of these series"
        if reason:
            refused.append(Refused(definition, reason))
            continue
        taken[place] = name
        windowings.append(_windowing(name, definition))
    return Resolved((*windowings, default), tuple(refused))


def _windowing(name: str, definition: WindowDefined) -> Windowing:
    shared = {field.name for field in fields(Windowing)} & {f.name for f in fields(definition)}
    values = {field: getattr(definition, field) for field in shared}
    kind = definition.kind
    if kind == TUMBLING:
        values["interval_ms"] = definition.size_ms
    elif kind == COUNT and not definition.interval_events:
        values["interval_events"] = definition.size_events
    elif kind == TRAILING and definition.interval_ms and not definition.size_ms:
        values["size_ms"] = min(LONGEST_MS, MAX_OVERLAP * definition.interval_ms)
    return Windowing(
        **(values | {"name": name}),
        lateness_ms=definition.allowed_lateness_ms,
        send_late=definition.late == "send",
    )


def objection(definition: WindowDefined) -> str:
    """Return why a definition cannot be applied; empty when it can."""
    if definition.kind not in KINDS:
        return f"windows of kind {definition.kind!r} are unknown; known: {', '.join(KINDS)}"
    if not 0 <= definition.allowed_lateness_ms <= MAX_SIZE_MS:
        lateness = definition.allowed_lateness_ms
        return f"allowed_lateness_ms is {lateness}; it must be within 0 and {MAX_SIZE_MS}"
    unknown = [name for name in definition.functions if name not in (*FUNCTIONS, *EXTRAS)]
    if unknown:
        known = ", ".join((*FUNCTIONS, *EXTRAS))
        return f"function {unknown[0]!r} is unknown; known: {known}"
    if definition.late not in ("count", "send"):
        return f"late is {definition.late!r}; it must be count or send"
    if definition.early_ms < 0 or (definition.early_ms and definition.kind == TRAILING):
        return (
            f"early_ms is {definition.early_ms}; it must be 0 or more, and 0 for trailing windows"
        )
    return _size_objection(definition)


def _size_objection(definition: WindowDefined) -> str:
    allowed = _FIELDS.get(definition.kind) or _trailing_fields(definition)
    if not allowed:
        return "a trailing window needs size_events and interval_ms, or size_ms and interval_events"
    for field in _SIZES:
        value, most = getattr(definition, field), MAX_SIZE_MS
        if field.endswith("events"):
            most = MAX_EVENTS
        least = 1 if field in allowed and (definition.kind, field) not in _OPTIONAL else 0
        if field not in allowed and value:
            return f"{field} is {value}; {definition.kind} windows of this sort take none"
        if not least <= value <= most:
            return f"{field} is {value}; it must be within {least} and {most}"
    if definition.interval_ms and definition.size_ms > MAX_OVERLAP * definition.interval_ms:
        return (
            f"size_ms is {definition.size_ms}, more than {MAX_OVERLAP} times interval_ms "
            f"({definition.interval_ms}); take a longer interval"
        )
    return ""


_OPTIONAL = {
    (TUMBLING, "align_ms"),
    (HOPPING, "align_ms"),
    (TRAILING, "align_ms"),
    (SESSION, "size_ms"),
    (COUNT, "interval_events"),
}


def _trailing_fields(definition: WindowDefined) -> tuple[str, ...]:
    if definition.size_events and definition.interval_ms:
        return (
            "size_events",
            "interval_ms",
            "align_ms",
            *(("size_ms",) * bool(definition.size_ms)),
        )
    if definition.size_ms and definition.interval_events:
        return ("size_ms", "interval_events")
    return ()

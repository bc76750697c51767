"""What an operator's file becomes: definitions of windows and metrics, checked before sending.

Pure. A file names an application and lists windows and metrics:

    app = "fraud"

    [[windows]]
    name = "fraud-latency"    # unique in the installation
    metric = "latency"        # and stage, service, instance, node; what is absent means any
    size = "10s"              # or a number of events
    interval = "1s"           # or a number of events; absent: windows follow each other
    lateness = "500ms"
    early = "2s"              # told so often before it closes
    late = "send"             # or "count"

    [[windows]]
    name = "fraud-sessions"
    gap = "30s"
    longest = "10m"

    [[metrics]]
    name = "fraud-slow-share"
    expression = 'ratio(value > 200 where metric == "latency")'
    group_by = ["service"]
    window = "fraud-latency"

The kind of a window follows from what is given: a time without interval is tumbling, a time each
time hopping, events each so many events count, events each time and a time each so many events
trailing, a gap a session.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from processors.defining import defined
from processors.observing import windows
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.errors import InvalidEvent
from schemas.quality import RemedyDefined, RuleDefined, SilenceDefined
from schemas.registrations import MetricDefined, WindowDefined
from schemas.topics import SERIES
from streams.errors import RegistrationError
from streams.plain_events import build
from streams.registration import NAME, identified

Definition = WindowDefined | MetricDefined
D = TypeVar("D", WindowDefined, MetricDefined)
OTHERS: tuple[type[Event], ...] = (RuleDefined, SilenceDefined, RemedyDefined)
KINDS: tuple[type[Event], ...] = (WindowDefined, MetricDefined, *OTHERS)
"""What stands on weir.definitions, under one key each: a name means one of them."""
_DURATION = re.compile(r"(\d+)\s*(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SCOPE = tuple(field for field in SERIES if field != "app")
_TIMES = {
    "gap": "gap_ms",
    "align": "align_ms",
    "early": "early_ms",
    "lateness": "allowed_lateness_ms",
}
_WINDOW = ("name", *_SCOPE, "size", "interval", "longest", *_TIMES, "late", "functions")
_METRIC = (
    *("name", "metric", "expression", "group_by", "window", "unit"),
    *("description", "low", "high"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The windows and metrics that stand now, by name, and what else has a name there."""

    windows: Mapping[str, WindowDefined]
    metrics: Mapping[str, MetricDefined]
    others: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Definition | None:
        """Return the window or metric of a name."""
        return self.windows.get(name) or self.metrics.get(name)


def read(file: Mapping[str, Any], now_ms: int) -> list[Definition]:
    """Return the definitions of a file, windows first; equal content has equal event ids.

    Raises RegistrationError, naming the definition and field, for what cannot be understood.
    """
    _known(file, ("app", "windows", "metrics"), "the file")
    app = file.get("app")
    if not isinstance(app, str) or not NAME.fullmatch(app):
        raise RegistrationError(f'app is {app!r}; the file says for which application: app = "…"')
    found: list[Definition] = [
        _built(WindowDefined, _window(app, plain), now_ms) for plain in _tables(file, "windows")
    ]
    found += [
        _built(MetricDefined, _metric(app, plain), now_ms) for plain in _tables(file, "metrics")
    ]
    if not found:
        raise RegistrationError("the file has neither [[windows]] nor [[metrics]]")
    names = [definition.name for definition in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RegistrationError(f"{twice[0]} is defined twice; names must differ")
    return found


def check(wanted: Sequence[Definition], standing: Standing, plugins: Collection[str]) -> None:
    """Raise RegistrationError when observe would refuse one of these, or one that holds now."""
    for definition in wanted:
        _check_name(definition, standing)
    together = Standing(
        dict(standing.windows) | _named(wanted, WindowDefined),
        dict(standing.metrics) | _named(wanted, MetricDefined),
    )
    known, reasons = refusals(standing, plugins), refusals(together, plugins)
    for definition in wanted:
        if definition.name in reasons:
            raise RegistrationError(f"{definition.name}: {reasons[definition.name]}")
        if isinstance(definition, MetricDefined) and definition.window:
            _check_window(definition, together.windows)
    for name in sorted(reasons.keys() - known.keys()):
        raise RegistrationError(f"{name} would no longer hold: {reasons[name]}")


def refusals(standing: Standing, plugins: Collection[str]) -> dict[str, str]:
    """Return why definitions are not in force, by name."""
    default = windows.tumbling("default", 1_000, 0)
    return {
        refused.definition.name: refused.reason
        for refused in windows.resolve(standing.windows, default).refused
    } | {
        refused.source.name: refused.reason
        for refused in defined.resolve(standing.metrics, plugins).refused
    }


def others(known: Catalogue, kinds: Iterable[type[Event]] = OTHERS) -> dict[str, str]:
    """Return what some classes of definitions have names for: rule, silence, and so on, by name."""
    return {
        name: kind.__name__.removesuffix("Defined").lower()
        for kind in kinds
        for name in known.of(kind)
    }


def stopped(name: str, standing: Standing, now_ms: int) -> WindowDefined:
    """Return the definition that puts a window out of force, its place in the catalogue kept.

    Raises RegistrationError where there is none that could be stopped.
    """
    definition = standing.get(name)
    if definition is None:
        raise unknown(name, standing)
    if isinstance(definition, MetricDefined):
        raise RegistrationError(
            f"{name} is a metric, which cannot be stopped: `weir observe remove {name}` ends it"
        )
    return identified(replace(definition, stopped=True), now_ms)


def unknown(name: str, standing: Standing) -> RegistrationError:
    """Return the error for a name that neither a window nor a metric has."""
    known = ", ".join(sorted({*standing.windows, *standing.metrics})) or "none"
    return RegistrationError(f"no window or metric {name!r} is defined; defined: {known}")


def cut(definition: WindowDefined) -> str:
    """Return in words how a definition cuts its series."""
    size = _words(definition.size_ms, definition.size_events)
    match definition.kind:
        case windows.SESSION:
            longest = f", {_time(definition.size_ms)} at most" if definition.size_ms else ""
            return f"sessions ending after {_time(definition.gap_ms)} of silence{longest}"
        case windows.TRAILING if definition.size_events:
            oldest = f" within {_time(definition.size_ms)}" if definition.size_ms else ""
            last = f"the last {_words(0, definition.size_events)}{oldest}"
            return f"{last} each {_time(definition.interval_ms)}"
    step = _words(definition.interval_ms, definition.interval_events)
    return f"{size} each {step}" if step else size


def reach(definition: Definition) -> str:
    """Return in words which series of its application a definition is for."""
    if isinstance(definition, MetricDefined):
        groups = ", ".join(definition.group_by)
        window = f" in {definition.window}" if definition.window else ""
        return f"{definition.metric}{f' by {groups}' if groups else ''}{window}"
    told = [f"{name}={getattr(definition, name)}" for name in _SCOPE if getattr(definition, name)]
    return " ".join(told) or "every series"


def duration_ms(text: str) -> int | None:
    """Return ms of a time such as 500ms, 10s, 5m, 1h, 2d; None when it is written otherwise."""
    found = _DURATION.fullmatch(text.strip())
    return int(found[1]) * _MILLISECONDS[found[2]] if found else None


def _window(app: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    what = f"window {plain.get('name')!r}"
    _known(plain, _WINDOW, what)
    found: dict[str, Any] = {"app": app, "size_ms": 0}
    found |= {
        field: plain[field] for field in ("name", *_SCOPE, "late", "functions") if field in plain
    }
    found |= _amount(plain, "size", what) | _amount(plain, "interval", what)
    found |= {
        name: _time_of(plain, field, what) for field, name in _TIMES.items() if field in plain
    }
    if "longest" in plain:
        if "gap" not in plain and "size_events" not in found:
            raise RegistrationError(
                f"{what}: longest is for sessions, and for a size in events each interval of time"
            )
        found["size_ms"] = _time_of(plain, "longest", what)
    return found | {"kind": _kind(found)}


def _kind(found: Mapping[str, Any]) -> str:
    if "gap_ms" in found:
        return windows.SESSION
    in_events = "size_events" in found
    if in_events and "interval_ms" not in found:
        return windows.COUNT
    if not in_events and "interval_events" not in found:
        return windows.HOPPING if "interval_ms" in found else windows.TUMBLING
    return windows.TRAILING


def _metric(app: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    what = f"metric {plain.get('name')!r}"
    _known(plain, _METRIC, what)
    if not plain.get("expression"):
        raise RegistrationError(f"{what}: expression is needed: say how it is computed")
    defaults = {"metric": plain.get("name"), "unit": "", "description": ""}
    return defaults | {"app": app} | dict(plain)


def _amount(plain: Mapping[str, Any], field: str, what: str) -> dict[str, int]:
    """Return a size or interval as a field in events or in ms."""
    if field not in plain:
        return {}
    value = plain[field]
    if isinstance(value, int) and not isinstance(value, bool):
        return {f"{field}_events": value}
    return {f"{field}_ms": _time_of(plain, field, what, ", or a whole number of events")}


def _time_of(plain: Mapping[str, Any], field: str, what: str, more: str = "") -> int:
    value = plain[field]
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        raise RegistrationError(
            f"{what}: {field} is {value!r}; write a time such as '500ms', '10s', '5m' or '1h'{more}"
        )
    return found


def _built(kind: type[D], plain: Mapping[str, Any], now_ms: int) -> D:
    name = plain.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RegistrationError(
            f"name {name!r}: use up to 63 letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    try:
        made = build(kind, dict(plain) | {"registered_at": 0, "event_id": ""})
    except InvalidEvent as error:
        raise RegistrationError(f"{name}: {error}") from error
    return identified(made, now_ms)


def _check_name(definition: Definition, standing: Standing) -> None:
    """A name is one key of one topic: what else stands under it would be gone."""
    name, other = definition.name, standing.get(definition.name)
    if name in standing.others:
        raise RegistrationError(f"{name} is the name of a {standing.others[name]}; choose another")
    if other is None:
        return
    if type(other) is not type(definition):
        kind = "window" if isinstance(other, WindowDefined) else "metric"
        raise RegistrationError(f"{name} is the name of a {kind} already; choose another")
    if other.app != definition.app:
        whose = f"application {other.app}" if other.app else "all applications"
        raise RegistrationError(f"{name} is defined for {whose} already; choose another name")


def _check_window(definition: MetricDefined, known: Mapping[str, WindowDefined]) -> None:
    wanted = known.get(definition.window)
    if wanted is None or wanted.app not in ("", definition.app):
        fitting = sorted(n for n, one in known.items() if one.app in ("", definition.app))
        raise RegistrationError(
            f"{definition.name}: there is no window {definition.window!r} of application "
            f"{definition.app}; there are {', '.join(fitting) or 'none'}"
        )


def _named(wanted: Sequence[Definition], kind: type[D]) -> dict[str, D]:
    return {one.name: one for one in wanted if isinstance(one, kind)}


def _tables(file: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = file.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RegistrationError(f"{name} must be a list of tables, each headed [[{name}]]")
    return value


def _known(plain: Mapping[str, Any], names: Collection[str], what: str) -> None:
    if strange := sorted(set(plain) - set(names)):
        raise RegistrationError(f"{what} has no {strange[0]!r}; it may have {', '.join(names)}")


def _words(ms: int, events: int) -> str:
    return _time(ms) if ms else f"{events:,} events" if events else ""


def _time(ms: int) -> str:
    for unit in ("d", "h", "m", "s"):
        if ms and ms % _MILLISECONDS[unit] == 0:
            return f"{ms // _MILLISECONDS[unit]} {'min' if unit == 'm' else unit}"
    return f"{ms} ms"

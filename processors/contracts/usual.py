"""What is usual of each part of an application: the past of the windows in which a clause held.

A part is a place that reports: an instance, or a service, stage or application where nothing
finer does. Its usual window has the means of the statistics of its windows, those of windows long
ago counting less and less (half after some 44 windows), and its usual number of events per ms.
Windows in which the clause was broken are not learned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.measures import combined
from schemas.observing import Observation

Place = tuple[str, str, str]
"""Stage, service and instance."""
STATISTICS = ("mean", "min", "max", "p50", "p90", "p95", "p99")
MEMORY = 64
ENOUGH = 5
"""So many windows make something usual."""
MAX_PARTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The statistics of some windows together, or of what is usual."""

    window_start: int
    window_end: int
    count: float
    mean: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual of a part: of `seen` windows, of which the last ended at `last_end`."""

    metric: str
    stage: str
    service: str
    instance: str
    seen: int = 0
    last_end: int = 0
    per_ms: float = 0.0
    values: tuple[float, ...] = ()

    @property
    def place(self) -> Place:
        """Return the place of the part."""
        return self.stage, self.service, self.instance

    def summary(self, start: int, end: int) -> Summary:
        """Return what would be usual from `start` to `end`."""
        named = dict(zip(STATISTICS, self.values, strict=True))
        count = self.per_ms * (end - start)
        return Summary(window_start=start, window_end=end, count=count, **named)


def summed(windows: Sequence[Observation | Summary]) -> Summary:
    """Return some windows, at least one, as one."""
    return Summary(
        window_start=min(window.window_start for window in windows),
        window_end=max(window.window_end for window in windows),
        count=combined(windows, "count"),
        **{name: combined(windows, name) for name in STATISTICS},
    )


def place_of(window: Observation) -> Place:
    """Return the place that a window is of."""
    return window.stage, window.service, window.instance


def covers(outer: Place, inner: Place) -> bool:
    """Return whether a place is another or lies within it; "" stands for all."""
    return all(name in ("", at) for name, at in zip(outer, inner, strict=True))


def finest(windows: Iterable[Observation]) -> dict[Place, list[Observation]]:
    """Return windows by place, without those of places that others tell of in more detail."""
    found: dict[Place, list[Observation]] = {}
    for window in windows:
        found.setdefault(place_of(window), []).append(window)
    return {
        place: group
        for place, group in found.items()
        if not any(other != place and covers(place, other) for other in found)
    }


def learned(
    usual: Sequence[Usual], windows: Iterable[Observation], forget_before: int
) -> tuple[Usual, ...]:
    """Return what is usual after newer windows, by place; parts unseen since then are forgotten.

    Windows of a place that end together, as of several nodes, count as one.
    Of more than `MAX_PARTS` the longest unseen are forgotten.
    """
    known: dict[tuple[str, ...], Usual] = {(one.metric, *one.place): one for one in usual}
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for window in windows:
        end = str(window.window_end)
        groups.setdefault((window.metric, *place_of(window), end), []).append(window)
    for (*part, _), group in groups.items():
        key = tuple(part)
        known[key] = _after(known.get(key) or _fresh(group[0]), summed(group))
    kept = [one for one in known.values() if one.last_end > forget_before]
    kept = sorted(kept, key=lambda one: one.last_end)[-MAX_PARTS:]
    return tuple(sorted(kept, key=lambda one: (one.metric, *one.place)))


def _fresh(window: Observation) -> Usual:
    return Usual(
        metric=window.metric,
        stage=window.stage,
        service=window.service,
        instance=window.instance,
    )


def _after(one: Usual, window: Summary) -> Usual:
    share = 1.0 / min(one.seen + 1, MEMORY)
    now = tuple(float(getattr(window, name)) for name in STATISTICS)
    before = one.values or now
    per_ms = window.count / max(1, window.window_end - window.window_start)
    return replace(
        one,
        seen=one.seen + 1,
        last_end=window.window_end,
        per_ms=one.per_ms + (per_ms - one.per_ms) * share,
        values=tuple(b + (n - b) * share for b, n in zip(before, now, strict=True)),
    )


def enough(usual: Iterable[Usual], metric: str) -> Mapping[Place, Usual]:
    """Return the parts of a metric of which enough was seen, by place."""
    return {one.place: one for one in usual if one.metric == metric and one.seen >= ENOUGH}

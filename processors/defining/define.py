"""Metrics that are defined by expressions: rows of closed windows in, observations out.

An application's series stand in several partitions of the metrics. A window that they share is
computed when every partition has told that it closed; one that keeps silent is waited for
`wait_ms`. Rows that come later still make another revision of the same observation. Windows that
each series has of its own (sessions, counts) are computed at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from processors.defining import telling
from processors.defining.defined import Definition, resolve
from processors.defining.plugins import Plugin, PluginFailed, called
from processors.defining.sources import Sources
from processors.defining.values import Asked, answers
from processors.defining.windows import (
    DefineState,
    Key,
    Window,
    WindowState,
    chunk_of,
    forgettable,
    key_of,
    rows_of,
)
from processors.params import identity, require
from processors.refusals import refusal
from schemas.closed import WindowsClosed
from schemas.codec import pack_state, unpack_state
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.processing import Batch, Output, Partition, Spec
from schemas.registrations import MetricDefined
from schemas.topics import SERIES, topic_named


@dataclass(frozen=True, slots=True, kw_only=True)
class DefineParams:
    """How long to wait, in ms of the clock.

    `sources` is the number of partitions of the metrics. One that was silent for `silent_ms` is
    not waited for. Computed windows are kept for `keep_ms`, and at most `most_rows` of their rows.
    """

    sources: int = topic_named("weir.metrics").partitions
    wait_ms: int = 3_000
    silent_ms: int = 5_000
    keep_ms: int = 600_000
    most_rows: int = 2_000_000


class Define:
    """Computes defined metrics."""

    def __init__(self, params: DefineParams, plugins: Mapping[str, Plugin]) -> None:
        self._params = params
        self._plugins = plugins
        self._begin(DefineState())

    def _begin(self, state: DefineState) -> None:
        self._place = (state.topic, state.partition)
        count, silent_ms = self._params.sources, self._params.silent_ms
        self._sources = Sources(count, silent_ms, state.born_ms, state.sources)
        self._windows: dict[Key, Window] = {
            (one.name, one.start, one.end, one.series): Window(one, fresh=one.fresh)
            for one in state.windows
        }
        self._forgotten = state.forgotten
        self._definitions: tuple[Definition, ...] = ()
        self._source: Mapping[str, MetricDefined] | None = None
        self._resuming = False
        self._refused, self._failed = state.refused, state.failed

    def process(self, batch: Batch) -> Sequence[Output]:
        """Take rows of closed windows, and return the observations of those that are complete."""
        self._resume()
        if not batch.records:
            wake = self.wake_at()
            if wake is None or batch.now_ms < wake:
                return []
            return [*self._define(batch), *self._compute(self._complete(batch.now_ms), batch)]
        found: list[Output] = self._define(batch)
        for record in batch.records:
            if isinstance(record.event, WindowsClosed):
                self._place = (record.topic, record.partition)
                found += self._take(record.event, record.offset, batch)
        return found

    def wake_at(self) -> int | None:
        """Return when the first window has been waited for long enough."""
        self._resume()
        states = [one.state for one in self._windows.values() if not one.done]
        waiting = [state.first_ms for state in states if not state.series]
        return min(waiting) + self._params.wait_ms if waiting else None

    def snapshot(self) -> bytes:
        """Return the state without rows."""
        return pack_state(
            DefineState(
                born_ms=self._sources.born_ms,
                topic=self._place[0],
                partition=self._place[1],
                sources=self._sources.state(),
                windows=tuple(
                    replace(one.state, fresh=one.fresh)
                    for _, one in sorted(self._windows.items(), key=lambda item: item[0])
                ),
                forgotten=self._forgotten,
                refused=self._refused,
                failed=self._failed,
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a state; rows come with `rebuild`."""
        self._begin(unpack_state(data, DefineState))
        self._resuming = True

    def _resume(self) -> None:
        """Forget windows whose rows the log no longer has: others would be told without them."""
        if self._resuming:
            self._drop([key for key, one in self._windows.items() if not one.places])
        self._resuming = False

    def oldest_needed(self) -> Mapping[Partition, int]:
        """Return the lowest offset of a window that is kept."""
        offsets = [chunk.offset for one in self._windows.values() for chunk, _ in one.places]
        return {self._place: min(offsets)} if offsets else {}

    def rebuild(self, batch: Batch) -> None:
        """Take rows again into the windows that are kept."""
        for record in batch.records:
            if isinstance(record.event, WindowsClosed):
                chunk = chunk_of(record.event, record.offset)
                for number, window in enumerate(record.event.windows):
                    kept = self._windows.get(key_of(window, record.event))
                    if kept is not None:
                        kept.places.append((chunk, number))

    def _define(self, batch: Batch) -> list[Output]:
        definitions = batch.catalogue.of(MetricDefined)
        if definitions is self._source:
            return []
        self._source = definitions
        resolved = resolve(definitions, self._plugins)
        failed = {name for name, one in self._plugins.items() if _mark(one) in self._failed}
        self._definitions = tuple(
            one for one in resolved.definitions if not failed & one.expression.plugins
        )
        known = self._refused
        self._refused = tuple(one.source.event_id for one in resolved.refused)
        return [
            refusal("define", one.source, one.reason, batch.now_ms)
            for one in resolved.refused
            if one.source.event_id not in known
        ]

    def _take(self, event: WindowsClosed, offset: int, batch: Batch) -> list[Output]:
        self._forget(batch.now_ms)
        chunk = chunk_of(event, offset)
        late: list[Output] = []
        for number, window in enumerate(event.windows):
            key = key_of(window, event)
            kept = self._windows.get(key)
            gone = self._forgotten is not None and event.until <= self._forgotten
            if kept is None and gone and not key[3]:
                late.append(telling.late(event, window, chunk, number, batch.now_ms))
                continue
            if kept is None:
                state = WindowState(
                    name=window.name,
                    start=window.start,
                    end=window.end,
                    closes=event.until,
                    first_ms=batch.now_ms,
                    revision=-1,
                    series=key[3],
                )
                kept = self._windows[key] = Window(state)
            kept.places.append((chunk, number))
            kept.fresh = True
        self._sources.hear(event, batch.now_ms)
        due = self._complete(batch.now_ms) if event.last else []
        return [*late, *self._compute(due, batch)]

    def _complete(self, now_ms: int) -> list[Key]:
        """Return the windows with fresh rows that nobody is waited for any more."""
        told = self._sources.told(now_ms)
        found = []
        for key, window in self._windows.items():
            state = window.state
            if window.done or state.series:
                complete = self._sources.have_told(window.givers(), state.closes)
            else:
                waited = now_ms >= state.first_ms + self._params.wait_ms
                complete = waited or (told is not None and told >= state.closes)
            if window.fresh and complete:
                found.append(key)
        return found

    def _compute(self, keys: Sequence[Key], batch: Batch) -> list[Output]:
        """Return the observations of windows, each in its next revision."""
        windows = []
        for key in sorted(keys, key=lambda key: (self._windows[key].state.closes, key)):
            window = self._windows[key]
            window.state = replace(window.state, revision=window.state.revision + 1)
            window.fresh = False
            windows.append(window)
            if window.state.series:
                del self._windows[key]
        found: list[tuple[tuple[int, int], Output]] = []
        failures: list[Output] = []
        scopes: dict[tuple[str, tuple[int, ...], bool], list[Definition]] = {}
        for definition in self._definitions:
            for own in (False, True):
                numbers = tuple(self._covered(definition, windows, own, batch.now_ms))
                if numbers:
                    scopes.setdefault((definition.source.app, numbers, own), []).append(definition)
        for (app, numbers, own), definitions in scopes.items():
            chosen = [windows[number] for number in numbers]
            computed = self._values(definitions, chosen, app, own, batch)
            failures += computed.failures
            found += [
                ((numbers[answer.window], order), event)
                for order, (answer, event) in enumerate(computed.events)
            ]
        found.sort(key=lambda one: one[0][0])
        return [*failures, *(event for _, event in found)]

    def _covered(
        self, definition: Definition, windows: Sequence[Window], own: bool, now_ms: int
    ) -> list[int]:
        """Return the windows that a definition is computed on: those with all its rows."""
        source, found = definition.source, []
        for number, window in enumerate(windows):
            named = source.window == window.state.name or (not source.window and not own)
            if not named or bool(window.state.series) is not own:
                continue
            givers = window.givers() | (set() if own else self._sources.heard(now_ms))
            if self._sources.give(givers, source.event_id, window.state.start):
                found.append(number)
        return found

    def _values(
        self,
        definitions: Sequence[Definition],
        windows: Sequence[Window],
        app: str,
        own: bool,
        batch: Batch,
    ) -> telling.Computed:
        """Compute definitions; those whose plug-in fails are left out from then on."""
        failures: list[Output] = []
        standing = list(definitions)
        while standing:
            asked = [Asked(one.expression, SERIES if own else one.fields) for one in standing]
            try:
                found = answers(
                    asked,
                    rows_of(windows, app),
                    lambda name, rows, given: called(self._plugins, name, rows, given),
                )
            except PluginFailed as failed:
                failures.append(self._fail(failed, batch.now_ms))
                standing = [o for o in standing if failed.name not in o.expression.plugins]
                continue
            events = telling.observations(found, standing, windows, own, batch.now_ms)
            return telling.Computed(failures, list(zip(found, events, strict=True)))
        return telling.Computed(failures, [])

    def _fail(self, failed: PluginFailed, now_ms: int) -> ActionTaken:
        mark = _mark(self._plugins[failed.name])
        self._failed = (*self._failed, mark)
        self._definitions = tuple(
            one for one in self._definitions if failed.name not in one.expression.plugins
        )
        return telling.failure(failed, mark, now_ms)

    def _forget(self, now_ms: int) -> None:
        old = [
            one
            for one in self._windows.values()
            if one.done and now_ms - one.state.first_ms > self._params.keep_ms
        ]
        gone = {
            id(one) for one in (*old, *forgettable(self._windows.values(), self._params.most_rows))
        }
        self._drop([key for key, one in self._windows.items() if id(one) in gone])

    def _drop(self, keys: Sequence[Key]) -> None:
        for key in keys:
            closes = self._windows.pop(key).state.closes
            self._forgotten = closes if self._forgotten is None else max(closes, self._forgotten)


def _mark(plugin: Plugin) -> str:
    return f"{plugin.name} {plugin.version}"


def spec(params: DefineParams | None = None, plugins: Mapping[str, Plugin] | None = None) -> Spec:
    """Return how hosts run define, with the plug-ins that are installed.

    Raises InvalidParameters.
    """
    chosen, functions = params or DefineParams(), dict(plugins or {})
    require(chosen, sources=1, wait_ms=0, silent_ms=0, keep_ms=0, most_rows=0)
    marks = tuple(sorted(map(_mark, functions.values())))
    return Spec(
        name="define",
        inputs=("weir.closed",),
        outputs=(Observation, ActionTaken),
        build=lambda _partition: Define(chosen, functions),
        parameters=stable_id(identity(chosen), *marks),
        singleton=True,
        catalogue=(MetricDefined,),
        state=DefineState,
        portable=True,
    )

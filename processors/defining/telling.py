"""What define says: observations of defined metrics, and actions about what is in none."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.defining.defined import Definition
from processors.defining.plugins import PluginFailed
from processors.defining.values import Answer
from processors.defining.windows import Chunk, Window
from schemas.closed import ClosedWindow, WindowsClosed
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import Observation
from schemas.processing import Output
from schemas.records import KeyValue, SourceRange
from schemas.topics import SERIES


@dataclass(frozen=True, slots=True)
class Computed:
    """Actions about plug-ins that failed, and each answer with its observation."""

    failures: list[Output]
    events: list[tuple[Answer, Observation]]


def observations(
    answers: Sequence[Answer],
    definitions: Sequence[Definition],
    windows: Sequence[Window],
    own: bool,
    now_ms: int,
) -> list[Observation]:
    """Return the observations of answers, whose numbers count definitions and windows."""
    return [
        _observation(one, definitions[one.asked], windows[one.window], own, now_ms)
        for one in answers
    ]


def _observation(
    answer: Answer, definition: Definition, window: Window, own: bool, now_ms: int
) -> Observation:
    source, state = definition.source, window.state
    fields = SERIES if own else definition.fields
    group = dict.fromkeys(SERIES, "") | dict(zip(fields, answer.group, strict=True))
    metric = source.metric
    if "metric" in source.group_by:
        metric = f"{source.metric}.{group['metric']}"
    topic = window.places[0][0].topic
    value = answer.value
    seconds = (state.end - state.start) / 1000
    return Observation(
        event_id=stable_id(
            "define", source.name, source.event_id, state.name, state.start, state.end,
            *(state.series if own else answer.group),
        ),
        revision=state.revision,
        app=group["app"],
        stage=group["stage"],
        service=group["service"],
        instance=group["instance"],
        node=group["node"],
        metric=metric,
        unit=source.unit,
        window=state.name,
        window_start=state.start,
        window_end=state.end,
        count=answer.count,
        mean=value,
        std=0.0,
        min=value,
        max=value,
        p50=value,
        p90=value,
        p95=value,
        p99=value,
        late_count=0,
        emitted_at=now_ms,
        sources=tuple(
            SourceRange(topic=topic, partition=partition, first=first, last=last, series="")
            for partition, first, last in answer.sources
        ),
        rate=answer.count / seconds if seconds else 0.0,
    )  # fmt: skip


def failure(failed: PluginFailed, mark: str, now_ms: int) -> ActionTaken:
    """Return the action that tells of a plug-in that failed."""
    return ActionTaken(
        event_id=stable_id("define", "plugin.failed", mark),
        target=failed.name,
        kind="plugin.failed",
        status="failed",
        policy="",
        reason=f"plug-in {mark} {failed.reason}; the definitions that call it say nothing until "
        "another version of it is installed",
        taken_at=now_ms,
    )


def late(
    event: WindowsClosed, window: ClosedWindow, chunk: Chunk, number: int, now_ms: int
) -> ActionTaken:
    """Return the action that tells of rows that came after their window was forgotten."""
    count = chunk.counts[number]
    place = f"{event.topic}/{event.partition}"
    return ActionTaken(
        event_id=stable_id("define", "late", event.event_id, window.name, window.start),
        target=window.name,
        kind="metrics.late",
        status="done",
        policy="",
        reason=f"{count} rows of {place} came after window {window.name} from {window.start} to "
        f"{window.end} was forgotten; they are in no defined metric",
        parameters=(
            KeyValue(key="source", value=place),
            KeyValue(key="count", value=str(count)),
        ),
        taken_at=now_ms,
    )

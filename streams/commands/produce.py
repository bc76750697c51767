"""`weir produce`: events from JSON lines, checked before they are sent."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.nouns import opened

if TYPE_CHECKING:
    from schemas.base import Event
    from schemas.topics import Topic

LONGEST_LINE = 12 * 1_048_576


def produce(
    topic: Annotated[str, typer.Argument(help="For example weir.metrics.")],
    *,
    file: Annotated[
        Path | None, typer.Option(help="JSON lines, one event each; standard input when absent.")
    ] = None,
    record: Annotated[
        str | None, typer.Option(help="The event's record where the topic has several.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, send nothing.")] = False,
) -> None:
    """Send events, one JSON object a line, to a topic.

    Every event is checked first: fields, types, and values that make no sense. A bad line is told
    with its number and not sent, the others are; the exit code is then 4. Bytes are base64,
    instants are ms since the epoch or ISO 8601 with an offset. Example:
    echo '{"event_time": "2026-01-01T00:00:00Z", "app": "a", "metric": "m", "value": 1}' |
    weir produce weir.metrics
    """
    from schemas.topics import topic_named

    row = topic_named(topic)
    kind = _kind(row, record)
    counts = {"sent": 0, "bad": 0}
    with ExitStack() as things:
        lines = things.enter_context(file.open("rb")) if file else sys.stdin.buffer
        events = _checked(lines, kind, row, counts)
        if dry_run:
            counts["sent"] = sum(1 for _ in events)
        else:
            _send(events, topic, counts, things)
    done = "are good" if dry_run else f"sent to {topic}"
    typer.echo(f"{counts['sent']} events {done}", err=True)
    if counts["bad"]:
        raise typer.Exit(4)


def _kind(row: "Topic", record: str | None) -> "type[Event]":
    names = {event.__name__: event for event in row.events}
    if record is None and len(names) == 1:
        return row.events[0]
    if record not in names:
        raise typer.BadParameter(f"--record must be one of {', '.join(names)}")
    return names[record]


def _checked(
    lines: Iterable[bytes], kind: "type[Event]", row: "Topic", counts: dict[str, int]
) -> Iterator["Event"]:
    """Yield the good events, and say what is wrong with the others."""
    from schemas.errors import EncodeError, InvalidEvent

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = _event(line, kind, row)
        except (ValueError, RecursionError, InvalidEvent, EncodeError) as error:
            counts["bad"] += 1
            typer.echo(f"line {number}: {error}", err=True)
        else:
            yield event


def _event(line: bytes, kind: "type[Event]", row: "Topic") -> "Event":
    from schemas import checks, codec
    from streams.plain_events import build
    from workers.clock import wall_ms

    if len(line) > LONGEST_LINE:
        raise ValueError(f"{len(line)} bytes of JSON are more than the {LONGEST_LINE} allowed")
    event = build(kind, json.loads(line))
    checks.check(event, wall_ms())
    size = len(codec.pack(event))
    if size > row.max_bytes:
        raise ValueError(f"{size} bytes as Avro are more than the {row.max_bytes} of {row.name}")
    return event


def _send(events: Iterator["Event"], topic: str, counts: dict[str, int], things: ExitStack) -> None:
    entries = things.enter_context(opened())
    for event in events:
        entries.add(event, topic)
        counts["sent"] += 1
    entries.flush()

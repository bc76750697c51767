"""`weir source`: requests from files, at a steady rate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from collections.abc import Callable


def source(
    path: Annotated[
        Path, typer.Argument(help="An image, an array (npy), a folder of them, or a table (csv).")
    ],
    *,
    app: Annotated[str, typer.Option(help="Application that is asked.")],
    rate: Annotated[float, typer.Option(min=0.001, max=100_000, help="Frames a second.")] = 10.0,
    frames: Annotated[int, typer.Option(min=0, help="Most frames; 0 for no limit.")] = 0,
    cycle: Annotated[bool, typer.Option("--cycle", help="From the first again.")] = False,
    column: Annotated[list[str] | None, typer.Option(help="Column of a table; repeat.")] = None,
    tensor: Annotated[str, typer.Option(help="Name of the input.")] = "x",
    deadline_ms: Annotated[int, typer.Option(min=1, help="From sending to answer, ms.")] = 1000,
    consumer: Annotated[str, typer.Option(help="On whose behalf.")] = "",
    contract: Annotated[str, typer.Option(help="Under which contract.")] = "",
    priority: Annotated[int, typer.Option(help="Larger is more important.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Send the frames of a source as requests, until its end, the limit or Ctrl-C.

    A frame that is late, because the next one is due, is left out and counted. Ids of requests
    begin with the kind of source and the digest of the frame. Answers are not awaited. Example:
    weir source readings.csv --app plant --rate 5 --column temperature --cycle --frames 100
    """
    from streams.commands.output import show_outcome
    from workers.client import Client
    from workers.sources.frames import source_of
    from workers.sources.sending import Asking, run

    read = source_of(path, tuple(column or ()), cycle=cycle)
    asking = Asking(
        app=app,
        consumer=consumer,
        contract=contract,
        priority=priority,
        deadline_ms=deadline_ms,
        tensor=tensor,
    )
    stopped = _stopped_by_signals()
    with Client(quiet_settings()) as client:
        told = run(read, asking, rate, frames or None, client.send, stopped)
        client.flush()
        undelivered = client.undelivered
    outcome = {
        "kind": told.kind,
        "sent": told.sent,
        "late": told.late,
        "undelivered": undelivered,
        "rate_hz": round(told.rate_hz, 3),
    }
    said = (
        f"{told.sent} frames sent, {told.rate_hz:.3g} a second; {told.late} were late and left "
        f"out, {undelivered} were not delivered"
    )
    show_outcome(outcome, said, as_json=as_json)


def _stopped_by_signals() -> "Callable[[], bool]":
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set

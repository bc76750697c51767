"""`weir source`: requests from files, videos, cameras and an HTTP port, at a steady rate."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.commands.nouns import AsJson, quiet_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.client import Client
    from workers.settings import Settings
    from workers.sources.camera import Camera
    from workers.sources.forms import Form
    from workers.sources.ingress import Ingress
    from workers.sources.sending import Asking, Sent

MOST_UNCONFIRMED = 1_000
"""Requests under way to Kafka at which an HTTP port takes no more frames."""


Place = Annotated[
    str,
    typer.Argument(
        help="An image, an array (npy), a folder of them, a table (csv), a video, a camera "
        "(rtsp://...)."
    ),
]
Listen = Annotated[str, typer.Option(help="HOST:PORT at which frames are taken over HTTP instead.")]
App = Annotated[str, typer.Option(help="Application that is asked.")]
Name = Annotated[str, typer.Option(help="Name of this source, in ids of requests.")]
Rate = Annotated[float, typer.Option(min=0.001, max=100_000, help="Frames a second.")]
Frames = Annotated[int, typer.Option(min=0, help="Most frames; 0 for no limit.")]
Cycle = Annotated[bool, typer.Option("--cycle", help="From the first again.")]
Column = Annotated[list[str] | None, typer.Option(help="Column of a table; repeat.")]
Size = Annotated[str, typer.Option(help="Make pictures so large: WIDTHxHEIGHT.")]
Gray = Annotated[bool, typer.Option("--gray", help="One value a pixel.")]
Scaled = Annotated[bool, typer.Option("--scaled", help="Pixels as float32, 0 to 1.")]
First = Annotated[bool, typer.Option("--channels-first", help="Channels, rows, columns.")]
Patience = Annotated[float, typer.Option(min=0, help="Longest silence of a camera, s; 0 for any.")]
TensorName = Annotated[str, typer.Option(help="Name of the input.")]
Deadline = Annotated[int, typer.Option(min=1, help="From frame to answer, ms.")]
Consumer = Annotated[str, typer.Option(help="On whose behalf.")]
Contract = Annotated[str, typer.Option(help="Under which contract.")]
Priority = Annotated[int, typer.Option(help="Larger is more important.")]
Condition = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Circumstance of the frames, such as camera=3."),
]


class _Origin(NamedTuple):
    """Where frames come from: a place, or host and port to listen at."""

    place: str
    listen: tuple[str, int] | None
    columns: tuple[str, ...]
    cycle: bool
    patience_s: float

    @property
    def camera(self) -> bool:
        """Whether the place is a camera."""
        return self.place.partition("://")[0].lower() in ("rtsp", "rtsps")


def source(
    place: Place = "",
    *,
    app: App,
    listen: Listen = "",
    name: Name = "",
    rate: Rate = 10.0,
    frames: Frames = 0,
    cycle: Cycle = False,
    column: Column = None,
    size: Size = "",
    gray: Gray = False,
    scaled: Scaled = False,
    channels_first: First = False,
    patience_s: Patience = 60.0,
    tensor: TensorName = "x",
    deadline_ms: Deadline = 1000,
    consumer: Consumer = "",
    contract: Contract = "",
    priority: Priority = 0,
    condition: Condition = None,
    as_json: AsJson = False,
) -> None:
    """Send the frames of a source as requests, until its end, the limit or Ctrl-C.

    A frame that is late, because the next one is due or has come, is left out and counted.
    Requests tell the kind of source and the frame's digest. Answers are not awaited. Examples:
    weir source readings.csv --app plant --rate 5 --column temperature --cycle --frames 100;
    weir source rtsp://camera/1 --app gate --rate 10 --size 96x72 --gray --name gate-1
    """
    import uuid

    from schemas.conditions import read
    from streams.commands.output import show_outcome
    from workers.sources.forms import Form, size_of
    from workers.sources.sending import Asking

    if bool(place) == bool(listen):
        raise typer.BadParameter("give a place to read from, or --listen, and not both")
    pixels = size_of(size) if size else None
    form = Form(tensor=tensor, size=pixels, gray=gray, scaled=scaled, channels_first=channels_first)
    asking = Asking(
        app=app,
        name=name or f"source-{uuid.uuid4().hex[:8]}",
        consumer=consumer,
        contract=contract,
        priority=priority,
        deadline_ms=deadline_ms,
        conditions=read(condition or ()),
    )
    origin = _Origin(
        place, _listened(listen) if listen else None, tuple(column or ()), cycle, patience_s
    )
    outcome, said = _outcome(*_sent(origin, form, asking, rate, frames or None))
    show_outcome(outcome, said, as_json=as_json)


def _sent(
    origin: _Origin, form: "Form", asking: "Asking", rate_hz: float, most: int | None
) -> "tuple[Sent, int]":
    """Send, and return what was sent and how many requests were not delivered."""
    from workers.client import Client
    from workers.sources.frames import source_of
    from workers.sources.sending import relay, run

    live = origin.listen is not None or origin.camera
    settings = _heard_settings() if live else quiet_settings()
    stored = (
        None if live else source_of(Path(origin.place), origin.columns, form, cycle=origin.cycle)
    )
    stopped = _stopped_by_signals()
    with Client(settings) as client:
        how = (asking, rate_hz, most, client.send, stopped)
        if stored is not None:
            told = run(stored, *how)
        elif origin.listen is None:
            with _camera(origin, form) as camera:
                told = relay(camera, *how)
        else:
            with _ingress(origin.listen, settings, form, asking, rate_hz, client) as ingress:
                told = relay(ingress, *how)
        client.flush()
        return told, client.undelivered


def _camera(origin: _Origin, form: "Form") -> "Camera":
    from workers.sources.camera import Camera

    return Camera(origin.place, form, patience_s=origin.patience_s)


def _listened(listen: str) -> tuple[str, int]:
    from workers.agent.echoing import address

    try:
        name, host, port = address(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from error
    if name:
        raise typer.BadParameter(f"{listen!r} is no HOST:PORT", param_hint="--listen")
    return host, port


def _ingress(
    listen: tuple[str, int],
    settings: "Settings",
    form: "Form",
    asking: "Asking",
    rate_hz: float,
    client: "Client",
) -> "Ingress":
    from workers.sources.ingress import Ingress

    held_up = partial(_held_up, client)
    return Ingress(listen, settings.source, form, rate_hz, asking.new_id, held_up)


def _held_up(client: "Client") -> str:
    """Return why no frame should be taken just now, or nothing."""
    under_way = client.under_way()
    if under_way < MOST_UNCONFIRMED:
        return ""
    return f"Kafka has not taken {under_way} requests yet"


def _outcome(told: "Sent", undelivered: int) -> tuple[dict[str, Any], str]:
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
    return outcome, said


def _heard_settings() -> "Settings":
    """Return the settings in force, with logs as they say: what lives long tells its troubles."""
    from streams.running import settings_of_running
    from workers import telemetry

    settings = settings_of_running()
    telemetry.configure(settings.log_level, json=settings.log_json)
    return settings


def _stopped_by_signals() -> "Callable[[], bool]":
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set

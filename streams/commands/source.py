"""`weir source`: requests from files, videos, cameras and an HTTP port, at a steady rate."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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


def source(
    place: Annotated[
        str,
        typer.Argument(
            help="An image, an array (npy), a folder of them, a table (csv), a video, a camera "
            "(rtsp://...)."
        ),
    ] = "",
    *,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT at which frames are taken over HTTP instead.")
    ] = "",
    app: Annotated[str, typer.Option(help="Application that is asked.")],
    name: Annotated[str, typer.Option(help="Name of this source, in ids of requests.")] = "",
    rate: Annotated[float, typer.Option(min=0.001, max=100_000, help="Frames a second.")] = 10.0,
    frames: Annotated[int, typer.Option(min=0, help="Most frames; 0 for no limit.")] = 0,
    cycle: Annotated[bool, typer.Option("--cycle", help="From the first again.")] = False,
    column: Annotated[list[str] | None, typer.Option(help="Column of a table; repeat.")] = None,
    size: Annotated[str, typer.Option(help="Make pictures so large: WIDTHxHEIGHT.")] = "",
    gray: Annotated[bool, typer.Option("--gray", help="One value a pixel.")] = False,
    scaled: Annotated[bool, typer.Option("--scaled", help="Pixels as float32, 0 to 1.")] = False,
    channels_first: Annotated[
        bool, typer.Option("--channels-first", help="Channels, rows, columns.")
    ] = False,
    patience_s: Annotated[
        float, typer.Option(min=0, help="Longest silence of a camera, s; 0 for any.")
    ] = 60.0,
    tensor: Annotated[str, typer.Option(help="Name of the input.")] = "x",
    deadline_ms: Annotated[int, typer.Option(min=1, help="From frame to answer, ms.")] = 1000,
    consumer: Annotated[str, typer.Option(help="On whose behalf.")] = "",
    contract: Annotated[str, typer.Option(help="Under which contract.")] = "",
    priority: Annotated[int, typer.Option(help="Larger is more important.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Send the frames of a source as requests, until its end, the limit or Ctrl-C.

    A frame that is late, because the next one is due or has come, is left out and counted.
    Requests tell the kind of source and the frame's digest. Answers are not awaited. Examples:
    weir source readings.csv --app plant --rate 5 --column temperature --cycle --frames 100;
    weir source rtsp://camera/1 --app gate --rate 10 --size 96x72 --gray --name gate-1
    """
    import uuid

    from streams.commands.output import show_outcome
    from workers.client import Client
    from workers.sources.forms import Form, size_of
    from workers.sources.frames import source_of
    from workers.sources.sending import Asking, relay, run

    if bool(place) == bool(listen):
        raise typer.BadParameter("give a place to read from, or --listen, and not both")
    form = Form(
        tensor=tensor,
        size=size_of(size) if size else None,
        gray=gray,
        scaled=scaled,
        channels_first=channels_first,
    )
    asking = Asking(
        app=app,
        name=name or f"source-{uuid.uuid4().hex[:8]}",
        consumer=consumer,
        contract=contract,
        priority=priority,
        deadline_ms=deadline_ms,
    )
    live = bool(listen) or _is_camera(place)
    stored = None if live else source_of(Path(place), tuple(column or ()), form, cycle=cycle)
    settings = _heard_settings() if live else quiet_settings()
    stopped = _stopped_by_signals()
    with Client(settings) as client:
        how = (asking, rate, frames or None, client.send, stopped)
        if stored is not None:
            told = run(stored, *how)
        else:
            coming = (
                _ingress(listen, settings, form, asking, rate, client)
                if listen
                else _camera(place, form, patience_s)
            )
            with coming as opened:
                told = relay(opened, *how)
        client.flush()
        undelivered = client.undelivered
    outcome, said = _outcome(told, undelivered)
    show_outcome(outcome, said, as_json=as_json)


def _is_camera(place: str) -> bool:
    return place.partition("://")[0].lower() in ("rtsp", "rtsps")


def _camera(url: str, form: "Form", patience_s: float) -> "Camera":
    from workers.sources.camera import Camera

    return Camera(url, form, patience_s=patience_s)


def _ingress(
    listen: str,
    settings: "Settings",
    form: "Form",
    asking: "Asking",
    rate_hz: float,
    client: "Client",
) -> "Ingress":
    from workers.agent.echoing import address
    from workers.sources.ingress import Ingress

    try:
        name, host, port = address(listen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--listen") from error
    if name:
        raise typer.BadParameter(f"{listen!r} is no HOST:PORT", param_hint="--listen")
    held_up = partial(_held_up, client)
    return Ingress((host, port), settings.source, form, rate_hz, asking.new_id, held_up)


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

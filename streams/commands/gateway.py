"""`weir gateway`: applications and the catalogue over HTTP."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from workers.settings import Settings


def gateway(
    *,
    host: Annotated[str, typer.Option(help="Listen here; 127.0.0.1 by default.")] = "",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Listen there; 8090 by default, 0 for a free one."),
    ] = None,
    health_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Serve /live, /ready and /metrics here; 0 for none."),
    ] = 0,
) -> None:
    """Serve inference and control over HTTP until SIGTERM or Ctrl-C.

    POST /v1/apps/APP/infer, the Open Inference Protocol below /v2, all of it at /docs. Section
    gateway of the settings says who may ask, how much, and with which certificate.
    """
    import signal
    import threading
    from importlib import metadata

    from streams.controlling.control import CatalogueControl
    from streams.health import serving
    from streams.running import settings_of_running
    from workers import telemetry
    from workers.gateway.running import Gateway

    settings = _with(settings_of_running(), host, port)
    telemetry.configure(settings.log_level, json=settings.log_json)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    made = Gateway(settings, metadata.version("weir"), CatalogueControl(settings), typer.echo)
    with serving(health_port, ready=lambda: made.ready):
        made.run(stop)


def _with(settings: "Settings", host: str, port: int | None) -> "Settings":
    given: dict[str, Any] = {"host": host or None, "port": port}
    changes = {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={"gateway": settings.gateway.model_copy(update=changes)})

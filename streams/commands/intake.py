"""`weir intake`: takes what systems say that know nothing of Weir."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from workers.settings import Settings, TargetSection

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def intake() -> None:
    """Take OpenTelemetry, Prometheus and QoA4ML as events."""


@app.command()
def run(
    *,
    host: Annotated[str, typer.Option(help="Listen here; 127.0.0.1 by default.")] = "",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Listen there; 4318 by default, 0 for a free one."),
    ] = None,
    scrape: Annotated[
        list[str] | None,
        typer.Option(help="Scrape this URL; #app=NAME&node=NAME behind it labels its series."),
    ] = None,
    every: Annotated[str, typer.Option(help="Time between two scrapes, as 5s or 1min.")] = "15s",
    app_name: Annotated[
        str, typer.Option("--app", help="The application of what names none.")
    ] = "",
    qoa4ml_topic: Annotated[
        str, typer.Option(help="Read reports of QoA4ML, in JSON, from this topic.")
    ] = "",
    health_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Serve /live, /ready and /metrics here; 0 for none."),
    ] = 0,
) -> None:
    """Serve OTLP and QoA4ML over HTTP and scrape Prometheus endpoints, until SIGTERM or Ctrl-C.

    POST /v1/metrics, /v1/logs, /v1/traces and /qoa4ml. What is answered 200 is in Kafka; what is
    answered 429 or 503 is to be sent again. Section intake of the settings says more.
    """
    import signal
    import threading

    from streams.errors import SettingsError
    from streams.health import serving
    from streams.running import settings_of_running
    from workers import telemetry
    from workers.intake.running import Intake
    from workers.intake.scraping import NoApplication

    settings = settings_of_running()
    given: dict[str, Any] = {"host": host, "app": app_name, "qoa4ml_topic": qoa4ml_topic}
    changes = {name: value for name, value in given.items() if value}
    if port is not None:
        changes["port"] = port
    if scrape:
        changes["targets"] = (*settings.intake.targets, *_targets(scrape, every))
    settings = _with(settings, changes)
    telemetry.configure(settings.log_level, json=settings.log_json)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    made = Intake(settings)
    try:
        with serving(health_port, ready=lambda: made.ready, live=lambda: made.live):
            made.run(stop)
    except NoApplication as error:
        raise SettingsError(str(error)) from error


def _with(settings: "Settings", changes: dict[str, Any]) -> "Settings":
    return settings.model_copy(update={"intake": settings.intake.model_copy(update=changes)})


def _targets(urls: list[str], every: str) -> "list[TargetSection]":
    from pydantic import ValidationError

    from streams.errors import SettingsError
    from streams.instants import duration_s
    from workers.intake.scraping import target_of

    every_s = duration_s(every)
    try:
        return [target_of(url, every_s) for url in urls]
    except ValidationError as error:
        wrong = error.errors()[0]
        raise SettingsError(
            f"--scrape {wrong['input']}: {wrong['msg']}; write http://host:port/metrics#app=NAME"
        ) from error

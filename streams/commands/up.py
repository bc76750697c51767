"""`weir up`: the whole stack on this machine, until Ctrl-C."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.clusters import Bootstrap, BrokerKind

if TYPE_CHECKING:
    from streams.embedded.stack import Stack

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Free unless told.")]
REPORT_S = 30.0
WARN_SHARE = 0.8


def up(
    *,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data, logs and state are kept.")
    ] = None,
    nodes: Annotated[
        Path | None,
        typer.Option(help="A TOML file with the array of tables nodes, which this machine plays."),
    ] = None,
    kafka_port: Port = None,
    registry_port: Port = None,
    clickhouse_port: Port = None,
    broker_limit_mib: Annotated[
        int, typer.Option(min=64, help="Memory of the broker at which everything stops, MiB.")
    ] = 2048,
    gateway: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve HTTP on this port, too; 0 for a free one."),
    ] = None,
    bootstrap: Bootstrap = None,
    broker: BrokerKind = "embedded",
) -> None:
    """Start broker, schema registry, ClickHouse and all processors, and keep them running.

    With --gateway applications can be asked over HTTP; who has WEIR_GATEWAY__ADMIN_TOKEN changes
    what is registered there. Other commands find what runs by the data directory. Ctrl-C stops
    everything.
    """
    from streams.embedded.choice import chosen
    from streams.embedded.nodes import read
    from streams.embedded.preparing import Ports
    from streams.embedded.processes import free_port, refuse_taken
    from streams.embedded.stack import APPS, GATEWAY, NARRATE, NOTIFY, Stack
    from streams.settings import load

    settings = load()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir})
    if nodes is not None:
        local = settings.local.model_copy(update={"nodes": read(nodes)})
        settings = settings.model_copy(update={"local": local})
    if gateway is not None:
        port = gateway or free_port()
        refuse_taken(port, "gateway")
        own = settings.gateway.model_copy(update={"port": port, "share_port": True})
        settings = settings.model_copy(update={"gateway": own})
    apps = APPS if gateway is None else (GATEWAY, *APPS)
    apps = (NARRATE, *apps) if settings.narrate.url else apps
    apps = (NOTIFY, *apps) if settings.notify.configured else apps
    ports = Ports(registry=registry_port, clickhouse=clickhouse_port)
    cluster = chosen(settings, broker, bootstrap, kafka_port, broker_limit_mib)
    ended = _ended_by_signal()
    stack = Stack(
        settings, apps=apps, ports=ports, broker=cluster, keep=cluster.forgets, say=typer.echo
    )
    with stack:
        _announce(stack, gateway is not None)
        _keep(stack, ended)
        typer.echo("stopping")


def _ended_by_signal() -> threading.Event:
    """Return an event that the first SIGTERM, SIGHUP or Ctrl-C sets, once the stack is up.

    Before that they end the command, which stops what has been started.
    """
    ended = threading.Event()

    def end(*_: object) -> None:
        if ended.is_set():
            return
        ended.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    return ended


def _announce(stack: "Stack", serves: bool) -> None:
    settings = stack.settings
    house, http = settings.clickhouse, settings.gateway
    told = f"http{'s' if http.certificate else ''}://{http.host}:{http.port}/docs"
    for name, value in (
        *([("gateway", told)] if serves else []),
        ("kafka", settings.kafka.bootstrap),
        ("schema registry", settings.registry.url),
        ("clickhouse", f"http://{house.host}:{house.port}"),
        ("nodes", ", ".join(node.name for node in settings.local.nodes)),
        ("data and logs", str(settings.data_dir)),
    ):
        typer.echo(f"  {name:<16} {value}")
    typer.echo("ready; Ctrl-C stops everything, `weir status` shows how it is")


def _keep(stack: "Stack", ended: threading.Event) -> None:
    """Wait for the end, and say now and then how the broker grows."""
    try:
        while not ended.is_set():
            stack.wait(REPORT_S)
            used, limit = stack.broker.memory_mib(), stack.broker.limit_mib
            if not limit:
                continue
            soon = "; it stops at the limit" if used > WARN_SHARE * limit else ""
            typer.echo(f"the broker holds {used:.0f} of {limit} MiB{soon}")
    except KeyboardInterrupt:
        return

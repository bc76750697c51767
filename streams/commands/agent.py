"""`weir agent`: reports what a machine is doing, and the machine itself."""

import contextlib
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from workers.agent.echoing import Neighbour
    from workers.agent.known_nodes import KnownNodes
    from workers.agent.service import Plan
    from workers.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True)
APP = "nodes"


Repeated = list[str] | None
Node = Annotated[str, typer.Option(help="The name of this node.", show_default="the host's name")]
Every = Annotated[float, typer.Option(min=0.05, help="Seconds between readings.")]
App = Annotated[
    str,
    typer.Option("--app", help="The application that metrics are reported for.", show_default=APP),
]
Disks = Annotated[Repeated, typer.Option("--disk", help="A mounted path; may be repeated.")]
Processes = Annotated[
    Repeated, typer.Option("--process", help="A process by id or name; may be repeated.")
]
PerCore = Annotated[bool, typer.Option(help="Load and frequency of each core.")]
Others = Annotated[
    Repeated, typer.Option("--neighbour", help="HOST:PORT or NAME=HOST:PORT of another agent.")
]
Bulk = Annotated[
    float,
    typer.Option("--bandwidth-every", min=0, help="Seconds between transfers of 1 MiB; 0: none."),
]
Listen = Annotated[str, typer.Option(help="HOST:PORT at which neighbours may measure.")]
Advertise = Annotated[
    str, typer.Option(help="HOST:PORT under which neighbours find it; --listen by default.")
]
Zone = Annotated[str, typer.Option(help="Failure domain of the node.")]
Labels = Annotated[Repeated, typer.Option("--label", help="KEY=VALUE of the node; repeatable.")]
Placeable = Annotated[
    bool, typer.Option("--placeable", help="Let services be placed here; else it is tainted.")
]
Heartbeat = Annotated[bool, typer.Option(help="Report the node itself every second.")]
Alone = Annotated[bool, typer.Option("--alone", help="Do not follow the catalogue: saves memory.")]
Health = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Serve /live, /ready and /metrics here; 0 for none."),
]
Buffered = Annotated[int, typer.Option("--buffer", min=100, help="Most measurements that wait.")]


@app.callback()
def agent() -> None:
    """Report what a machine is doing, and the machine itself."""


@app.command()
def run(
    *,
    node: Node = "",
    every: Every = 1.0,
    app_name: App = "",
    disks: Disks = None,
    processes: Processes = None,
    per_core: PerCore = True,
    neighbours: Others = None,
    bulk_every: Bulk = 60.0,
    listen: Listen = "",
    advertise: Advertise = "",
    zone: Zone = "",
    labels: Labels = None,
    placeable: Placeable = False,
    heartbeat: Heartbeat = True,
    alone: Alone = False,
    buffer: Buffered = 10_000,
    health_port: Health = 0,
) -> None:
    """Report this machine every so many seconds until SIGTERM or Ctrl-C.

    Processors, memory, disks, network, temperatures, chosen processes, NVIDIA GPUs (where
    nvidia-ml-py is installed), a Jetson's tegrastats, and the way to neighbours. While Kafka is
    away measurements wait, within bounds; what is lost is counted and told. A node that something
    else reports, such as the local actuator, is left to it.
    """
    from streams.running import settings_of_running
    from workers import telemetry
    from workers.agent.service import Plan

    settings = _identified(settings_of_running(), node, app_name)
    plan = Plan(
        every_s=every,
        disks=tuple(disks or ("/",)),
        processes=tuple(processes or ()),
        per_core=per_core,
        neighbours=tuple(_neighbour(text) for text in neighbours or ()),
        bulk_every_s=bulk_every,
        token=settings.agent.token.get_secret_value(),
        heartbeat=heartbeat,
        buffer=buffer,
    )
    known = tuple(_pair(text) for text in labels or ())
    telemetry.configure(settings.log_level, json=settings.log_json)
    with _listening(listen, advertise, plan.token) as answers_at:
        about = _About(zone, known, answers_at, placeable)
        _work(settings, plan, about, health_port, follow=not alone)


class _About(NamedTuple):
    """What is said of the node besides what can be measured."""

    zone: str
    labels: tuple[tuple[str, str], ...]
    answers_at: str
    placeable: bool


def _work(
    settings: "Settings", plan: "Plan", about: _About, health_port: int, *, follow: bool
) -> None:
    from streams.health import serving
    from workers.agent.facts import gather
    from workers.agent.nvml import nvidia
    from workers.agent.service import Agent

    gpus = nvidia()
    facts = gather(settings.identity.node, gpus, **about._asdict())
    stop = _stopping()
    nodes = _nodes(settings) if follow else None
    made = Agent(settings, facts, plan, gpus, nodes.all if nodes else None)
    with serving(health_port, ready=lambda: made.probe.reached, live=lambda: made.live):
        made.run(stop)
    if nodes:
        nodes.close()


def _identified(settings: "Settings", node: str, app_name: str) -> "Settings":
    """Return the settings with an identity that is the same after a restart."""
    import platform

    own = settings.identity
    name = node or own.node or platform.node().partition(".")[0]
    identity = own.model_copy(
        update={
            "app": app_name or own.app or APP,
            "service": own.service or "agent",
            "instance": own.instance or f"agent.{name}",
            "node": name,
        }
    )
    return settings.model_copy(update={"identity": identity})


def _nodes(settings: "Settings") -> "KnownNodes":
    from workers.agent.known_nodes import KnownNodes
    from workers.registry import Registry

    return KnownNodes(settings.kafka, Registry(settings.registry).codec())


@contextlib.contextmanager
def _listening(listen: str, advertise: str, token: str) -> "Iterator[str]":
    """Answer neighbours while the block runs; yield where they find it, if they can."""
    from streams.errors import SettingsError
    from workers.agent import echoing
    from workers.agent.responder import NotToBeServed, Responder

    if not listen:
        yield ""
        return
    where = _neighbour(listen)
    given = _neighbour(advertise) if advertise else None
    try:
        responder = Responder(where.host, where.port, token)
    except NotToBeServed as error:
        raise SettingsError(str(error)) from error
    with responder as made:
        here = echoing.place(where.host, made.port)
        typer.echo(f"neighbours may measure at {here}", err=True)
        if given is not None:
            here = echoing.place(given.host, given.port)
        elif where.host in (*echoing.LOOPBACK, *echoing.EVERYWHERE):
            here = ""
            typer.echo("no neighbour will find that by itself: say --advertise", err=True)
        yield here


def _neighbour(text: str) -> "Neighbour":
    from streams.errors import SettingsError
    from workers.agent.echoing import Neighbour, address

    try:
        name, host, port = address(text)
    except ValueError as error:
        raise SettingsError(f"{error}; write 10.0.0.7:7878 or [::1]:7878") from error
    return Neighbour(name or text, host, port)


def _pair(text: str) -> tuple[str, str]:
    from streams.errors import SettingsError

    key, sign, value = text.partition("=")
    if not (key and sign):
        raise SettingsError(f"--label {text!r}: write KEY=VALUE")
    return key, value


def _stopping() -> "threading.Event":
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop

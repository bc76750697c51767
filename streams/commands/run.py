"""`weir run`: processors, the sink and the control plane, in this process."""

import threading
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.together import Loop
    from workers.host import BatchHost
    from workers.settings import Settings


def run(
    names: Annotated[list[str], typer.Argument(help="Processors, or sink, or one Faust app.")],
    *,
    health_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Serve /live, /ready and /metrics here; 0 for none."),
    ] = 0,
) -> None:
    """Run processors by name until SIGTERM or Ctrl-C.

    Each has a thread and a consumer of its own; when one fails, all end, and whoever started
    them starts them again. Known: derive, observe, drift, quality, contract, route, sink on the
    batch host; select, place, actuate, or control for these three, on Faust.
    """
    from streams import topology
    from streams.running import settings_of_running
    from workers import telemetry

    _check_names(names)
    settings = settings_of_running()
    telemetry.configure(settings.log_level, json=settings.log_json)
    if names[0] in topology.APPS:
        _run_app(topology.APPS[names[0]], settings, health_port)
    else:
        _run_threads(names, settings, health_port)


def _check_names(names: "Sequence[str]") -> None:
    from streams import topology
    from streams.errors import HostingError

    unknown = [name for name in names if name not in topology.names()]
    if unknown:
        known = ", ".join(topology.names())
        raise HostingError(f"cannot run {', '.join(unknown)}; known: {known}")
    if len(names) > 1 and any(name in topology.APPS for name in names):
        raise HostingError("a Faust app runs by itself: `weir run control`, or one process each")
    if len(set(names)) < len(names):
        raise HostingError(
            "each name once: more processes of one are told apart by WEIR_HOST__SLOT"
        )


def _run_app(module: str, settings: "Settings", health_port: int) -> None:
    import importlib

    from streams.health import serving

    faust = importlib.import_module(module)
    app = faust.build(settings)
    with serving(health_port, app.is_ready, app.is_live):
        faust.main(settings, app)


def _run_threads(names: "Sequence[str]", settings: "Settings", health_port: int) -> None:
    import signal

    from streams.health import serving
    from streams.together import Together

    checks: list[Callable[[], bool]] = []
    with serving(health_port, ready=lambda: bool(checks) and all(check() for check in checks)):
        together = Together(_loops(names, settings, checks))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: together.stop())
        together.run()


def _loops(
    names: "Sequence[str]", settings: "Settings", checks: "list[Callable[[], bool]]"
) -> "dict[str, Loop]":
    from streams import topology

    loops: dict[str, Loop] = {}
    processors = [name for name in names if name != topology.SINK]
    hosts = _hosts(processors, settings) if processors else {}
    for name, host in hosts.items():
        loops[name] = host.run
        checks.append(lambda host=host: host.ready)  # type: ignore[misc]  # a default is not inferred
    if topology.SINK in names:
        followed = threading.Event()
        loops[topology.SINK] = _sink(settings, followed)
        checks.append(followed.is_set)
    return loops


def _hosts(names: "Sequence[str]", settings: "Settings") -> "dict[str, BatchHost]":
    """Return a host per processor; all follow one catalogue, and bad entries are told once."""
    from streams import topology
    from workers.bad_entries import BadEntries
    from workers.catalogue import CatalogueReader
    from workers.host import BatchHost
    from workers.registry import Registry

    codec = Registry(settings.registry).codec()
    specs = {name: topology.spec_named(name) for name in names}
    kinds = {kind for spec in specs.values() for kind in spec.catalogue}
    reader = CatalogueReader(settings.kafka, codec, kinds, BadEntries(settings.kafka, codec))
    reader.begin()
    return {
        name: BatchHost(spec, settings, codec=codec, catalogue=reader)
        for name, spec in specs.items()
    }


def _sink(settings: "Settings", followed: threading.Event) -> "Loop":
    from workers import sink

    return lambda stop: sink.run(settings, stop, ready=followed)

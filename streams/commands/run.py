"""`weir run`: processors, the sink and the control plane, in this process."""

import gc
import threading
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.together import Loop
    from workers.hosting.host import BatchHost
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
    them starts them again. Known: derive, observe, define, drift, shift, explain, quality,
    anomaly, contract, route, sink, narrate, notify on the batch host; diagnose, select, remedy,
    scale, canary, place, actuate, or control for all of these, on Faust.
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
    from streams.preflight import check_saved

    faust = importlib.import_module(module)
    check_saved(settings, module)
    app = faust.build(settings)
    with serving(health_port, app.is_ready, app.is_live):
        faust.main(settings, app)


def _run_threads(names: "Sequence[str]", settings: "Settings", health_port: int) -> None:
    import signal

    from streams import topology
    from streams.guard import Guard, lowest
    from streams.health import serving
    from streams.together import Together

    stop = threading.Event()
    followed = {name: threading.Event() for name in topology.OWN_LOOPS}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    hosts: dict[str, BatchHost] = {}
    loops: dict[str, Loop] = {}

    def ready() -> bool:
        own = all(event.is_set() for name, event in followed.items() if name in names)
        return bool(loops) and own and all(host.ready for host in hosts.values())

    guard = Guard(
        settings.kafka,
        lambda: lowest(host.standing for host in hosts.values()),
        {},
        ready,
        settings.host.patience_s,
    )
    with serving(health_port, lambda: ready() and guard.live, lambda: guard.live):
        hosts |= _hosts([name for name in names if name not in followed], settings)
        loops |= {name: host.run for name, host in hosts.items()}
        own = {topology.SINK: _sink, topology.NARRATE: _narrate, topology.NOTIFY: _notify}
        loops |= {name: own[name](settings, followed[name]) for name in names if name in own}
        with guard:
            Together(loops, stop).run()
    gc.freeze()  # else the interpreter looks through a million objects before it lets go


def _hosts(names: "Sequence[str]", settings: "Settings") -> "dict[str, BatchHost]":
    """Return a host per processor; all follow one catalogue, and bad entries are told once."""
    from streams import topology
    from workers.bad_entries import BadEntries
    from workers.catalogue import CatalogueReader
    from workers.hosting.host import BatchHost
    from workers.registry import Registry

    if not names:
        return {}
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
    from workers.sinking import sink

    return lambda stop: sink.run(settings, stop, ready=followed)


def _narrate(settings: "Settings", ready: threading.Event) -> "Loop":
    from streams.errors import SettingsError
    from workers.narrating import loop

    if not settings.narrate.url:
        raise SettingsError(
            "narrate has nobody to ask: name an endpoint by WEIR_NARRATE__URL, and the model there "
            "by WEIR_NARRATE__MODEL"
        )
    return lambda stop: loop.run(settings, stop, ready)


def _notify(settings: "Settings", ready: threading.Event) -> "Loop":
    from streams.errors import SettingsError
    from workers.notifying import loop

    if not settings.notify.configured:
        raise SettingsError(
            "notify has nobody to tell: name a receiver by WEIR_NOTIFY__WEBHOOK_URL or "
            "WEIR_NOTIFY__ALERTMANAGER_URL"
        )
    return lambda stop: loop.run(settings, stop, ready)

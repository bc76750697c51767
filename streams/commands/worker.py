"""`weir worker`: one inference worker, for a node of this machine or in a container."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands import worker_local

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

PARENT_EVERY_S = 0.5
_IN_TOPIC = re.compile("[A-Za-z0-9._-]{1,200}")
"""The worker's id ends the name of its task topic."""


app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def worker(
    context: typer.Context,
    *,
    node: Annotated[str, typer.Option(help="The node whose placements it serves.")] = "",
    worker: Annotated[
        str, typer.Option(help="Its id, part of its task topic; node and process id by default.")
    ] = "",
    parent: Annotated[
        int, typer.Option(help="The process with which it ends; its parent by default.")
    ] = 0,
    detached: Annotated[
        bool, typer.Option("--detached", help="Go on when the process that started it ends.")
    ] = False,
    succeeds: Annotated[
        bool, typer.Option("--succeeds", help="Another one serves there until this one is ready.")
    ] = False,
) -> None:
    """Serve the services that are placed on a node, until SIGTERM or Ctrl-C.

    Finishes what waits before it ends; on SIGHUP it does so without a word, because a successor
    serves already. Node and worker can be set by WEIR_WORKER__NODE and WEIR_WORKER__WORKER too.
    The commands below serve nobody else, and need no Kafka.
    """
    if context.invoked_subcommand is not None:
        return
    import os
    import threading

    from streams.errors import SettingsError
    from streams.health import serving
    from streams.running import settings_of_running
    from workers import order_plugins, telemetry
    from workers.inference.loop import Worker

    settings = settings_of_running()
    node = node or settings.worker.node
    if not node:
        raise SettingsError("name the node: --node, or WEIR_WORKER__NODE")
    own = settings.worker.model_copy(
        update={"node": node, "worker": worker or settings.worker.worker or f"{node}-{os.getpid()}"}
    )
    if not _IN_TOPIC.fullmatch(own.worker):
        raise SettingsError(f"worker {own.worker!r}: use letters, digits, '.', '_', '-' (--worker)")
    try:
        order = order_plugins.named(own.order)
    except ValueError as error:
        raise SettingsError(f"WEIR_WORKER__ORDER: {error}") from error
    settings = settings.model_copy(update={"worker": own})
    telemetry.configure(settings.log_level, json=settings.log_json)
    stop = threading.Event()
    made = Worker(settings, order, succeeds=succeeds)
    _stop_on_signals(stop, made.hand_over)
    if not detached:
        expected = parent or os.getppid()
        threading.Thread(target=_end_with_parent, args=(stop, expected), daemon=True).start()
    with serving(own.metrics_port, ready=lambda: made.ready, live=lambda: made.live):
        made.run(stop)


def _stop_on_signals(stop: "threading.Event", hand_over: "Callable[[], None]") -> None:
    import signal

    def relieved(*_: object) -> None:
        hand_over()
        stop.set()

    signal.signal(signal.SIGHUP, relieved)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def _end_with_parent(stop: "threading.Event", parent: int) -> None:
    """Set `stop` when the parent is gone, be it before this process could look.

    The kernel's own death signal would also come when only the thread that started us ends. The
    process named may be another than the parent, which may then end before.
    """
    import os

    import psutil

    from streams.running import is_running

    try:
        began = psutil.Process(parent).create_time()
    except psutil.NoSuchProcess:
        began = 0.0
    is_parent = os.getppid() == parent
    while not stop.wait(PARENT_EVERY_S):
        if not (os.getppid() == parent if is_parent else is_running(parent, began)):
            stop.set()


for verb in (worker_local.smoke, worker_local.run, worker_local.report, worker_local.template):
    app.command()(verb)

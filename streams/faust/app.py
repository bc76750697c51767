"""A Faust app as Weir makes and runs it; what it does is added by `streams.faust.host`."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import faust
from faust.tables import TableManager

from schemas.processing import Spec
from streams.faust import transport as faust_transport
from streams.settings import load
from workers import telemetry
from workers.settings import Settings

MAX_REQUEST_BYTES = 16 * 1_048_576


class Boot(faust.app.BootStrategy):
    """What an app starts: all but Faust's web server, whose port two workers would fight over."""

    enable_web = False


class NoTables(TableManager):
    """Faust's keeper of tables where there are none: it does not wait a second for some."""

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        """Let the app go on."""
        await self._update_channels()
        await self.recovery.start()


async def _nothing() -> None:
    pass


class App(faust.App):
    """A Faust app.

    `is_ready` tells whether it has its partitions and their state, `is_live` whether it works;
    `begin` is done before anything else when it starts. `hands_over` is set by SIGHUP, which ends
    it like SIGTERM: what it looks after is left to its successor.
    """

    BootStrategy = Boot
    logger = logging.getLogger("faust.app")
    hands_over = False
    is_ready: Callable[[], bool] = staticmethod(lambda: False)
    is_live: Callable[[], bool] = staticmethod(lambda: True)
    begin: Callable[[], Awaitable[None]] = staticmethod(_nothing)

    async def on_first_start(self) -> None:
        """Start; the directories above Faust's own are made here, which it expects to exist."""
        await asyncio.to_thread(self.conf.datadir.parent.mkdir, parents=True, exist_ok=True)
        await self.begin()
        await super().on_first_start()


def new_app(name: str, settings: Settings, specs: Sequence[Spec] = ()) -> App:
    """Return a Faust app named `weir-<name>` without agents, reading as processors need it."""
    session_s = settings.kafka.session_timeout_ms / 1000
    app = App(
        f"weir-{name}",
        broker=faust_transport.broker(settings.kafka),
        broker_client_id=f"weir-{name}",
        broker_credentials=faust_transport.credentials(settings.kafka),
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 6,
        broker_commit_interval=1.0,
        producer_acks=-1,
        producer_max_request_size=MAX_REQUEST_BYTES,
        consumer_max_fetch_size=MAX_REQUEST_BYTES,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        store="memory://",
        TableManager=NoTables,
        datadir=str(Path(settings.data_dir) / "faust" / name),
        worker_redirect_stdouts=False,
        Worker=_worker(settings),
    )
    whole = frozenset(topic for spec in specs if spec.singleton for topic in spec.inputs)
    app.transport = faust_transport.Transport(app, whole, settings.kafka.isolation)
    return app


def raw_topic(app: faust.App, *names: str) -> Any:
    """Return topics whose keys and values stay bytes."""
    return app.topic(
        *names,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )


def _worker(settings: Settings) -> type[faust.Worker]:
    class Worker(faust.Worker):
        """A Faust worker whose logs look like those of every other process."""

        def _setup_logging(self) -> None:
            telemetry.configure(settings.log_level, json=settings.log_json)
            quieten(settings.log_level)
            self.spinner = None

        def install_signal_handlers(self) -> None:
            super().install_signal_handlers()
            self.loop.add_signal_handler(signal.SIGHUP, self._hand_over)

        def _hand_over(self) -> None:
            cast(App, self.app).hands_over = True
            self._schedule_shutdown(signal.SIGTERM)

    return Worker


def quieten(level: str) -> None:
    """Let Faust and its parts, which tell each step of each service, speak one level later."""
    floor = logging.DEBUG if level.upper() == "DEBUG" else logging.WARNING
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(floor)
    App.logger.addFilter(_missing_state)


def _missing_state(record: logging.LogRecord) -> bool:
    """Drop one warning: Faust ends each rebalance twice and misses its own sensors' state."""
    return "Missing sensor state for rebalance" not in record.getMessage()


def run(app: App) -> None:
    """Run an app as this process until it is told to stop by SIGTERM or SIGINT.

    Raises SystemExit at the end, as Faust does, or what crashed the app.
    """
    app.finalize()
    worker: faust.Worker = app.Worker(quiet=True)
    worker.execute_from_commandline()


def on_demand(build: Callable[[Settings], App]) -> Callable[[str], App]:
    """Return a module's `__getattr__` that builds `app` from the environment when it is asked for.

    `faust -A` asks for it; `weir run` has settings of its own and must not build a second one.
    """

    @lru_cache(maxsize=1)
    def app() -> App:
        return build(load())

    def attribute(name: str) -> App:
        if name != "app":
            raise AttributeError(name)
        return app()

    return attribute

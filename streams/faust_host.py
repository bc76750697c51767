"""Hosts processors on Faust: at least once, made exact by positions and event ids.

Per batch: decode (bad messages become dead letters), drop what the state has applied, process,
send the outputs and wait for the broker to have them, then the snapshots, then acknowledge. State
is kept as snapshots with offsets on weir.snapshots, not in Faust's tables. An error ends the
worker: what started it starts it again, and it goes on from the last snapshots.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faust
import mode
from faust.types import TP, StreamT

from schemas.base import Event
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.processing import Spec
from streams import faust_transport
from streams.actuating import CATALOGUE, Actuating
from streams.errors import HostingError
from streams.faust_processor import Hosted, send
from streams.faust_session import Kept, Session, message_of
from streams.surroundings import Surroundings, World
from workers import snapshots, telemetry
from workers.clock import Clock, wall_ms
from workers.deadletters import BadShare
from workers.settings import Settings

MAX_REQUEST_BYTES = 16 * 1_048_576

log = telemetry.logger(__name__)


class Host:
    """The processors of one Faust app."""

    def __init__(
        self, app: faust.App, settings: Settings, specs: Sequence[Spec], around: Surroundings
    ) -> None:
        self._kafka = settings.kafka
        self._around = around
        self._hosted = [Hosted(app, _hostable(spec)) for spec in specs]
        self._bad = {spec.name: BadShare(settings.host.max_bad_share, spec.name) for spec in specs}

    def install(self, app: faust.App) -> None:
        """Give the app its agents and tasks, and listen to its rebalances."""
        for hosted in self._hosted:
            app.agent(
                raw_topic(app, *hosted.spec.inputs),
                name=hosted.spec.name,
                supervisor_strategy=mode.CrashingSupervisor,
            )(hosted.collect)
            app.task(hosted.work)
        app.on_partitions_revoked.connect(self.suspend)
        app.on_partitions_assigned.connect(self._on_assigned)

    async def suspend(self, *_: Any, **_named: Any) -> None:
        """Finish what is in hand and forget all state; the next assignment brings it back."""
        await asyncio.gather(*(hosted.suspend() for hosted in self._hosted))

    async def _on_assigned(self, *arguments: Any, **_: Any) -> None:
        assigned: set[TP] = arguments[1]
        sessions = await asyncio.to_thread(self._sessions, frozenset(assigned))
        for hosted, session in sessions:
            await hosted.resume(session)

    def _sessions(self, assigned: frozenset[TP]) -> list[tuple[Hosted, Session]]:
        world = self._around.open()
        owned = {hosted: hosted.owned(assigned) for hosted in self._hosted}
        keys = [
            snapshots.key_of(hosted.spec.name, partition)
            for hosted, partitions in owned.items()
            for partition in partitions
        ]
        found = snapshots.read_latest(self._kafka, world.codec, keys)
        log.info("faust.assigned", instances=keys, restored=sorted(found))
        return [
            (hosted, self._session(hosted.spec, partitions, world, assigned, found))
            for hosted, partitions in owned.items()
        ]

    def _session(
        self,
        spec: Spec,
        partitions: Sequence[int],
        world: World,
        assigned: frozenset[TP],
        found: Mapping[str, Snapshot],
    ) -> Session:
        instances = {}
        for partition in partitions:
            mine = [
                tp
                for tp in assigned
                if tp.topic in spec.inputs and (spec.singleton or tp.partition == partition)
            ]
            snapshot = found.get(snapshots.key_of(spec.name, partition))
            instances[partition] = Kept(spec, partition, world, mine, snapshot)
        return Session(world, spec, instances, self._bad[spec.name])


def _hostable(spec: Spec) -> Spec:
    if spec.columnar or not spec.transactional:
        raise HostingError(
            f"{spec.name} takes columns or goes without snapshots: `weir run {spec.name}` hosts it"
        )
    return spec


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


class Boot(faust.app.BootStrategy):
    """What an app starts: all but Faust's web server, whose port two workers would fight over."""

    enable_web = False


class App(faust.App):
    """A Faust app as Weir runs it."""

    BootStrategy = Boot
    logger = logging.getLogger("faust.app")

    async def on_first_start(self) -> None:
        """Start; the directories above Faust's own are made here, which it expects to exist."""
        await asyncio.to_thread(self.conf.datadir.parent.mkdir, parents=True, exist_ok=True)
        await super().on_first_start()


def new_app(name: str, settings: Settings, specs: Sequence[Spec] = ()) -> faust.App:
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
        datadir=str(Path(settings.data_dir) / "faust" / name),
        worker_redirect_stdouts=False,
        Worker=_worker(settings),
    )
    whole = frozenset(topic for spec in specs if spec.singleton for topic in spec.inputs)
    app.transport = faust_transport.Transport(app, whole)
    return app


def build_app(
    name: str,
    settings: Settings,
    specs: Sequence[Spec],
    clock: Clock = wall_ms,
    *,
    codec: Codec | None = None,
    actuates: bool = False,
) -> faust.App:
    """Return a Faust app, consumer group `weir-<name>`, that hosts these processors.

    With `actuates` it also carries out placements on the nodes of `settings.local`. Raises
    HostingError for a processor that another host must run.
    """
    app = new_app(name, settings, specs)
    kinds = {kind for spec in specs for kind in spec.catalogue}
    around = Surroundings(settings, kinds | set(CATALOGUE if actuates else ()), clock, codec)
    host = Host(app, settings, specs, around)
    host.install(app)
    stop = _install(app, Actuating(settings, around), around) if actuates else None

    async def finish(*_: Any, **_named: Any) -> None:
        await host.suspend()
        if stop is not None:
            await stop()
        await asyncio.to_thread(around.close)

    app.on_before_shutdown.connect(finish)
    return app


def _install(
    app: faust.App, actuating: Actuating, around: Surroundings
) -> Callable[[], Awaitable[None]]:
    async def publish(events: Iterable[Event]) -> None:
        codec = (await asyncio.to_thread(around.open)).codec
        encode = partial(message_of, codec=codec)
        await send(app, await asyncio.to_thread(lambda: [encode(event) for event in events]))

    async def placements(stream: StreamT[Any]) -> None:
        async for _ in stream:
            actuating.hear()

    async def actuate() -> None:
        await actuating.work(publish)

    app.agent(raw_topic(app, "weir.placements"), name="actuate")(placements)
    app.task(actuate)
    return partial(actuating.close, publish)


def _worker(settings: Settings) -> type[faust.Worker]:
    class Worker(faust.Worker):
        """A Faust worker whose logs look like those of every other process."""

        def _setup_logging(self) -> None:
            telemetry.configure(settings.log_level, json=settings.log_json)
            quieten(settings.log_level)
            self.spinner = None

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


def run(app: faust.App) -> None:
    """Run an app as this process until it is told to stop by SIGTERM or SIGINT.

    Raises SystemExit at the end, as Faust does.
    """
    app.finalize()
    worker: faust.Worker = app.Worker(quiet=True)
    worker.execute_from_commandline()

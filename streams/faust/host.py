"""Hosts processors on Faust: at least once, made exact by positions and event ids.

Per batch: decode (bad messages become dead letters), drop what the state has applied, process,
send the outputs and wait for the broker to have them, then the snapshots, then acknowledge. State
is kept as snapshots with offsets on weir.snapshots, not in Faust's tables. An error ends the
worker: what started it starts it again, and it goes on from the last snapshots.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import faust
import mode
from faust.types import TP, StreamT

from schemas.base import Event
from schemas.codec import Codec
from schemas.decisions import Snapshot
from schemas.processing import Partition, Spec
from streams.actuating.actuate import CATALOGUE, Actuating
from streams.errors import HostingError
from streams.faust import guard as faust_guard
from streams.faust.app import App, new_app, raw_topic
from streams.faust.processor import Hosted, send
from streams.faust.session import Kept, Session
from streams.faust.transport import Transport
from streams.guard import lowest
from streams.surroundings import Surroundings, World
from workers import telemetry
from workers.clock import Clock, wall_ms
from workers.deadletters import BadShare
from workers.hosting.output import encoded
from workers.hosting.sizes import sized
from workers.kafka import clients as kafka
from workers.settings import Settings
from workers.snapshots import keeping as snapshots

log = telemetry.logger(__name__)


class Host:
    """The processors of one Faust app."""

    def __init__(
        self, app: faust.App, settings: Settings, specs: Sequence[Spec], around: Surroundings
    ) -> None:
        self._app = app
        self._kafka = settings.kafka
        self._around = around
        self._hosted = [Hosted(app, _hostable(spec)) for spec in specs]
        self._bad = {spec.name: BadShare(settings.host.max_bad_share, spec.name) for spec in specs}
        self._restoring: asyncio.Future[None] | None = None

    def install(self) -> None:
        """Give the app its agents and tasks, and listen to its rebalances."""
        app = self._app
        for hosted in self._hosted:
            app.agent(
                raw_topic(app, *hosted.spec.inputs),
                name=hosted.spec.name,
                supervisor_strategy=mode.CrashingSupervisor,
            )(hosted.collect)
            app.task(hosted.work)
        cast(Transport, app.transport).starts = self.starts
        app.on_partitions_revoked.connect(self.suspend)
        app.on_partitions_assigned.connect(self._on_assigned)

    async def starts(self) -> dict[TP, int]:
        """Wait until state is restored, and return from where it needs to read on."""
        each = await asyncio.gather(*(hosted.starts() for hosted in self._hosted))
        return {TP(*at): offset for starts in each for at, offset in starts.items()}

    def positions(self) -> dict[Partition, int]:
        """Return the next offset of every partition that the processors were given."""
        return lowest(hosted.positions for hosted in self._hosted)

    def ready(self) -> bool:
        """Return whether every processor has its partitions and their state."""
        return all(hosted.ready for hosted in self._hosted)

    async def suspend(self, *_: Any, **_named: Any) -> None:
        """Finish what is in hand and forget all state; the next assignment brings it back."""
        if self._restoring is not None:
            self._restoring.cancel()
        await asyncio.gather(*(hosted.suspend() for hosted in self._hosted))

    async def _on_assigned(self, *arguments: Any, **_: Any) -> None:
        """Begin to restore, and return at once: until then aiokafka sends no heartbeats."""
        self._restoring = self._app.add_future(self._restore(frozenset(arguments[1])))

    async def _restore(self, assigned: frozenset[TP]) -> None:
        sessions = await asyncio.to_thread(self._sessions, assigned)
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
        needed = {topic for hosted in self._hosted for topic in hosted.spec.inputs}
        counts = kafka.partition_counts(self._kafka, needed=needed)
        log.info("faust.assigned", instances=keys, restored=sorted(found))
        return [
            (hosted, self._session(sized(hosted.spec, counts), partitions, world, assigned, found))
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


def build_app(
    name: str,
    settings: Settings,
    specs: Sequence[Spec],
    clock: Clock = wall_ms,
    *,
    codec: Codec | None = None,
    actuates: bool = False,
) -> App:
    """Return a Faust app, consumer group `weir-<name>`, that hosts these processors.

    With `actuates` it also carries out placements, by the actuator of the settings. Raises
    HostingError for a processor that another host must run.
    """
    app = new_app(name, settings, specs)
    kinds = {kind for spec in specs for kind in spec.catalogue}
    around = Surroundings(settings, kinds | set(CATALOGUE if actuates else ()), clock, codec)
    host = Host(app, settings, specs, around)
    host.install()
    actuating = Actuating(settings, around) if actuates else None
    stop = _install(app, actuating, around) if actuating else None

    async def finish(*_: Any, **_named: Any) -> None:
        await host.suspend()
        if stop is not None:
            await stop(leave=app.hands_over)
        await asyncio.to_thread(around.close)

    app.on_before_shutdown.connect(finish)
    pulses = {"the actuator": actuating.pulse} if actuating else {}
    faust_guard.watch(app, settings, host.positions, host.ready, pulses)
    return app


def _install(
    app: faust.App, actuating: Actuating, around: Surroundings
) -> Callable[..., Awaitable[None]]:
    async def publish(events: Iterable[Event]) -> None:
        codec = (await asyncio.to_thread(around.open)).codec
        await send(app, await asyncio.to_thread(encoded, events, codec))

    async def placements(stream: StreamT[Any]) -> None:
        async for _ in stream:
            actuating.hear()

    async def actuate() -> None:
        await actuating.work(publish)

    app.agent(raw_topic(app, "weir.placements"), name="actuate")(placements)
    app.task(actuate)
    return partial(actuating.close, publish)

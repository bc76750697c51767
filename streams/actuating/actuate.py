"""An actuator at work: placements in, deeds and reports out.

Everything that an actuator does happens in one thread that lives as long as this process does:
workers end with the thread that started them.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Protocol

from placement.authority import Limits
from placement.deeds import action
from placement.kube import actuation as kube_actuation
from placement.local import actuation
from placement.local.actuation import Actuation, ActuationParams
from placement.local.fleet import LocalNode
from placement.local.processes import LocalActuator
from schemas.base import Event
from schemas.decisions import ActionTaken
from schemas.records import KeyValue
from schemas.registrations import NodeReported
from streams.actuating.sole import Sole
from streams.guard import Pulse
from streams.surroundings import Surroundings, World
from workers import telemetry
from workers.settings import NodeSection, Settings

Send = Callable[[Iterable[Event]], Awaitable[None]]
"""Sends events and returns when the broker has them."""

PERIOD_S = 0.2
SOON_S, SOON = 0.02, 4
"""After news it is looked again so many times so soon: whoever hears of a placement may be ahead
of the catalogue, which another thread reads."""
WORKERS = "workers"
"""Where the workers are recorded that outlive their actuator, in the data directory."""
WISHES = "restarts/nodes"
"""Where a file with the name of a node asks for its worker to be renewed."""
DRAIN_S = 5.0
CATALOGUE = frozenset((*actuation.CATALOGUE, *kube_actuation.CATALOGUE))
"""The event classes that actuators look up."""

log = telemetry.logger(__name__)


class Actuator(Protocol):
    """Brings what runs nearer to what is wanted. Called by one thread."""

    def act(self, world: World) -> list[Event]:
        """Do what is to be done now, and return what is to be told."""
        ...

    def end(self, world: World, *, leave: bool) -> list[Event]:
        """Do nothing more; with `leave` another one takes over at once."""
        ...


def node_of(section: NodeSection) -> LocalNode:
    """Return a node of the settings as the actuator knows it, with this machine's nature."""
    machine = os.uname()
    return LocalNode(
        name=section.name,
        cpu_milli=section.cpu_milli,
        memory_mib=section.memory_mib,
        speed=section.speed,
        zone=section.zone,
        labels=tuple(KeyValue(key=key, value=value) for key, value in section.labels.items()),
        architecture=machine.machine,
        operating_system=machine.sysname.lower(),
        software=(KeyValue(key="python", value=".".join(map(str, sys.version_info[:3]))),),
    )


def limits_of(settings: Settings) -> Limits:
    """Return the allow-lists of the settings."""
    lists = settings.authority
    return Limits(schemes=lists.schemes, registries=lists.registries, namespaces=lists.namespaces)


def command(node: str, worker: str, keeper: int = 0) -> list[str]:
    """Return the command line of a worker process, which ends with `keeper` or else with this."""
    named = ["--node", node, "--worker", worker, "--parent", str(keeper or os.getpid())]
    return [sys.executable, "-m", "streams.cli", "worker", *named]


def environment(settings: Settings) -> dict[str, str]:
    """Return a worker's environment: this process's, with the settings in force."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    return inherited | settings.environment()


class LocalDeeds:
    """Carries out placements on the nodes that this machine plays."""

    def __init__(self, settings: Settings) -> None:
        local = settings.local
        self._actuation = Actuation(
            [node_of(section) for section in local.nodes],
            ActuationParams(
                heartbeat_ms=local.heartbeat_ms,
                expiry_ms=local.expiry_ms,
                cooldown_ms=local.cooldown_ms,
                limits=limits_of(settings),
                hold=local.hold,
                overhead_mib=local.overhead_mib,
            ),
        )
        self._settings = settings
        self._sole = Sole(settings.data_dir)
        self._waits_for = ""
        self._actuator: LocalActuator | None = None
        self._wishes = settings.data_dir / WISHES
        self._kept = bool(local.keeper)
        self._reported: dict[str, NodeReported] = {}

    def act(self, world: World) -> list[Event]:
        """Start and stop workers, and tell of them and of the nodes; wait while another does."""
        if self._actuator is None:
            if not self._sole.held():
                return self._waiting(world.clock())
            self._actuator = self._begun()
        for wish in self._wishes.glob("*"):
            wish.unlink(missing_ok=True)
            self._actuation.renew(wish.name)
        processes = self._actuator.processes()
        step = self._actuation.step(world.clock(), world.catalogue(), processes)
        outcomes = self._actuator.execute(step.instructions)
        events = [*step.events, *self._actuation.settle(world.clock(), outcomes)]
        self._reported |= {e.node: e for e in events if isinstance(e, NodeReported)}
        return events

    def end(self, world: World, *, leave: bool) -> list[Event]:
        """Let the workers drain and end, and say that their nodes are not looked after.

        With `leave`, those that have a keeper serve on: another actuator takes them over.
        """
        if self._actuator is not None and not (leave and self._kept):
            self._actuator.close(DRAIN_S)
        self._sole.close()
        if leave and self._kept:
            return []
        now_ms = world.clock()
        return [_farewell(reported, now_ms) for reported in self._reported.values()]

    def _begun(self) -> LocalActuator:
        """Return what starts processes; it takes over those that another has left."""
        settings = self._settings
        return LocalActuator(
            partial(command, keeper=settings.local.keeper),
            environment(settings),
            settings.data_dir / "logs",
            settings.data_dir / WORKERS if settings.local.keeper else None,
        )

    def _waiting(self, now_ms: int) -> list[Event]:
        """Return that another actuator looks after the nodes, once."""
        before, self._waits_for = self._waits_for, self._sole.holder
        if self._waits_for == before:
            return []
        why = f"process {self._waits_for} looks after the workers of {self._settings.data_dir}"
        nodes = (section.name for section in self._settings.local.nodes)
        details = {"process": self._waits_for}
        return [action(now_ms, n, "node.waits", "refused", why, details) for n in nodes]


class Actuating:
    """Has an actuator act, whenever something was placed or has changed, and every 0.2 s."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._around = around
        self._settings = settings
        self._actuator: Actuator | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="actuate")
        self._news = asyncio.Event()
        self._busy = asyncio.Lock()
        self._closed = False
        self.pulse = Pulse()

    def hear(self) -> None:
        """Something was placed: look at it now rather than with the next period."""
        self._news.set()

    async def work(self, send: Send) -> None:
        """Bring what runs nearer to what is wanted, again and again, until closed."""
        act = partial(self._act, partial(_from_thread, asyncio.get_running_loop(), self.hear))
        soon = 0
        while not self._closed:
            self.pulse.beat()
            soon = SOON if self._news.is_set() else max(0, soon - 1)
            self._news.clear()
            async with self._busy:
                if not self._closed:
                    await send(await self._in_thread(act))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), SOON_S if soon else PERIOD_S)

    async def close(self, send: Send, *, leave: bool = False) -> None:
        """Let the actuator end; with `leave`, another one takes over what runs."""
        async with self._busy:
            if not self._closed:
                self._closed = True
                await send(await self._in_thread(partial(self._end, leave=leave)))
                self._thread.shutdown()

    async def _in_thread(self, call: Callable[[], list[Event]]) -> list[Event]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _act(self, hear: Callable[[], None]) -> list[Event]:
        if self._actuator is None:
            self._actuator = _chosen(self._settings, hear)
        events = self._actuator.act(self._around.open())
        for event in events:
            if isinstance(event, ActionTaken):
                log.info(f"actuate.{event.kind}", target=event.target, reason=event.reason)
        return events

    def _end(self, *, leave: bool) -> list[Event]:
        return self._actuator.end(self._around.open(), leave=leave) if self._actuator else []


def _chosen(settings: Settings, hear: Callable[[], None]) -> Actuator:
    """Return the actuator of the settings. Raises ClusterUnknown without a usable kubeconfig."""
    if settings.actuator == "local":
        return LocalDeeds(settings)
    from streams.actuating.kube import KubeDeeds  # noqa: PLC0415  # where Kubernetes is used only

    return KubeDeeds(settings, limits_of(settings), hear)


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens any more
        loop.call_soon_threadsafe(call)


def _farewell(reported: NodeReported, now_ms: int) -> NodeReported:
    return replace(
        reported,
        status="unknown",
        message="the actuator of this node was stopped",
        heartbeat=now_ms,
        expires_at=now_ms,
    )

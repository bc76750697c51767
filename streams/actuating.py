"""The local actuator at work: placements in, worker processes and reports out.

Everything that touches processes happens in one thread that lives as long as this process does:
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

from placement.actuation import Actuation, ActuationParams
from placement.authority import Limits
from placement.fleet import LocalNode
from placement.local import LocalActuator
from schemas.base import Event
from schemas.decisions import ActionTaken
from schemas.records import KeyValue
from schemas.registrations import NodeReported
from streams.guard import Pulse
from streams.surroundings import Surroundings
from workers import telemetry
from workers.settings import NodeSection, Settings

Send = Callable[[Iterable[Event]], Awaitable[None]]
"""Sends events and returns when the broker has them."""

PERIOD_S = 0.2
WORKERS = "workers"
"""Where the workers are recorded that outlive their actuator, in the data directory."""
WISHES = "restarts/nodes"
"""Where a file with the name of a node asks for its worker to be renewed."""
DRAIN_S = 5.0

log = telemetry.logger(__name__)


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


class Actuating:
    """Carries out placements on the nodes that this machine plays."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        local = settings.local
        self._around = around
        self._actuation = Actuation(
            [node_of(section) for section in local.nodes],
            ActuationParams(
                heartbeat_ms=local.heartbeat_ms,
                expiry_ms=local.expiry_ms,
                cooldown_ms=local.cooldown_ms,
                limits=limits_of(settings),
            ),
        )
        self._actuator = LocalActuator(
            partial(command, keeper=local.keeper),
            environment(settings),
            settings.data_dir / "logs",
            settings.data_dir / WORKERS if local.keeper else None,
        )
        self._wishes = settings.data_dir / WISHES
        self._kept = bool(local.keeper)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="actuate")
        self._reported: dict[str, NodeReported] = {}
        self._news = asyncio.Event()
        self._busy = asyncio.Lock()
        self._closed = False
        self.pulse = Pulse()

    def hear(self) -> None:
        """Something was placed: look at it now rather than with the next period."""
        self._news.set()

    async def work(self, send: Send) -> None:
        """Bring what runs nearer to what is wanted, again and again, until closed."""
        while not self._closed:
            self.pulse.beat()
            self._news.clear()
            async with self._busy:
                if not self._closed:
                    await send(await self._in_thread(self._act))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), PERIOD_S)

    async def close(self, send: Send, *, leave: bool = False) -> None:
        """Let the workers drain and end, and say that their nodes are not looked after.

        With `leave`, those that have a keeper serve on: another actuator takes them over.
        """
        async with self._busy:
            if not self._closed:
                self._closed = True
                if not (leave and self._kept):
                    await send(await self._in_thread(self._end))
                self._thread.shutdown()

    async def _in_thread(self, call: Callable[[], list[Event]]) -> list[Event]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _act(self) -> list[Event]:
        world = self._around.open()
        for wish in self._wishes.glob("*"):
            wish.unlink(missing_ok=True)
            self._actuation.renew(wish.name)
        processes = self._actuator.processes()
        step = self._actuation.step(world.clock(), world.catalogue(), processes)
        outcomes = self._actuator.execute(step.instructions)
        events = [*step.events, *self._actuation.settle(world.clock(), outcomes)]
        self._reported |= {e.node: e for e in events if isinstance(e, NodeReported)}
        for event in events:
            if isinstance(event, ActionTaken):
                log.info(f"actuate.{event.kind}", target=event.target, reason=event.reason)
        return events

    def _end(self) -> list[Event]:
        self._actuator.close(DRAIN_S)
        now_ms = self._around.open().clock()
        return [_farewell(reported, now_ms) for reported in self._reported.values()]


def _farewell(reported: NodeReported, now_ms: int) -> NodeReported:
    return replace(
        reported,
        status="unknown",
        message="the actuator of this node was stopped",
        heartbeat=now_ms,
        expires_at=now_ms,
    )

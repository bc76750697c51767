"""An agent put together: probe, samplers, heartbeat, responder; and its life."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import psutil

from schemas.base import Event
from schemas.registrations import NodeReported
from workers.agent import gpus, node
from workers.agent.chosen import Chosen
from workers.agent.echoing import Neighbour
from workers.agent.loop import Cost, Turn, stuck, take_turns
from workers.agent.machine import Machine
from workers.agent.neighbours import Neighbours
from workers.agent.readings import MIB, Reading
from workers.agent.tegra_process import Tegra, command
from workers.clock import Clock, wall_ms
from workers.probe import BUFFER, Probe
from workers.probing.link import to_kafka
from workers.settings import Settings

ROLE = "agent"
NEIGHBOURS_EVERY = 5
"""Neighbours are asked once in so many turns of the rest."""
Nodes = Callable[[], Mapping[str, NodeReported] | None]
"""Tells the nodes of the catalogue by name; None while they are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an agent does: every so many seconds, and whether it reports its node.

    `neighbours` are measured besides those of the catalogue; `bulk_every_s` of 0 moves nothing.
    """

    every_s: float = 1.0
    disks: tuple[str, ...] = ("/",)
    processes: tuple[str, ...] = ()
    per_core: bool = True
    neighbours: tuple[Neighbour, ...] = ()
    bulk_every_s: float = 60.0
    token: str = ""
    heartbeat: bool = True
    buffer: int = BUFFER


class GpuSampler:
    """Asks the GPUs once and keeps the answer, for the heartbeat."""

    def __init__(self, source: gpus.Gpus) -> None:
        self._source = source
        self.states: list[gpus.GpuState] = []

    def read(self) -> Iterator[Reading]:
        """Yield what the GPUs tell."""
        self.states = self._source.states()
        yield from gpus.readings(self.states)


class Agent:
    """Reports for the identity of the settings, whose node is the one that the facts name.

    `nodes` tells the catalogue's nodes, so that a node that something else reports is left to it
    and neighbours are found; without, nothing is known of others.
    """

    def __init__(
        self,
        settings: Settings,
        facts: node.Facts,
        plan: Plan,
        source: gpus.Gpus,
        nodes: Nodes | None = None,
        clock: Clock = wall_ms,
    ) -> None:
        self._facts = facts
        self._plan = plan
        self._nodes = nodes
        self._clock = clock
        self._turns: list[Turn] = []
        self._machine = Machine(plan.disks, per_core=plan.per_core)
        self._gpus = GpuSampler(source)
        self._cost = Cost(lambda: self.probe.sent)
        self._tegra = Tegra(command(plan.every_s))
        link = partial(to_kafka, settings, plan.buffer, on_stats=self._cost.wire.hear)
        self.probe = Probe(settings, role=ROLE, buffer=plan.buffer, connect=link)
        """What it reports through."""

    @property
    def live(self) -> bool:
        """Return whether it still asks the machine; true before it begins."""
        return not stuck(self._turns, time.monotonic())

    @property
    def wire_bytes(self) -> int:
        """Return how many bytes went to brokers, as compressed; known to a second."""
        return self._cost.wire.bytes

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, then say that the node is not looked after any more."""
        every = self._plan.every_s
        chosen = Chosen(self._plan.processes)
        self._turns = [
            Turn("machine", self._machine, every),
            Turn("processes", chosen, every),
            Turn("gpus", self._gpus, every),
            Turn("tegrastats", self._tegra, every),
            Turn("cost", self._cost, max(every, 1.0)),
        ]
        afar = Neighbours(self._neighbours, self._plan.token, self._plan.bulk_every_s)
        others = [Turn("neighbours", afar, every * NEIGHBOURS_EVERY)]
        if self._plan.heartbeat:
            self.probe.accompany(self._beat)
        distant = threading.Thread(
            target=take_turns, args=(self.probe, others, stop), name="neighbours", daemon=True
        )
        distant.start()
        try:
            take_turns(self.probe, self._turns, stop)
        finally:
            self._end()

    def _end(self) -> None:
        said = list(self._beat()) if self._plan.heartbeat else []
        self.probe.accompany(tuple)
        for _ in said:
            self.probe.tell(self._report("unknown"))
        self._tegra.close()
        self.probe.close()

    def _beat(self) -> Iterable[Event]:
        if self._nodes is not None:
            known, facts = self._nodes(), self._facts
            if known is None or node.told_by_another(
                known.get(facts.node), self._clock(), facts.answers_at
            ):
                return ()
        return (self._report("ready"),)

    def _report(self, status: str) -> NodeReported:
        used_mib = psutil.virtual_memory().used // MIB
        of_gpus = gpus.of_node(self._gpus.states)
        cores = self._machine.cores_used
        return node.report(self._facts, cores, used_mib, of_gpus, self._clock(), status=status)

    def _neighbours(self) -> Sequence[Neighbour]:
        known = (self._nodes() if self._nodes is not None else None) or {}
        found = node.neighbours(known.values(), self._facts.node, self._clock())
        named = {each.name for each in self._plan.neighbours}
        return [*self._plan.neighbours, *(each for each in found if each.name not in named)]

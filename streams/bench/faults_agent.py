"""The fault of the node agent, whose node must be missed when it says nothing any more."""

import time

import psutil

from placement.cluster.described import machine_of
from placement.cluster.needs import UNKNOWN
from schemas.registrations import NodeReported
from streams.bench.faults_world import AGENT, PATIENCE_S, NotRecovered, World
from streams.bench.ledger_app import NODE
from streams.bench.ledger_feed import Feed
from streams.entries import Entries
from workers.catalogue import CatalogueReader
from workers.clock import wall_ms

POLL_S = 0.05


def killed(world: World, feed: Feed) -> None:
    """End the agent by SIGKILL, and whatever is started in its place, until its node is unknown.

    Raises NotRecovered when that does not come to pass.
    """
    deadline = time.monotonic() + PATIENCE_S
    with Entries(world.settings) as entries, entries.follow(NodeReported) as nodes:
        while not _is_unknown(nodes):
            _kill(world, feed)
            if time.monotonic() > deadline:
                raise NotRecovered(f"node {NODE} is not unknown though its agent is gone")
            time.sleep(POLL_S)
    feed.ledger.unknown.append(wall_ms())


def _kill(world: World, feed: Feed) -> None:
    for part in world.stack.state().parts:
        if part.name == AGENT.name and part.alive:
            try:
                psutil.Process(part.pid).kill()
            except psutil.NoSuchProcess:
                continue
            feed.ledger.kills.append(wall_ms())


def _is_unknown(nodes: CatalogueReader) -> bool:
    told = nodes.current().of(NodeReported).get(NODE)
    return told is not None and machine_of(told, wall_ms()).health == UNKNOWN

"""Faults of Kafka itself, which only a broker that keeps what it has can survive."""

import time

from streams.bench.faults_world import World
from streams.bench.ledger_feed import Feed
from streams.embedded.apache import Apache
from streams.errors import StackError
from workers.clock import wall_ms
from workers.kafka.leaders import elect_preferred

AWAY_S = 4.0


def killed(world: World, _: Feed) -> None:
    """End the only broker by SIGKILL and start it again at once."""
    node = _apache(world).nodes[0]
    node.kill()
    node.launch()
    node.wait()


def restarted(world: World, _: Feed) -> None:
    """Stop the only broker, and start it again after a while."""
    node = _apache(world).nodes[0]
    node.terminate()
    time.sleep(AWAY_S)
    node.launch()
    node.wait()


def lost(world: World, _: Feed) -> None:
    """End one of three brokers by SIGKILL; it comes back after everything went on without it."""
    node = world.random.choice(_apache(world).nodes)
    node.kill()
    world.recovery_s(wall_ms())
    node.launch()
    node.wait()


def leader_moved(world: World, _: Feed) -> None:
    """Stop one of three brokers, which hands over its partitions, and give them back to it."""
    node = world.random.choice(_apache(world).nodes)
    node.terminate()
    time.sleep(AWAY_S)
    node.launch()
    node.wait()
    elect_preferred(world.settings.kafka)


def _apache(world: World) -> Apache:
    if world.apache is None:
        raise StackError("the embedded broker keeps all in memory: its loss is the loss of all")
    return world.apache

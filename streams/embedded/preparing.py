"""What a stack settles before it starts: its settings, and that its directory is its own."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas.authority import ACT, INSTALLATION
from schemas.registrations import PolicySelected
from streams.authorizing import mode
from streams.embedded.nodes import DEFAULT
from streams.embedded.processes import LOOPBACK, free_port
from streams.entries import Entries
from streams.errors import StackError
from workers.clock import wall_ms
from workers.settings import KafkaSettings, Settings, WorkerSettings


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that are asked for; None takes a free one."""

    registry: int | None = None
    clickhouse: int | None = None


def completed(given: Settings, reached: KafkaSettings, ports: Ports) -> Settings:
    """Return the settings with what the stack itself provides; nodes when none are given."""
    registry = ports.registry or free_port()
    clickhouse = ports.clickhouse or free_port()
    nodes = given.local.nodes or DEFAULT
    return given.model_copy(
        update={
            "data_dir": given.data_dir.absolute(),
            "kafka": reached,
            "registry": given.registry.model_copy(update={"url": f"http://{LOOPBACK}:{registry}"}),
            "clickhouse": given.clickhouse.model_copy(
                update={"host": LOOPBACK, "port": clickhouse}
            ),
            "worker": _unspared(given.worker),
            "local": given.local.model_copy(update={"nodes": nodes, "keeper": os.getpid()}),
        }
    )


def _unspared(worker: WorkerSettings) -> WorkerSettings:
    """Return settings of workers that share a machine with all else: its heat is not their own."""
    told = worker.model_dump(include={"spare"} & worker.model_fields_set)
    return worker.model_copy(update={"spare": False} | told)


def empowered(settings: Settings, *, new: bool) -> None:
    """Have what is decided be done, unless somebody has chosen a mode of this installation.

    Nobody has where it is `new`. Raises KafkaUnavailable or RegistryUnavailable.
    """
    with Entries(settings) as entries:
        if new or INSTALLATION not in entries.of(PolicySelected):
            entries.send([mode(INSTALLATION, ACT, None, wall_ms())])


def port_of(url: str) -> int:
    """Return the port at the end of a URL."""
    return int(url.rpartition(":")[2])


def locked(data_dir: Path) -> IO[str]:
    """Return an open file that says that this process uses the directory.

    Raises StackError when another one does.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = (data_dir / "stack.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise StackError(
            f"{data_dir} is used by another stack (process {owner}); stop it or use --data-dir"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock

"""A host in a process of its own that is struck by a signal at a chosen point of its cycle.

The points are those of `Transactions.commit`: the host's own code runs, only its producer is
wrapped. A server that has imported everything forks the processes, so that each begins at once.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from schemas.processing import Spec
from tests.hosts.worlds import CODEC, PATIENCE_S, KafkaWorld, clock_from
from workers.hosting.host import BatchHost
from workers.kafka.sending import Transactions
from workers.settings import Settings

FLUSHING = ("before flush", "after flush")
"""Only where aborted records are seen: states wait for outputs there."""
POINTS = (
    "before begin_transaction",
    "after begin_transaction",
    "after produce",
    "before send_offsets_to_transaction",
    "after send_offsets_to_transaction",
    "before commit_transaction",
    "after commit_transaction",
)
NOTICED_S = 1.5
"""After a stop the process waits so long, for its client to learn what happened meanwhile."""


@dataclass(frozen=True)
class Blow:
    """Which signal strikes at which point, the how-manieth time it is passed (from 1)."""

    point: str
    signal: int = signal.SIGKILL
    time: int = 1


def points(*, exact: bool) -> tuple[str, ...]:
    """Return the points that a host passes on a broker that keeps its promises, or does not."""
    return POINTS if exact else POINTS + FLUSHING


class Struck:
    """A producer that counts how often points are passed, and sends the signal at one of them."""

    def __init__(self, producer: Any, blow: Blow) -> None:
        self._producer = producer
        self._blow = blow
        self._passed = 0

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self._call(name, arguments, named)

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        self._pass(f"before {name}")
        result = getattr(self._producer, name)(*arguments, **named)
        self._pass(f"after {name}")
        return result

    def _pass(self, point: str) -> None:
        if point != self._blow.point:
            return
        self._passed += 1
        if self._passed == self._blow.time:
            self._producer.poll(0.05)
            os.kill(os.getpid(), self._blow.signal)
            threading.Event().wait(NOTICED_S)


def work(make: Callable[[], Spec], settings: str, epoch: int, blow: Blow | None) -> None:
    """Run a host until SIGTERM; this is the process."""
    if blow is not None:
        _strike(blow)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    given = Settings.model_validate_json(settings)
    BatchHost(make(), given, codec=CODEC, clock=clock_from(epoch)).run(stop)


def _strike(blow: Blow) -> None:
    begin = Transactions.__init__

    def begin_struck(self: Transactions, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._producer = Struck(self._producer, blow)  # type: ignore[assignment]

    Transactions.__init__ = begin_struck  # type: ignore[method-assign]


@contextlib.contextmanager
def process(
    world: KafkaWorld, make: Callable[[], Spec], blow: Blow | None = None, slot: str = "0"
) -> Iterator[BaseProcess]:
    """Run a host in a process; it is ended by SIGTERM, or as the test did before."""
    section = world.settings.host.model_copy(update={"slot": slot})
    settings = world.settings.model_copy(update={"host": section}).model_dump_json()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.hosts.doomed", "tests.hosts.samples"])
    made = context.Process(target=work, args=(make, settings, world.clock(), blow))
    made.start()
    try:
        yield made
        if made.is_alive():
            made.terminate()
        made.join(PATIENCE_S)
        assert not made.is_alive()
    finally:
        made.kill()
        made.join()

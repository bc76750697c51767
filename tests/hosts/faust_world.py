"""Further worlds in which scenarios are played: Faust on the embedded broker and Apache Kafka."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from schemas.processing import Spec
from streams.embedded.apache import Apache
from streams.faust import host as faust_host
from streams.faust.app import App
from tests.hosts.worlds import CODEC, KafkaWorld, kafka_world, wait_until


class Worker:
    """A Faust app in a thread of its own."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._started: Future[App] = Future()
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()))

    @property
    def app(self) -> App:
        """The app, once it has started."""
        return self._started.result(30)

    @property
    def error(self) -> BaseException | None:
        """What crashed it."""
        reason: BaseException | None = self.app.crash_reason
        return reason

    def owned(self, topic: str = "weir.observations") -> set[int]:
        """Return the partitions of a topic that it was given."""
        return {tp.partition for tp in self.app.consumer.assignment() if tp.topic == topic}

    async def _live(self) -> None:
        try:
            app = self._build()
            app.finalize()
            await app.start()
        except BaseException as error:
            self._started.set_exception(error)
            raise
        self._started.set_result(app)
        await asyncio.to_thread(self._end.wait)
        await app.stop()

    def __enter__(self) -> "Worker":
        self._thread.start()
        assert self.app
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(300)
        assert not self._thread.is_alive()


class FaustWorld(KafkaWorld):
    """Any broker, with Faust instead of the batch host."""

    def worker(self, specs: Sequence[Spec]) -> Worker:
        """Return a worker that is not yet started."""
        return Worker(
            lambda: faust_host.build_app(
                "tally", self.settings, specs, codec=CODEC, clock=self.clock
            )
        )

    def run(self, spec: Spec, until: Callable[[], bool]) -> None:
        with self.worker([spec]) as worker:
            wait_until(until)
            assert worker.error is None

    def crash(self, spec: Spec) -> None:
        with self.worker([spec]) as worker:
            wait_until(lambda: isinstance(worker.error, ZeroDivisionError))


@contextlib.contextmanager
def faust_world(folder: Path, cluster: Apache | None = None) -> Iterator[FaustWorld]:
    """Start the embedded broker, or take a cluster that runs; either way all topics are empty."""
    with kafka_world(folder, cluster) as world:
        data = {"data_dir": folder}
        yield FaustWorld(
            world.settings.model_copy(update=data), world.broker_pid, exact=world.exact
        )

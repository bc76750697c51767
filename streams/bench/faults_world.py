"""The stack that faults are inflicted on: its processes by name, its Kafka, its books."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from random import Random
from subprocess import Popen

import psutil
from pydantic import SecretStr

from placement.local.processes import recorded
from streams.actuating.actuate import WORKERS
from streams.bench.faults_paths import TOPICS, Paths
from streams.bench.hearing import Ears
from streams.bench.ledger_app import NODE, registrations
from streams.bench.ledger_callers import Doors
from streams.bench.ledger_feed import SERIES, Feed, Rates
from streams.bench.ledger_outside import CHAT, HOOK, Outside
from streams.bench.ledger_sql import Books
from streams.embedded.apache import Apache
from streams.embedded.external import External
from streams.embedded.processes import free_port, launch, stop
from streams.embedded.stack import APPS, GATEWAY, NARRATE, NOTIFY, App, Stack
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clickhouse import connect
from workers.clock import wall_ms
from workers.errors import ClickHouseUnavailable
from workers.kafka.clients import cluster_id
from workers.registry import Registry
from workers.settings import KafkaSettings, LocalSettings, NodeSection, Settings
from workers.settings_outside import NarrateSettings, NotifySettings

NODES = tuple(
    NodeSection(name=f"node-{number}", cpu_milli=1000, memory_mib=512) for number in range(3)
)
INTAKE = App("intake", ("intake", "run"))
AGENT = App("agent", ("agent", "run", "--node", NODE, "--every", "0.5", "--no-per-core"))
MORE_APPS = (GATEWAY, INTAKE, NOTIFY, NARRATE, AGENT)
"""What an installation may have besides; started for the faults that befall it alone."""
GRACE_S = 10.0
PATIENCE_S = 600.0
"""Long enough for any machine: what is measured is when it works, not whether it is quick."""
POLL_S = 0.1
SURGE_S = 60.0
"""How long ten times the load is sent."""
Say = Callable[[str], None]


class Where(Enum):
    """On which Kafka a stack runs."""

    EMBEDDED = "the embedded broker"
    APACHE = "Apache Kafka"
    THREE = "three brokers of Apache Kafka"


class NotRecovered(StreamsError):
    """After a fault something did not work again in time; the message says what."""


@dataclass
class World:
    """A stack that is ready, and what faults need of it."""

    where: Where
    stack: Stack
    apache: Apache | None
    books: Books
    paths: Paths
    registry: Registry
    clock_file: Path
    random: Random
    doors: Doors
    surge_s: float = SURGE_S
    feed: Feed | None = None
    """The page that is open."""

    @property
    def settings(self) -> Settings:
        """The settings of the stack's processes."""
        return self.stack.settings

    @property
    def exact(self) -> bool:
        """Whether its Kafka hides aborted transactions: a message may then stand there once."""
        return self.apache is not None

    def process(self, name: str) -> psutil.Process:
        """Return a process of the stack by the name of its part, or any worker.

        Waits while it is being started again. Raises NotRecovered.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(psutil.NoSuchProcess):
                found = self._workers() if name == "worker" else self._parts(name)
                if found:
                    return self.random.choice(found)
            time.sleep(POLL_S)
        raise NotRecovered(f"there is no process {name!r} of the stack")

    def _parts(self, name: str) -> list[psutil.Process]:
        parts = [part for part in self.stack.state().parts if part.name == name and part.alive]
        return [psutil.Process(part.pid) for part in parts]

    def _workers(self) -> list[psutil.Process]:
        places = recorded(self.settings.data_dir / WORKERS).values()
        return [psutil.Process(place.pid) for place in places]

    @contextmanager
    def member(self, name: str, arguments: Sequence[str], slot: str) -> Iterator[Popen[bytes]]:
        """Run a further process beside the stack's for as long as the block takes."""
        argv = [sys.executable, "-m", "streams.cli", "run", *arguments]
        log = self.settings.data_dir / "logs" / f"{name}.log"
        environment = self.settings.environment() | {"WEIR_HOST__SLOT": slot}
        process = launch(argv, log, environment)
        try:
            yield process
        finally:
            stop(process, GRACE_S)

    def open_page(self, page: str, rates: Rates) -> Feed:
        """Begin a page of the ledger, and return when it flows on every path."""
        self.paths.turn_to(page)
        self.doors.outside.page = page
        codec = self.registry.codec()
        feed = Feed(self.settings.kafka, codec, page, rates, self.doors, exact=self.exact)
        self.feed = feed
        began = wall_ms()
        feed.start()
        self.recovery_s(began)
        return feed

    def recovery_s(self, since_ms: int) -> float:
        """Return after how many seconds everything worked again with what was sent since (ms).

        That is: every process is ready, observations of every series and whole answers from
        every partition come, what the page has besides is carried out, and SQL shows new metrics.
        Raises NotRecovered.
        """
        while missing := self._missing(since_ms):
            if wall_ms() - since_ms > PATIENCE_S * 1000:
                raise NotRecovered(
                    f"after {PATIENCE_S:.0f} s still missing: {', '.join(missing)}; "
                    f"the logs in {self.settings.data_dir}/logs say more"
                )
            time.sleep(POLL_S)
        return (wall_ms() - since_ms) / 1000

    def await_windows(self, since_ms: int) -> None:
        """Return when SQL shows a window of every series that began then (ms) or later.

        What came to its partitions before has been counted by then. Raises NotRecovered.
        """
        deadline = time.monotonic() + PATIENCE_S
        while self._windows_since(since_ms) < self.paths.series:
            self.stack.check()
            if time.monotonic() > deadline:
                raise NotRecovered(f"after {PATIENCE_S:.0f} s SQL shows no new windows")
            time.sleep(POLL_S)

    def _windows_since(self, since_ms: int) -> int:
        try:
            return self.books.windows_since(self.paths.page, since_ms)
        except ClickHouseUnavailable:
            return 0

    def _missing(self, since_ms: int) -> list[str]:
        self.stack.check()
        missing = self.paths.missing(since_ms)
        missing += self.feed.missing(since_ms) if self.feed else []
        if not self.stack.ready():
            parts = self.stack.state().parts
            missing += [f"{part.name} ready" for part in parts if not part.ready]
        if missing:
            return missing
        try:
            stored = self.books.series_since(self.paths.page, since_ms)
        except ClickHouseUnavailable as error:
            return [str(error)]
        return [] if stored == self.paths.series else ["new metrics in SQL"]


@contextmanager
def opened(
    where: Where, folder: Path, seed: int, say: Say, more: Sequence[App] = ()
) -> Iterator[World]:
    """Start a stack with the ledger's application on it, and stop it at the end.

    It has the usual apps and these.

    Raises StackError, NotRecovered.
    """
    with ExitStack() as parts:
        outside = parts.enter_context(Outside())
        settings, doors = _settings(folder / "data", outside)
        apache, clock_file = None, folder / "shift"
        if where is not Where.EMBEDDED:
            say(f"starting {where.value}")
            apache = Apache(folder / "kafka", 3 if where is Where.THREE else 1)
            parts.enter_context(apache)
            reached = apache.reached(KafkaSettings())
            settings = settings.model_copy(update={"kafka": reached})
        broker = External(settings.kafka) if apache else None
        apps = [_movable(app, clock_file) for app in (*more, *APPS)]
        stack = parts.enter_context(Stack(settings, apps=apps, broker=broker, say=say))
        registry = Registry(stack.settings.registry)
        parts.callback(registry.close)
        database = connect(stack.settings.clickhouse)
        parts.callback(database.close)
        paths = Paths(SERIES)
        reading = Ears(stack.settings.kafka, registry.codec(), TOPICS, paths.hear)
        parts.enter_context(reading)
        with Entries(stack.settings) as entries:
            entries.send(registrations(wall_ms()))
        yield World(
            where=where,
            stack=stack,
            apache=apache,
            books=Books(database, cluster_id(stack.settings.kafka)),
            paths=paths,
            registry=registry,
            clock_file=clock_file,
            random=Random(seed),  # noqa: S311 - when to kill is no secret
            doors=doors,
        )


def _settings(data_dir: Path, outside: Outside) -> tuple[Settings, Doors]:
    """Return settings with which every process works, and the ways in that they open."""
    plain = Settings(data_dir=data_dir, local=LocalSettings(nodes=NODES))
    doors = Doors(free_port(), free_port(), outside)
    told = NotifySettings(webhook_url=SecretStr(f"{outside.url}{HOOK}"), group_s=0.5)
    prose = NarrateSettings(
        url=f"{outside.url}{CHAT}", model="outside", tokens_per_day=10**9, calls_per_minute=10**6
    )
    gateway = plain.gateway.model_copy(update={"port": doors.gateway, "share_port": True})
    intake = plain.intake.model_copy(update={"port": doors.intake})
    own = {"gateway": gateway, "intake": intake, "notify": told, "narrate": prose}
    return plain.model_copy(update=own), doors


def _movable(app: App, clock_file: Path) -> App:
    """Return the application with a clock that the file moves."""
    arguments = (str(clock_file), *app.arguments)
    return replace(app, arguments=arguments, module="streams.bench.shifted")

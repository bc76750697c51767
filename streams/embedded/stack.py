"""Everything on one machine, started in order, supervised, and stopped in the reverse order.

Broker, schema registry and ClickHouse are started side by side, then topics and schemas are
made, then the application processes are started. Each writes its own log.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO

import psutil
from typing_extensions import Self

from placement.local.processes import end, recorded
from schemas.topics import TOPICS
from streams import running
from streams.actuating.actuate import WORKERS
from streams.embedded.broker import Broker
from streams.embedded.cluster import Cluster
from streams.embedded.incarnation import PORT
from streams.embedded.keepsake import Keepsake
from streams.embedded.preparing import Ports, completed, empowered, locked, port_of
from streams.embedded.processes import POLL_S, free_port, refuse_taken
from streams.embedded.renewals import Renewals
from streams.embedded.supervised import Supervised
from streams.errors import StackError
from streams.running import Part, State
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import Settings

START_S, RESTART_S = 600.0, 300.0
"""How long something may take that is alive; what keeps ending is given up much sooner."""
GRACE_S = 8.0
WATCH_S = 0.5


@dataclass(frozen=True, slots=True)
class App:
    """An application process: the arguments of `weir` that start it.

    They are followed by `--health-port N`, where it serves /ready and /live. `handover` and
    `overlap` say how it is renewed; see `Supervised`.
    """

    name: str
    arguments: tuple[str, ...]
    module: str = "streams.cli"
    handover: signal.Signals = signal.SIGTERM
    overlap: bool = False


_DATA = "derive observe define drift shift explain quality anomaly contract"
DATA = App("data", ("run", *_DATA.split()))
ROUTE = App("route", ("run", "route"), overlap=True)
SINK = App("sink", ("run", "sink"))
NARRATE = App("narrate", ("run", "narrate"))
"""Only where the settings name an endpoint."""
NOTIFY = App("notify", ("run", "notify"))
"""Only where the settings name a receiver."""
CONTROL = App("control", ("run", "control"), handover=signal.SIGHUP)
GATEWAY = App("gateway", ("gateway",), overlap=True)
"""Started where it is asked for; its address, which successors share, is in the settings."""
APPS = (CONTROL, ROUTE, DATA, SINK)
"""The last one, which reads what the others write, is stopped last."""


class Stack:
    """The whole stack out of one data directory; a context manager, ready when entered.

    It runs on `broker`, by default an embedded one of its own. With `keep`, what is registered is
    kept in the data directory and registered again by the next start. Use it from a thread that
    lives as long as the stack: its processes end with that thread.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        apps: Sequence[App] = APPS,
        ports: Ports | None = None,
        broker: Cluster | None = None,
        keep: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        given, ports = settings or Settings(), ports or Ports()
        self._say = say
        self._logs = given.data_dir / "logs"
        self.broker = broker or Broker(self._logs / "broker.log")
        self.settings = completed(given, self.broker.reached(given.kafka), ports)
        self._keepsake = Keepsake(self.settings) if keep else None
        environment = self.settings.environment()
        self._registry = self._server("registry", port_of(self.settings.registry.url), "/")
        self._clickhouse = self._server("clickhouse", self.settings.clickhouse.port, "/ping")
        self._clickhouse.argv = [
            *self._clickhouse.argv,
            "--path",
            str(given.data_dir / "clickhouse"),
        ]
        self._apps = [self._app(app) for app in apps]
        for part in self._parts:
            part.environment = environment
        self._renewals = Renewals(self.settings.data_dir)
        self._lock: IO[str] | None = None
        self._ended, self._watched, self._stopped = (threading.Event() for _ in range(3))
        self._watched.set()
        self._failure: StackError | None = None
        self._watcher: threading.Thread | None = None
        self._is_ready = False

    @property
    def _parts(self) -> list[Supervised]:
        return [self._registry, self._clickhouse, *self._apps]

    def _server(self, name: str, port: int, path: str) -> Supervised:
        argv = [sys.executable, "-m", f"streams.embedded.{name}", "--port", str(port)]
        return Supervised(name, argv, self._logs / f"{name}.log", port, path)

    def _app(self, app: App) -> Supervised:
        """Return its process; without stack and broker there is nothing that it could finish."""
        argv = [sys.executable, "-m", app.module, *app.arguments, "--health-port", PORT]
        return Supervised(
            app.name,
            argv,
            self._logs / f"{app.name}.log",
            free_port(),
            on_parent_death=signal.SIGKILL,
            live="/live",
            handover=app.handover,
            overlap=app.overlap,
        )

    def start(self) -> None:
        """Start everything and return when it is ready.

        Raises StackError when something does not start; what was started is stopped again.
        """
        try:
            self._lock = locked(self.settings.data_dir)
            self._clear_logs()
            self._renewals.forget()
            self._start_servers()
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._say("starting the processors")
            for app in self._apps:
                app.launch()
            self._await(self._apps)
            self._is_ready = True
            running.write(self.state())
            self._watched.clear()
            self._watcher.start()
        except BaseException:  # raised again: nothing may be left running
            self.stop()
            raise

    def _start_servers(self) -> None:
        self._say("starting broker, schema registry and ClickHouse")
        for server in (self._registry, self._clickhouse):
            refuse_taken(server.port, server.name)
        self.broker.launch()
        self._clickhouse.launch()
        self.broker.wait()
        self._registry.launch()
        self._say("creating topics, registering schemas")
        kafka.create_topics(self.settings.kafka, TOPICS.values())
        self._await([self._registry])
        registry = Registry(self.settings.registry)
        registry.register_all()
        registry.close()
        if self._keepsake is not None and (again := self._keepsake.begin()):
            self._say(f"registered {again} entries of the last run again")
        empowered(self.settings, new=self._keepsake is None and self.broker.forgets)
        self._await([self._clickhouse])

    def _await(self, parts: Sequence[Supervised]) -> None:
        deadline = time.monotonic() + START_S
        waiting = list(parts)
        while waiting := [part for part in waiting if not part.ready()]:
            self.broker.check()
            for part in waiting:
                part.revive()
            if time.monotonic() > deadline:
                names = ", ".join(f"{part.name} (log: {part.log})" for part in waiting)
                raise StackError(f"not ready within {START_S:.0f} s: {names}")
            time.sleep(POLL_S)

    def _watch(self) -> None:
        """Watch until the end; what this thread has started would end with it, so it waits."""
        try:
            self._watch_on()
        finally:
            self._watched.set()
            self._stopped.wait()

    def _watch_on(self) -> None:
        while not self._ended.wait(WATCH_S):
            try:
                self.broker.check()
            except StackError as error:
                self._failure = error
                self._ended.set()
                return
            for part in self._parts:
                part.tend()
            self._renewals.begin(self._parts)
            self._is_ready = all(list(map(_is_ready, self._parts)))
            running.write(self.state())
            if self._keepsake is not None:
                self._keepsake.poll()

    def ready(self) -> bool:
        """Return whether every process was ready when last asked, at most a second ago."""
        return self._is_ready and not self._ended.is_set()

    def check(self) -> None:
        """Raise StackError when the stack had to end: the broker is gone or outgrew its bound."""
        if self._failure is not None:
            raise self._failure

    def wait(self, timeout_s: float) -> None:
        """Wait, at most so many seconds, for an end that nobody asked for; raises as `check`."""
        self._ended.wait(timeout_s)
        self.check()

    def restart(self, name: str, timeout_s: float = RESTART_S) -> None:
        """Renew one process while everything else runs, and return when its successor is ready.

        Raises StackError when there is no process of that name, or it does not become ready.
        """
        self._renewals.restart(name, self.state, timeout_s)

    def state(self) -> State:
        """Return what runs, where it is, and how it is."""
        own = os.getpid()
        return State(
            pid=own,
            started=psutil.Process(own).create_time(),
            ready=self._is_ready,
            bootstrap=self.settings.kafka.bootstrap,
            registry=self.settings.registry.url,
            clickhouse_host=self.settings.clickhouse.host,
            clickhouse_port=self.settings.clickhouse.port,
            limit_mib=self.broker.limit_mib,
            data_dir=str(self.settings.data_dir),
            parts=(self._broker_part(), *(part.part() for part in self._parts)),
        )

    def _broker_part(self) -> Part:
        return Part(
            name="broker",
            pid=self.broker.pid,
            alive=self.broker.alive,
            ready=self.broker.alive,
            restarts=0,
            memory_mib=round(self.broker.memory_mib(), 1),
            health="",
            log=str(self.broker.log or ""),
        )

    def stop(self) -> None:
        """End every process, applications first, the broker last. Can be called again."""
        self._ended.set()
        self._is_ready = False
        self._watched.wait()
        if self._keepsake is not None:
            leave = self._keepsake.end if self.broker.alive else self._keepsake.leave
            leave()
        for group in (self._apps[:-1], self._apps[-1:], [self._registry, self._clickhouse]):
            for part in group:
                part.terminate()
            for part in group:
                part.stop(GRACE_S)
            end(recorded(self.settings.data_dir / WORKERS).values(), GRACE_S)
        self.broker.stop()
        self._stopped.set()
        if self._watcher is not None and self._watcher.is_alive():
            self._watcher.join()
        if self._lock is not None:
            running.remove(self.settings.data_dir)
            self._lock.close()
            self._lock = None

    def _clear_logs(self) -> None:
        for log in self._logs.glob("*.log"):
            log.unlink()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _is_ready(part: Supervised) -> bool:
    try:
        return part.ready()
    except StackError:
        return False

"""How the control plane grows with the catalogue: start-up, decision latency, memory, idle CPU.

For each size an installation is registered on a fresh broker, then select and place are started,
each a Faust worker of its own. `select_ms` runs from a confirmed drift of one application, handed
to the producer, to the EnsembleSelected that a reader of committed data has; `place_ms` from there
to the first PlacementDecided of that application. No metrics flow meanwhile; nodes report
themselves every ten seconds.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.observing import DriftDetected
from streams.bench import installation
from streams.bench.figures import percentiles
from streams.bench.hearing import Ears, Heard
from streams.bench.sending import Sender
from streams.embedded.processes import free_port
from streams.embedded.stack import Stack
from streams.embedded.supervised import Supervised
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clock import wall_ms
from workers.registry import Registry
from workers.settings import Settings

PROCESSES = ("select", "place")
PROBES = 40
HEARTBEAT_S = 10.0
START_S, FIRST_S, ANSWER_S, IDLE_S = 180.0, 600.0, 30.0, 5.0
Say = Callable[[str], None]


class Unanswered(StreamsError):
    """A decision that was due did not come; the message says which."""


@dataclass
class _Board:
    """What was heard of each application: its first ensemble, and the newest decisions (ns)."""

    news: threading.Condition = field(default_factory=threading.Condition)
    ensembles: dict[str, EnsembleSelected] = field(default_factory=dict)
    placed: set[str] = field(default_factory=set)
    selected_ns: dict[str, int] = field(default_factory=dict)
    placed_ns: dict[str, int] = field(default_factory=dict)

    def hear(self, heard: Heard) -> None:
        with self.news:
            match heard.event:
                case EnsembleSelected() as event:
                    self.ensembles.setdefault(event.app, event)
                    self.selected_ns[event.app] = heard.at_ns
                case PlacementDecided() as event:
                    self.placed.add(event.app)
                    self.placed_ns[event.app] = heard.at_ns
            self.news.notify_all()

    def wait(self, done: Callable[[], bool], limit_s: float, what: str) -> None:
        with self.news:
            if not self.news.wait_for(done, limit_s):
                raise Unanswered(f"after {limit_s:.0f} s still waiting for {what}")


def measure(settings: Settings, sizes: Sequence[int], say: Say) -> list[dict[str, Any]]:
    """Return a row per number of applications; each has four services and a contract.

    There is one node for five applications. Times in seconds or, where named so, ms; memory in
    MiB. Raises Unanswered, StackError, KafkaUnavailable, RegistryUnavailable.
    """
    return [_measured(settings, apps, max(1, apps // 5), say) for apps in sizes]


def _measured(settings: Settings, apps: int, nodes: int, say: Say) -> dict[str, Any]:
    say(f"{apps} applications, {apps * installation.SERVICES_EACH} services, {nodes} nodes")
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="weir-growth-")))
        stack = opened.enter_context(
            Stack(settings.model_copy(update={"data_dir": folder}), apps=())
        )
        registry = Registry(stack.settings.registry)
        opened.callback(registry.close)
        entries = opened.enter_context(Entries(stack.settings))
        begun = time.monotonic()
        entries.send(installation.installation(apps, nodes, wall_ms()))
        row: dict[str, Any] = {"apps": apps, "services": apps * installation.SERVICES_EACH}
        row |= {"nodes": nodes, "registered_s": round(time.monotonic() - begun, 1)}
        board, kafka, codec = _Board(), stack.settings.kafka, registry.codec()
        topics = ("weir.ensembles", "weir.placements")
        opened.enter_context(Ears(kafka, codec, topics, board.hear))
        sender = opened.enter_context(Sender(kafka, codec))
        opened.enter_context(_heartbeats(sender, nodes))
        running = opened.enter_context(_running(stack))
        row |= _started(running, board, apps, say)
        row |= _probed(sender, board, apps)
        row |= _resting(running)
        say("starting again")
        row["restart_ready_s"] = _restarted(running)
        return row


@contextmanager
def _running(stack: Stack) -> Iterator[dict[str, Supervised]]:
    """Start select and place, and end them."""
    started: dict[str, Supervised] = {}
    for name in PROCESSES:
        port = free_port()
        argv = [sys.executable, "-m", "streams.cli", "run", name, "--health-port", str(port)]
        log = stack.settings.data_dir / "logs" / f"{name}.log"
        part = Supervised(name, argv, log, port)
        part.environment = stack.settings.environment()
        part.launch()
        started[name] = part
    try:
        yield started
    finally:
        for part in started.values():
            part.stop(10.0)


def _started(running: dict[str, Supervised], board: _Board, apps: int, say: Say) -> dict[str, Any]:
    """Return how long it took to be ready, to select, and to place everything."""
    begun = time.monotonic()
    row: dict[str, Any] = {"ready_s": _ready(running)}
    say("waiting for all first ensembles and placements")
    board.wait(lambda: len(board.ensembles) >= apps, FIRST_S, "first ensembles")
    row["selected_s"] = round(time.monotonic() - begun, 1)
    board.wait(lambda: len(board.placed) >= apps, FIRST_S, "first placements")
    return row | {"placed_s": round(time.monotonic() - begun, 1)}


def _ready(running: dict[str, Supervised]) -> dict[str, float]:
    begun, found = time.monotonic(), dict[str, float]()
    while len(found) < len(running):
        for name, part in running.items():
            if name not in found and part.ready():
                found[name] = round(time.monotonic() - begun, 1)
        if time.monotonic() - begun > START_S:
            raise Unanswered(f"not ready within {START_S:.0f} s: {set(running) - set(found)}")
        time.sleep(0.05)
    return found


def _probed(sender: Sender, board: _Board, apps: int) -> dict[str, Any]:
    """Drift applications spread over all, one after another, and time what follows."""
    select, place = [], []
    for number in range(0, apps, max(1, apps // PROBES)):
        app = f"app-{number:05d}"
        sent = sender.send(_drift(board.ensembles[app]))
        _await(board, board.selected_ns, app, sent.at_ns)
        _await(board, board.placed_ns, app, sent.at_ns)
        select.append((board.selected_ns[app] - sent.at_ns) / 1e6)
        place.append((board.placed_ns[app] - board.selected_ns[app]) / 1e6)
    return {"select_ms": percentiles(select), "place_ms": percentiles(place)}


def _await(board: _Board, times: dict[str, int], app: str, since_ns: int) -> None:
    board.wait(lambda: times.get(app, 0) > since_ns, ANSWER_S, f"an answer for {app}")


def _resting(running: dict[str, Supervised]) -> dict[str, Any]:
    """Return memory (MiB), and the share of a core that is used when nothing happens."""
    processes = {name: psutil.Process(part.part().pid) for name, part in running.items()}
    time.sleep(IDLE_S)
    before = {name: sum(process.cpu_times()[:2]) for name, process in processes.items()}
    time.sleep(IDLE_S)
    used = {name: sum(p.cpu_times()[:2]) - before[name] for name, p in processes.items()}
    return {
        "memory_mib": {name: part.part().memory_mib for name, part in running.items()},
        "idle_cpu": {name: round(seconds / IDLE_S, 2) for name, seconds in used.items()},
    }


def _restarted(running: dict[str, Supervised]) -> dict[str, float]:
    for part in running.values():
        part.stop(30.0)
        part.launch()
    return _ready(running)


@contextmanager
def _heartbeats(sender: Sender, nodes: int) -> Iterator[None]:
    """Let the nodes report themselves."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(HEARTBEAT_S):
            for number in range(nodes):
                sender.send(installation.node(number, wall_ms()))

    thread = threading.Thread(target=run, name="heartbeats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _drift(ensemble: EnsembleSelected) -> DriftDetected:
    """Return a drift of the first member, new to whoever hears it."""
    now = wall_ms()
    return DriftDetected(
        event_id=f"growth-{ensemble.app}-{now}",
        app=ensemble.app,
        stage="",
        service=ensemble.members[0].service,
        instance="",
        node="",
        metric="error",
        detector="adwin",
        status="confirmed",
        kind="sudden",
        cause_class="",
        before=0.1,
        after=0.6,
        width=100,
        degree=0.5,
        since=now - 1000,
        detected_at=now,
    )

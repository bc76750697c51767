"""Metric to decision, window close excluded, hop by hop.

An application has windows of 100 ms without lateness, and a rule that one bad window breaks. For
each decision three bad metrics are sent into a window and, when its time is over, a fourth, the
closer, whose event time ends it. The clock starts when the closer is handed to the producer and
stops when a reader of committed data has the event: acknowledged by the broker, Observation,
QualityEvaluated, EnsembleSelected. The last is the decision at the end of the longest chain
(metric, observe, quality, select on Faust); every application is used once, because select rests
after a decision.

Drift knows no window: its clock starts with the metric that the DriftDetected names as its last
source. A violated clause waits `settle_ms` for the observations of other partitions, which is part
of its window's close and is taken off.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from processors.contracts.state import ContractParams
from schemas.base import Event
from schemas.decisions import EnsembleSelected
from schemas.observing import ContractViolated, DriftDetected, Observation, QualityEvaluated
from streams.bench import registering
from streams.bench.figures import percentiles
from streams.bench.hearing import Ears, Heard
from streams.bench.registering import BAD, METRIC, SIZE_MS, STEADY_LAG_MS
from streams.bench.sending import Sender, Sent
from streams.entries import Entries
from streams.errors import StreamsError
from workers.clock import wall_ms
from workers.registry import Registry
from workers.settings import Settings

TOPICS = (
    "weir.observations",
    "weir.quality",
    "weir.ensembles",
    "weir.drifts",
    "weir.violations",
)
STEADY = "bench-steady"
STEADY_PER_S, STEADY_LINGER_MS = 200, 20
"""Other metrics a second, and how long they wait for company: as long as the probe lets them."""
WARM = 10
"""Decisions before those that count: Java compiles most of a broker in its first minute."""
EVERY_S = (0.22, 0.34)
"""Between two triggers, drawn at random, so that they meet no period of a host."""
FIRST_S, ANSWER_S = 300.0, 120.0
ZEROS, ONES_PER_S, MOST_ONES = 120, 100, 400


class Undecided(StreamsError):
    """A decision that was due did not come; the message says which."""


@dataclass(slots=True)
class Trigger:
    """One application's bad window: when its closer went out, and when what followed came (ns)."""

    app: str
    closer: Sent
    begins: int
    heard: dict[str, int] = field(default_factory=dict)


class Board:
    """What was heard so far, by application; filled by the ears' thread."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.first: set[str] = set()
        self.triggers: dict[str, Trigger] = {}
        self.drifts: dict[str, tuple[int, int, int]] = {}

    def hear(self, heard: Heard) -> None:
        """Take an event in."""
        with self._news:
            match heard.event:
                case EnsembleSelected() as event:
                    self.first.add(event.app)
                    if event.generation > 1:
                        self._note(event.app, "selection", heard.at_ns)
                case QualityEvaluated() as event if event.verdict == "degraded":
                    self._note(event.app, "quality", heard.at_ns)
                case ContractViolated() as event if event.status == "violated":
                    self._note(event.app, "violation", heard.at_ns)
                case Observation() as event:
                    trigger = self.triggers.get(event.app)
                    if trigger is not None and trigger.begins == event.window_start:
                        self._note(event.app, "observation", heard.at_ns)
                case DriftDetected() as event if event.status == "confirmed":
                    last = event.sources[0]
                    self.drifts[event.app] = (last.partition, last.last, heard.at_ns)
            self._news.notify_all()

    def _note(self, app: str, hop: str, at_ns: int) -> None:
        if app in self.triggers:
            self.triggers[app].heard.setdefault(hop, at_ns)

    def wait(self, done: Callable[[], bool], limit_s: float, what: str) -> None:
        """Return when it is so. Raises Undecided when that takes longer than `limit_s`."""
        with self._news:
            if not self._news.wait_for(done, limit_s):
                raise Undecided(f"after {limit_s:.0f} s still waiting for {what}")


class Decisions:
    """Measures decisions on a stack that is ready; `seed` draws the pauses."""

    def __init__(self, settings: Settings, seed: int, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._random = Random(seed)  # noqa: S311 - pauses, not secrets
        self._say = say
        self._registry = Registry(settings.registry)
        self._codec = self._registry.codec()
        self._board = Board()

    def measure(self, count: int) -> dict[str, Any]:
        """Return percentiles in ms: p50 and p99 of the whole chain, and of every hop.

        `count` chains to a selection; a quarter as many drifts and violations. Raises Undecided.
        """
        kafka = self._settings.kafka
        try:
            with (
                Ears(kafka, self._codec, TOPICS, self._board.hear),
                Sender(kafka, self._codec) as sender,
                Sender(kafka, self._codec, STEADY_LINGER_MS) as others,
                _Steady(others),
            ):
                return self._measure(sender, count)
        finally:
            self._registry.close()

    def _measure(self, sender: Sender, count: int) -> dict[str, Any]:
        few = max(4, count // 4)
        chains = [f"bench-decide-{n:04}" for n in range(count)]
        clauses = [f"bench-clause-{n:04}" for n in range(few)]
        warm = [f"bench-warm-{n:04}" for n in range(WARM)]
        self._register(sender, [*warm, *chains], clauses)
        for app in warm:
            self._trigger(sender, app, 1, "selection")
        self._say(f"{count} decisions by rule and selection")
        for app in chains:
            self._trigger(sender, app, 1, "selection")
        self._say(f"{few} violations and {few} drifts")
        for app in clauses:
            self._trigger(sender, app, 2, "violation")
        drifts = [self._drift(sender, f"bench-drift-{n:04}") for n in range(few)]
        self._remove([*warm, *chains, *clauses])
        return self._figures(chains, clauses, drifts)

    def _register(self, sender: Sender, chains: Sequence[str], clauses: Sequence[str]) -> None:
        now = wall_ms()
        events: list[Event] = [registering.steady(STEADY, now)]
        for app in chains:
            events += registering.deciding(app, now)
        for app in clauses:
            events += registering.promising(app, now)
        for event in events:
            sender.send(event)
        sender.flush()
        self._board.wait(
            lambda: self._board.first >= set(chains), FIRST_S, "the first ensembles of all"
        )

    def _remove(self, apps: Iterable[str]) -> None:
        """Take the applications out of the catalogue again: select looks at all that it holds."""
        with Entries(self._settings) as entries:
            for app in apps:
                for kind, key in registering.entries_of(app):
                    entries.remove(kind, key)
            entries.flush()

    def _trigger(self, sender: Sender, app: str, windows: int, end: str) -> None:
        """Send so many bad windows and what closes the last one, and wait for what follows."""
        time.sleep(self._random.uniform(*EVERY_S))
        begins = wall_ms() // SIZE_MS * SIZE_MS
        for window in range(windows):
            for step in range(3):
                at = begins + window * SIZE_MS + step
                sender.send(registering.metric(app, METRIC, BAD, at))
        closes = begins + windows * SIZE_MS
        time.sleep(max(0.0, closes / 1000 - time.time()) + self._random.uniform(0.02, 0.05))
        trigger = Trigger(app, Sent(0), closes - SIZE_MS)
        self._board.triggers[app] = trigger
        trigger.closer = sender.send(registering.metric(app, METRIC, BAD, closes))
        self._board.wait(lambda: end in trigger.heard, ANSWER_S, f"the {end} of {app}")

    def _drift(self, sender: Sender, app: str) -> float:
        """Send zeros, then ones until the drift is told; ms from its last metric to its event."""
        begins = wall_ms() - ZEROS
        zeros = [registering.metric(app, "error", 0.0, begins + n) for n in range(ZEROS)]
        sent = [sender.send(zero) for zero in zeros]
        for _ in range(MOST_ONES):
            if app in self._board.drifts:
                break
            sent.append(sender.send(registering.metric(app, "error", 1.0, wall_ms())))
            time.sleep(1 / ONES_PER_S)
        self._board.wait(lambda: app in self._board.drifts, ANSWER_S, f"the drift of {app}")
        sender.flush()
        partition, offset, heard_ns = self._board.drifts[app]
        last = next(one for one in sent if (one.partition, one.offset) == (partition, offset))
        return (heard_ns - last.at_ns) / 1e6

    def _figures(
        self, chains: Sequence[str], clauses: Sequence[str], drifts: Sequence[float]
    ) -> dict[str, Any]:
        triggers = [self._board.triggers[app] for app in chains]
        waits = [self._board.triggers[app] for app in clauses]
        settle = ContractParams().settle_ms
        steps = {
            "acknowledged": [(t.closer.acknowledged_ns - t.closer.at_ns) / 1e6 for t in triggers],
            "observation": _since(triggers, "observation"),
            "quality": _since(triggers, "quality"),
            "selection": _since(triggers, "selection"),
            "violation": [ms - settle for ms in _since(waits, "violation")],
            "drift": list(drifts),
        }
        hops = {name: percentiles(values) for name, values in steps.items()}
        return hops["selection"] | {"count": len(chains), "hops": hops}


def _since(triggers: Iterable[Trigger], hop: str) -> list[float]:
    """Return ms from the closer to a hop."""
    return [(t.heard[hop] - t.closer.at_ns) / 1e6 for t in triggers if hop in t.heard]


class _Steady:
    """Sends background metrics at a steady, low rate while it is open."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        n = 0
        while not self._stop.wait(1 / STEADY_PER_S):
            then = wall_ms() - STEADY_LAG_MS
            self._sender.send(registering.metric(f"{STEADY}", f"m{n % 16}", 1.0, then))
            n += 1

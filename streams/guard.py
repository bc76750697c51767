"""Whether a process still does its work, asked from a thread of its own.

A consumer can look healthy and stand still: its event loop blocked, an agent cancelled, a
partition that is assigned and never fetched. So nothing is believed that it says of itself: what
counts is whether positions move while records wait behind them, and whether loops come round.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from typing_extensions import Self

from schemas.processing import Partition
from streams.standstill import Standstill
from workers import telemetry
from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.settings import KafkaSettings

LOOK_S = 2.0
ASK_S = 5.0
CLOSE_S = 0.5
UNREADY = 4
"""So many times longer a process may be without partitions: members come and go."""

Positions = Callable[[], Mapping[Partition, int]]

log = telemetry.logger(__name__)


def lowest(standing: Iterable[Mapping[Partition, int]]) -> dict[Partition, int]:
    """Return the lowest offset of each partition: where the last of several readers stands."""
    found: dict[Partition, int] = {}
    for reader in standing:
        for place, offset in reader.items():
            found[place] = min(offset, found.get(place, offset))
    return found


class Pulse:
    """When something last came round; safe to share between threads."""

    def __init__(self) -> None:
        self._at: float | None = None

    def beat(self) -> None:
        """Note that it came round now."""
        self._at = time.monotonic()

    def pardon(self) -> None:
        """Begin to count again, if it was ever counted."""
        if self._at is not None:
            self.beat()

    def age_s(self) -> float:
        """Return the seconds since then; 0 when it has not yet begun."""
        return time.monotonic() - self._at if self._at is not None else 0.0


class Guard:
    """Looks every two seconds after one process; a context manager.

    `positions` returns the next offset per assigned partition, of those to be judged now; `ready`
    whether the process has its partitions. `patience_s` is how long a standstill is borne.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        positions: Positions,
        pulses: Mapping[str, Pulse],
        ready: Callable[[], bool],
        patience_s: float,
    ) -> None:
        self._settings = settings
        self._positions = positions
        self._pulses = dict(pulses)
        self._ready = ready
        self._patience_s = patience_s
        self._standstill = Standstill(patience_s)
        self._unready = Pulse()
        self._looked = Pulse()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)
        self.trouble = ""

    @property
    def live(self) -> bool:
        """Whether nothing stands still."""
        return not self.trouble

    def start(self) -> None:
        """Begin to look."""
        self._start_over()
        self._thread.start()

    def close(self) -> None:
        """Look no more; a question that is under way is not waited for."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            if self._looked.age_s() > 2 * LOOK_S + ASK_S:
                self._start_over()
            trouble = self._look()
            self._looked.beat()
            if trouble and not self.trouble:
                log.error("guard.stuck", trouble=trouble)
            elif self.trouble and not trouble:
                log.info("guard.moves_again")
            self.trouble = trouble

    def _start_over(self) -> None:
        """Blame nobody: this thread did not run either, so the whole process was stopped."""
        for pulse in (*self._pulses.values(), self._unready):
            pulse.pardon()
        self._standstill.forget()

    def _look(self) -> str:
        """Return what stands still, in words; empty when nothing does."""
        for name, pulse in self._pulses.items():
            if pulse.age_s() > self._patience_s:
                return f"{name} has not come round for {pulse.age_s():.0f} s"
        if self._ready():
            self._unready.beat()
        try:
            return self._without_partitions() or self._standing()
        except KafkaUnavailable:
            self._start_over()
            return ""

    def _without_partitions(self) -> str:
        age_s = self._unready.age_s()
        if age_s < UNREADY * self._patience_s:
            return ""
        kafka.partition_counts(self._settings, ASK_S)
        return f"it has been without partitions for {age_s:.0f} s"

    def _standing(self) -> str:
        quiet = self._standstill.quiet(self._positions())
        waiting = kafka_ends.waiting(self._settings, quiet, ASK_S) if quiet else {}
        stuck = self._standstill.judge(time.monotonic(), waiting)
        if not stuck:
            return ""
        topic, partition = stuck[0]
        more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
        where = quiet[stuck[0]]
        return f"{topic}/{partition}{more} stays at {where} though records wait there"

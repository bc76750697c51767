"""Whether the paths of the loop carry again what was sent after a moment."""

import threading
from collections import Counter
from collections.abc import Iterable

from schemas.inference import InferenceResponse
from schemas.observing import Observation
from schemas.topics import PARTITIONS
from streams.bench.hearing import Heard

TOPICS = ("weir.observations", "weir.responses")


class Paths:
    """Hears observations and answers, and remembers the newest of each series and partition.

    A path works again for what was sent since an instant when every one of them has carried
    something sent since: metrics of every series, and requests of every partition.
    """

    def __init__(self, series: Iterable[str]) -> None:
        self._series = frozenset(series)
        self._lock = threading.Lock()
        self._observed: dict[str, int] = {}
        self._answered: dict[int, int] = {}
        self._ids: Counter[str] = Counter()
        self.page = ""

    @property
    def series(self) -> int:
        """How many series there are."""
        return len(self._series)

    def turn_to(self, page: str) -> None:
        """Hear one page of the ledger alone from now on."""
        with self._lock:
            self.page = page
            self._observed.clear()
            self._answered.clear()
            self._ids.clear()

    def hear(self, heard: Heard) -> None:
        """Take note of an event; called by whoever reads the topics."""
        event = heard.event
        with self._lock:
            if isinstance(event, Observation) and event.instance == self.page:
                start = max(event.window_start, self._observed.get(event.metric, 0))
                self._observed[event.metric] = start
                self._ids[event.event_id] += 1
            elif isinstance(event, InferenceResponse) and self._counts(event):
                sent = max(event.created_at, self._answered.get(heard.partition, 0))
                self._answered[heard.partition] = sent

    def _counts(self, event: InferenceResponse) -> bool:
        return event.request_id.startswith(f"{self.page}/") and event.status == "complete"

    def repeated(self) -> dict[str, int]:
        """Return how often each observation was heard that was heard more than once, by its id."""
        with self._lock:
            return {name: times for name, times in self._ids.items() if times > 1}

    def missing(self, since_ms: int) -> list[str]:
        """Return what has not yet carried anything that was sent since then (ms)."""
        with self._lock:
            observed = {name for name, start in self._observed.items() if start >= since_ms}
            answered = {at for at, sent in self._answered.items() if sent >= since_ms}
        missing = [f"observations of {name}" for name in sorted(self._series - observed)]
        missing += [f"answers in partition {p}" for p in range(PARTITIONS) if p not in answered]
        return missing

"""Observations as Prometheus series: the latest final one of each series and window.

`Latest` keeps them, `Exposed` turns them into samples for a registry of prometheus_client.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.observing import Observation
from streams.errors import StackError
from workers.clock import Clock

LABELS = ("app", "stage", "service", "instance", "node", "metric", "unit", "window")
STATISTICS = {
    "count": "events of the window",
    "mean": "mean of the window's values",
    "p50": "median of the window's values",
    "p95": "95th percentile of the window's values",
    "p99": "99th percentile of the window's values",
}
Key = tuple[str, ...]


class Latest:
    """The latest final observation per series and window name; safe to share between threads.

    At most `most` are kept: the one that was not renewed for longest goes first, and is counted.
    One that was not renewed for `stale_ms` is not shown any more.
    """

    def __init__(self, clock: Clock, *, most: int, stale_ms: int, app: str = "") -> None:
        self._clock = clock
        self._most = most
        self._stale_ms = stale_ms
        self._app = app
        self._lock = threading.Lock()
        self._seen: dict[Key, tuple[int, Observation]] = {}
        self.forgotten = 0

    def see(self, observation: Observation) -> None:
        """Take an observation, unless it is early, of another application, or older than known."""
        if not observation.final or self._app not in ("", observation.app):
            return
        key = tuple(str(getattr(observation, label)) for label in LABELS)
        with self._lock:
            known = self._seen.get(key)
            if known is not None and known[1].window_end > observation.window_end:
                return
            self._seen.pop(key, None)
            self._seen[key] = (self._clock(), observation)
            while len(self._seen) > self._most:
                del self._seen[next(iter(self._seen))]
                self.forgotten += 1

    def shown(self) -> list[tuple[Key, Observation]]:
        """Return labels and observation of all that are not stale, and forget the stale."""
        oldest = self._clock() - self._stale_ms
        with self._lock:
            for key in [key for key, (at, _) in self._seen.items() if at < oldest]:
                del self._seen[key]
            return [(key, observation) for key, (_, observation) in self._seen.items()]


class Exposed(Collector):
    """What a scrape gets: a gauge per statistic, and how many series there are."""

    def __init__(self, latest: Latest) -> None:
        self._latest = latest

    def describe(self) -> list[Metric]:
        """Return nothing: names need no check against others in a registry of our own."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        shown = self._latest.shown()
        for name, told in STATISTICS.items():
            family = GaugeMetricFamily(f"weir_observation_{name}", told, labels=LABELS)
            for key, observation in shown:
                family.add_metric(key, float(getattr(observation, name)))
            yield family
        ended = GaugeMetricFamily(
            "weir_observation_window_end_seconds", "end of the window, Unix time", labels=LABELS
        )
        for key, observation in shown:
            ended.add_metric(key, observation.window_end / 1000)
        yield ended
        yield GaugeMetricFamily("weir_observation_series", "series that are shown", len(shown))
        yield CounterMetricFamily(
            "weir_observation_series_forgotten",
            "series left out because there were too many",
            self._latest.forgotten,
        )


def registry_of(latest: Latest) -> CollectorRegistry:
    """Return a registry that has these series and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Exposed(latest))
    return registry


@contextmanager
def served(latest: Latest, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Serve them at /metrics while the block runs. Raises StackError when the port is taken."""
    try:
        server, thread = start_http_server(port, host, registry_of(latest))
    except OSError as error:
        raise StackError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

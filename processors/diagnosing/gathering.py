"""The series of a partition: observed ones, and those that heartbeats of nodes make."""

from collections.abc import Iterable, Iterator

from processors.diagnosing.pasts import Past
from processors.diagnosing.state import SeriesState
from processors.diagnosing.symptoms import Series, Symptom, symptom_of
from processors.recent import Recent
from schemas.observing import Observation
from schemas.registrations import NodeReported

HEARTBEAT = "heartbeat"
"""The window of series that come of heartbeats."""
RATED = "answered"
"""The metric whose rate is the load of an application."""


class Pasts:
    """At most so many series; beyond that the longest unused is forgotten."""

    def __init__(self, most: int, states: Iterable[SeriesState] = ()) -> None:
        self._most = most
        self._pasts: Recent[Series, tuple[Past, list[str]]] = Recent(most)
        for one in states:
            past = Past.of(one.fine, one.coarse, one.pending)
            self._pasts.put(_series(one), (past, [one.evidence]))

    def observe(self, seen: Observation) -> None:
        """Take a final window of a series."""
        where = (seen.app, seen.stage, seen.service, seen.instance, seen.node)
        series = Series(*where, seen.metric, seen.window)
        self._add(series, seen.window_end, seen.mean, seen.event_id)
        if seen.metric == RATED:
            rated = series._replace(metric=f"{RATED}.rate")
            self._add(rated, seen.window_end, seen.rate, seen.event_id)

    def sample(self, app: str, node: NodeReported) -> None:
        """Take what a node says of itself, once per heartbeat."""
        for metric, value in _readings(node):
            series = Series(app, "", "", "", node.node, metric, HEARTBEAT)
            self._add(series, node.heartbeat, value, "")

    def symptoms(self, app: str, began: int) -> Iterator[Symptom]:
        """Yield how each series of an application shows in an incident noticed at `began`."""
        for series, (past, evidence) in self._pasts.items():
            if series.app == app:
                found = symptom_of(series, past, evidence[0], began)
                if found is not None:
                    yield found

    def forget(self, app: str) -> None:
        """Forget the series of an application."""
        for series in [series for series, _ in self._pasts.items() if series.app == app]:
            self._pasts.drop(series)

    def states(self) -> Iterator[SeriesState]:
        """Yield all series, the longest unused first."""
        for series, (past, evidence) in self._pasts.items():
            fine, coarse, pending = past.packed()
            yield SeriesState(
                **series._asdict(),
                evidence=evidence[0],
                fine=fine,
                coarse=coarse,
                pending=pending,
            )

    def _add(self, series: Series, end: int, value: float, event_id: str) -> None:
        (past, evidence), _ = self._pasts.use(series, lambda: (Past(), [""]))
        if past.add(end, value):
            evidence[0] = event_id


def _series(one: SeriesState) -> Series:
    where = (one.app, one.stage, one.service, one.instance, one.node)
    return Series(*where, one.metric, one.window)


def _readings(node: NodeReported) -> Iterator[tuple[str, float]]:
    """Yield what a heartbeat tells: shares of what the node has, and its links."""
    yield "cpu.used", node.cpu_used_milli / max(1, node.cpu_milli)
    yield "memory.used", node.memory_used_mib / max(1, node.memory_mib)
    for gpu in node.gpus:
        yield f"gpu.{gpu.index}.used", gpu.used_milli / 1000
    if node.network_mbps:
        yield "network.used", node.network_used_mbps / node.network_mbps
    for link in node.links:
        if link.latency_ms is not None:
            yield f"neighbour.{link.node}.rtt", link.latency_ms
        if link.mbps is not None:
            yield f"neighbour.{link.node}.free", link.mbps

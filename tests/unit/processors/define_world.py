"""Two partitions of metrics, an observer for each, and define behind them."""

from functools import partial
from typing import Any

from processors.defining.define import Define, DefineParams
from processors.defining.plugins import Plugin
from processors.observing.observe import Observe, ObserveParams
from schemas.catalogue import Catalogue
from schemas.closed import WindowsClosed
from schemas.observing import Observation
from schemas.processing import Batch, Output, Record
from schemas.registrations import MetricDefined, WindowDefined
from streams.plugins.attempts import attempted
from tests.contracts.scenarios.define import closed

START = 1_700_000_000_000
OBSERVED = ObserveParams(size_ms=1_000, allowed_lateness_ms=0)


def row(at: int, metric: str, value: float, **fields: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {"stage": "s", "service": "a", "instance": "", "node": "", "unit": ""}
    made |= {"app": "shop", "request_id": None, "event_time": START + at}
    return made | {"metric": metric, "value": value} | fields


class World:
    """Two partitions of metrics, an observer for each, and define behind them."""

    def __init__(self, *definitions: MetricDefined | WindowDefined, **plugins: Any) -> None:
        self.catalogue = Catalogue(
            {
                kind: {one.name: one for one in definitions if isinstance(one, kind)}
                for kind in (MetricDefined, WindowDefined)
            }
        )
        self.observers = [Observe(OBSERVED), Observe(OBSERVED)]
        self.offsets = [0, 0]
        functions = {n: Plugin(n, "1", partial(attempted, f)) for n, f in plugins.items()}
        self.define = Define(DefineParams(sources=2), functions)
        self.offset = 0

    def closed(self, partition: int, rows: list[dict[str, Any]], now: int) -> list[WindowsClosed]:
        first = self.offsets[partition]
        self.offsets[partition] += len(rows)
        observer = self.observers[partition]
        return closed(observer, rows, first, partition, START + now, self.catalogue)

    def tell(self, events: list[WindowsClosed], now: int) -> list[Output]:
        records = []
        for event in events:
            records.append(Record(event, "weir.closed", 0, self.offset, START + now))
            self.offset += 1
        return list(self.define.process(Batch(tuple(records), START + now, self.catalogue)))

    def feed(self, partition: int, rows: list[dict[str, Any]], now: int) -> list[Output]:
        return self.tell(self.closed(partition, rows, now), now)


def values(outputs: list[Output]) -> list[tuple[str, float, int]]:
    """Return metric, value and count of each observation."""
    found = [one for one in outputs if isinstance(one, Observation)]
    assert all(one.mean == one.min == one.max == one.p99 for one in found)
    return [(one.metric, one.mean, one.count) for one in found]


COUNTED = WindowDefined(
    name="counted",
    app="shop",
    kind="count",
    size_ms=0,
    size_events=5,
    registered_at=START,
    event_id="counted",
)

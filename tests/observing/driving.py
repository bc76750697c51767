"""One partition of metrics, and observe over it: in any batches, restarted wherever one likes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from processors.observing.observe import Observe, ObserveParams, spec
from schemas.catalogue import Catalogue
from schemas.columns import metrics
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import LateMetric, Observation
from schemas.processing import Columns, Output
from schemas.registrations import WindowDefined
from tests.observing.reference import Row

START = 1_699_999_999_800
"""A multiple of all sizes here, so that windows begin as they do at 0."""
FOREVER_MS = 1 << 40
SERVICES = ("a", "b", "c", "end")
PARAMS = ObserveParams(idle_ms=FOREVER_MS, hold_ms=1_000)
"""No window is closed by the clock."""
Cuts = list[tuple[int, bool]]
"""How long batches are, over and over, and whether observe is restarted after each."""


def defined(name: str = "proof", **how: object) -> WindowDefined:
    """Return a definition for the series of the rows."""
    made = WindowDefined(name=name, app="shop", size_ms=0, registered_at=START, event_id="")
    made = replace(made, **how)  # type: ignore[arg-type]
    return replace(made, event_id=stable_id("test", repr(made)))


def world(*definitions: WindowDefined) -> Catalogue:
    """Return the catalogue in which definitions stand."""
    return Catalogue({WindowDefined: {one.name: one for one in definitions}})


def _series(services: Sequence[str]) -> pl.DataFrame:
    texts = {"app": "shop", "stage": "s", "instance": "", "node": "", "metric": "latency"}
    plain = pl.DataFrame({"service": services, "unit": ["ms"] * len(services)})
    _, series = metrics(
        plain.with_columns(
            *(pl.lit(text).alias(name) for name, text in texts.items()),
            pl.lit(0.0).alias("value"),
            *(pl.lit(0, dtype=pl.Int64).alias(name) for name in ("event_time", "_offset")),
        )
    )
    return series


_SERIES = [(names, _series(names)) for names in (SERVICES, SERVICES[::-1])]
_LEAN = {
    "event_time": pl.Int64,
    "value": pl.Float64,
    "_series": pl.UInt32,
    "_offset": pl.Int64,
    "request_id": pl.String,
}


def columns(rows: Sequence[Row], catalogue: Catalogue, now_ms: int, partition: int) -> Columns:
    """Return rows as a host decodes them; the numbers of series change from batch to batch."""
    names, series = _SERIES[len(rows) % 2]
    lean = [(START + r.at, r.value, names.index(r.service), r.offset, None) for r in rows]
    frame = pl.DataFrame(lean, schema=_LEAN, orient="row")
    return Columns(frame, "weir.metrics", partition, now_ms, catalogue, series)


@dataclass
class Partition:
    """Observe over the log of one partition, and all that it said."""

    number: int = 0
    params: ObserveParams = PARAMS
    said: list[Output] = field(default_factory=list)
    log: list[tuple[Row, Catalogue]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._observe = self._built()

    def _built(self) -> Observe:
        built = spec(self.params).build(self.number)
        assert isinstance(built, Observe)
        return built

    def feed(self, rows: Sequence[Row], catalogue: Catalogue) -> None:
        """Give it the next rows of the log."""
        self.log += [(row, catalogue) for row in rows]
        self.said += self._observe.process(columns(rows, catalogue, START, self.number))

    def take(self, rows: Sequence[Row], cuts: Cuts, catalogue: Catalogue) -> None:
        """Give it rows in batches, with restarts."""
        left = list(rows)
        for length, restart in itertools.cycle(cuts):
            if not left:
                return
            self.feed(left[:length], catalogue)
            left = left[length:]
            if restart:
                self.restart(step=max(1, length - 1))

    def restart(self, step: int = 1_000) -> None:
        """Let another instance take over its state; it reads the log again in batches of a size."""
        successor = self._built()
        successor.restore(self._observe.snapshot())
        needed = self._observe.oldest_needed().get(("weir.metrics", self.number))
        again = [] if needed is None else [row for row, _ in self.log if row.offset >= needed]
        for first in range(0, len(again), step):
            part = columns(again[first : first + step], self.log[-1][1], START, self.number)
            successor.rebuild(part)
        self._observe = successor

    def finals(self) -> list[Observation]:
        """Return the final observations in their order."""
        return [e for e in self.said if isinstance(e, Observation) and e.final]

    def early(self) -> list[Observation]:
        """Return the speculative observations in their order."""
        return [e for e in self.said if isinstance(e, Observation) and not e.final]

    def late(self) -> list[LateMetric]:
        """Return the late metrics that were sent."""
        return [e for e in self.said if isinstance(e, LateMetric)]

    def uncounted(self) -> int:
        """Return how many late rows were told as actions, for want of an observation."""
        told = [e for e in self.said if isinstance(e, ActionTaken) and e.kind == "metrics.late"]
        return sum(int(pair.value) for e in told for pair in e.parameters if pair.key == "count")

"""How many rules the first tier of quality evaluates a second, and what its hosts add.

An evaluation is a rule on a window that it selects. The same windows, 500 series of one metric, are
judged under 20 thresholds of the usual shape, of which hardly any turns. The processor alone takes
columns; through its host, windows come as messages of an embedded broker, and verdicts, snapshot
and offsets are committed. CPU time of the process, so that neighbours count for nothing; the host's
is that of its thread and of librdkafka.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from processors.anomalies import anomaly
from processors.anomalies.anomaly import AnomalyParams
from processors.rules.quality import QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.columns import frame_of
from schemas.observing import Observation
from schemas.processing import Columns
from schemas.quality import RuleDefined
from streams.bench.quality_hosted import messages_per_s

SERIES, RULES, WINDOWS = 500, 20, 100
_BATCH = 10
STEP_MS = 1_000
_PARAMS = QualityParams()


def measure(say: Callable[[str], None], *, hosted: bool) -> dict[str, Any]:
    """Return the rates under their keys; through the host null unless it is asked for."""
    found = {
        "rules_per_s": round(rules_per_s()),
        "rules_hosted_per_s": round(hosted_per_s()) if hosted else None,
        "anomaly_hosted_points_per_s": round(anomalies_per_s()) if hosted else None,
    }
    say(f"rules: {found}")
    return found


def anomalies_per_s(series: int = SERIES, windows: int = WINDOWS) -> float:
    """Return the values a second of CPU that tier 2 judges through its host, by its default."""
    anomalies = anomaly.spec(AnomalyParams(max_series=series))
    return messages_per_s(anomalies, (), observed(series, windows))


def hosted_per_s(series: int = SERIES, rules: int = RULES, windows: int = WINDOWS) -> float:
    """Return the evaluations a second of CPU through the host on an embedded broker."""
    return messages_per_s(spec(_PARAMS), defined(rules), observed(series, windows)) * rules


def rules_per_s(series: int = SERIES, rules: int = RULES, windows: int = WINDOWS) -> float:
    """Return the evaluations a second of CPU of the processor alone, ten windows a batch."""
    processor: Any = spec(_PARAMS).build(0)
    known = Catalogue({RuleDefined: {one.name: one for one in defined(rules)}})
    base = frame_of(Observation, [_window(0, number, 10.0) for number in range(series)])
    values = _values(series, windows)
    spent, judged = 0.0, 0
    for first in range(0, windows, _BATCH):
        frame = pl.concat(
            [_later(base, at, values[at]) for at in range(first, min(first + _BATCH, windows))]
        )
        batch = Columns(frame, "weir.observations", 0, STEP_MS * first, known)
        begun = time.process_time()
        processor.process(batch)
        if first:  # the first makes the series known
            spent += time.process_time() - begun
            judged += frame.height
    return judged * rules / spent


def _later(base: pl.DataFrame, at: int, values: npt.NDArray[np.float64]) -> pl.DataFrame:
    """Return the windows of all series that end a number of steps later, with other values."""
    moved = pl.Series("mean", values) - base["mean"]
    statistics = ("min", "max", "mean", "p50", "p90", "p95", "p99")
    return base.with_columns(
        pl.col("window_start", "window_end") + at * STEP_MS,
        *(pl.col(name) + moved for name in statistics),
        pl.col("event_id") + f" {at}",
    )


def defined(count: int) -> list[RuleDefined]:
    """Return rules on one metric: statistics above thresholds that are seldom reached."""
    statistics = ("mean", "p50", "p95", "p99", "max")
    return [
        RuleDefined(
            name=f"rule-{at}",
            metric="latency",
            statistic=statistics[at % len(statistics)],
            operator=">",
            threshold=14.0 + at / 10,
            clear_threshold=13.0,
            critical_threshold=30.0,
            for_windows=2,
            clear_windows=2,
            registered_at=0,
            event_id=f"rule-{at}",
        )
        for at in range(count)
    ]


def observed(series: int, windows: int) -> Iterator[Observation]:
    """Yield the windows of all series, those that end together after each other."""
    for at, row in enumerate(_values(series, windows).tolist()):
        yield from (_window(at, number, value) for number, value in enumerate(row))


def _values(series: int, windows: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(10.0, 1.0, (windows, series))


def _window(at: int, number: int, value: float) -> Observation:
    return Observation(
        event_id=f"{number:016x}{at:016x}",
        app="bench",
        stage="",
        service=f"service {number}",
        instance="",
        node="",
        metric="latency",
        unit="ms",
        window="default",
        window_start=1 + at * STEP_MS,
        window_end=1 + (at + 1) * STEP_MS,
        count=20,
        mean=value,
        std=0.5,
        min=value - 1.0,
        max=value + 1.0,
        p50=value,
        p90=value + 0.4,
        p95=value + 0.6,
        p99=value + 0.8,
        late_count=0,
        emitted_at=0,
    )

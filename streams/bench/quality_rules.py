"""How many rules the first tier of quality evaluates a second, and what its hosts add.

An evaluation is a rule on a window that it selects. The same windows, 500 series of one metric, are
judged under 20 thresholds of the usual shape, of which hardly any turns. The processor alone takes
columns; through its host, windows come as messages of an embedded broker, and verdicts, snapshot
and offsets are committed. CPU time of the process, so that neighbours count for nothing; the host's
is that of its thread and of librdkafka.
"""

import time
from collections.abc import Callable
from typing import Any

from processors.anomalies import anomaly
from processors.anomalies.anomaly import AnomalyParams
from processors.rules.quality import QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.quality import RuleDefined
from streams.bench.quality_batches import batches, observed
from streams.bench.quality_hosted import rates

SERIES, RULES, WINDOWS = 500, 20, 100
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
    return rates(anomalies, (), observed(series, windows)).hosted


def hosted_per_s(series: int = SERIES, rules: int = RULES, windows: int = WINDOWS) -> float:
    """Return the evaluations a second of CPU through the host on an embedded broker."""
    return rates(spec(_PARAMS), defined(rules), observed(series, windows)).hosted * rules


def rules_per_s(series: int = SERIES, rules: int = RULES, windows: int = WINDOWS) -> float:
    """Return the evaluations a second of CPU of the processor alone, ten windows a batch."""
    processor: Any = spec(_PARAMS).build(0)
    known = Catalogue({RuleDefined: {one.name: one for one in defined(rules)}})
    spent, judged = 0.0, 0
    for number, batch in enumerate(batches(series, windows, known)):
        begun = time.process_time()
        processor.process(batch)
        if number:  # the first makes the series known
            spent += time.process_time() - begun
            judged += batch.frame.height
    return judged * rules / spent


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

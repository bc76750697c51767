"""What tier 2 of quality detects, scored as NAB scores, and how fast it is."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from processors.anomalies.anomaly import AnomalyParams, spec
from processors.anomalies.detectors import Judge, WeirJudge
from processors.anomalies.policies import MOST_RATE
from schemas.catalogue import Catalogue
from streams.bench.quality_batches import batches
from streams.bench.quality_folder import Labelled, read, scores
from streams.bench.quality_nab import PROFILES, Scored, at_threshold, swept
from streams.bench.quality_series import STEP_MS, corpus

THRESHOLD = -math.log10(MOST_RATE)
"""The score from which a row is flagged at the rate of the default: fixed before any data."""
SERIES, POINTS = 1_000, 1_000


def nab(judge: Judge, series: Sequence[Labelled]) -> dict[str, Any]:
    """Return the scores of a detector on labelled series, by profile.

    First with the threshold of each profile swept on the labels, as published scores are made,
    then under `default` with the one that was fixed in advance. Null is the score where no series
    has a window, and the threshold where it is best to say nothing.
    """
    scored = [Scored(scores(judge, s.times, s.values, MOST_RATE), s.windows) for s in series]
    best = {name: swept(scored, profile) for name, profile in PROFILES.items()}
    return {
        "series": len(series),
        "windows": sum(len(one.windows) for one in series),
        **{name: _told(found.score, 2) for name, found in best.items()},
        "thresholds": {name: _told(found.threshold, 3) for name, found in best.items()},
        "default": {
            "threshold": THRESHOLD,
            **{
                name: _told(at_threshold(scored, THRESHOLD, profile), 2)
                for name, profile in PROFILES.items()
            },
        },
    }


def _told(number: float, places: int) -> float | None:
    return round(number, places) if math.isfinite(number) else None


def detector_points_per_s(judge: Judge, series: int = SERIES, points: int = POINTS) -> float:
    """Return the values a second of CPU that a detector judges and learns; series take turns."""
    values = np.random.default_rng(1).normal(10.0, 1.0, series * points)
    numbers = np.tile(np.arange(series), points)
    times = np.repeat(np.arange(points) * STEP_MS, series)
    rates = np.full(len(values), MOST_RATE)
    states = np.zeros((series, judge.width))
    begun = time.process_time()
    judge.judge(states, numbers, times, values, rates)
    return len(values) / (time.process_time() - begun)


def points_per_s(series: int = 500, points: int = 60) -> float:
    """Return the observations a second of CPU that the processor judges, without its host."""
    processor: Any = spec(AnomalyParams(max_series=series)).build(0)
    spent = 0.0
    for batch in batches(series, points, Catalogue()):
        begun = time.process_time()
        processor.process(batch)
        spent += time.process_time() - begun
    return series * points / spent


def measure(
    folder: Path | None, count: int, seed: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return all figures; `nab` is null without a folder, `generated` without a count of series.

    Raises SeriesError.
    """
    judge = WeirJudge()
    found: dict[str, Any] = {"nab": None, "generated": None}
    if folder is not None:
        found["nab"] = nab(judge, read(folder))
        say(f"nab: {found['nab']}")
    if count:
        found["generated"] = nab(judge, corpus(seed, count))
        say(f"generated: {found['generated']}")
    found["anomaly_points_per_s"] = round(points_per_s())
    found["anomaly_detector_points_per_s"] = round(detector_points_per_s(judge))
    return found

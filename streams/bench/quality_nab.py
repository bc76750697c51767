"""The score of the Numenta Anomaly Benchmark, from its definition.

Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly
Benchmark", ICMLA 2015. Each row scored at or above one threshold is a detection. The first 15 %
of a series, 750 rows at most, are probation and count for nothing. In a labelled window only the
best detection counts, more the earlier it is; outside every detection costs, up to the full
weight far from the end of a window; a window without a detection costs. The sum over all series
is scaled so that a detector which says nothing has 0 and a perfect one 100.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PROBATION, PROBATION_ROWS = 0.15, 5_000
FAR = 3.0
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a detected window, a false detection and a missed window weigh."""

    hit: float
    false: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_fp": Profile(1.0, 0.22, 1.0),
    "low_fn": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """A series of anomaly scores, and its windows as (first row, last row), ascending, apart."""

    scores: Floats
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Best:
    """A normalised score, and the threshold that gives it."""

    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that count: score, value at weight 1, and the number of the window, -1 outside."""

    scores: Floats
    values: Floats
    windows: Places


def scaled_sigmoid(position: float) -> float:
    """Return the value of a detection at a position: -1 a window's first row, 0 past its last."""
    return -1.0 if position >= FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def probation(rows: int) -> int:
    """Return how many rows at the beginning of a series count for nothing."""
    return min(math.floor(PROBATION * rows), int(PROBATION * PROBATION_ROWS))


def at_threshold(series: Sequence[Scored], threshold: float, profile: Profile) -> float:
    """Return the normalised score of one threshold for all series; NaN without any window."""
    rows, windows = _rows(series)
    found = rows.scores >= threshold
    best = np.full(windows, -profile.missed)
    inside = found & (rows.windows >= 0)
    np.maximum.at(best, rows.windows[inside], rows.values[inside] * profile.hit)
    false = rows.values[found & (rows.windows < 0)].sum() * profile.false
    return _normalised(float(best.sum() + false), windows, profile)


def swept(series: Sequence[Scored], profile: Profile) -> Best:
    """Return the best normalised score over all thresholds, as published scores are made.

    Equal ones: the highest threshold. The threshold that finds nothing is infinite.
    """
    rows, windows = _rows(series)
    order = np.argsort(-rows.scores, kind="stable")
    best = [-profile.missed] * windows
    total = top = -profile.missed * windows
    threshold = math.inf
    scores = rows.scores[order]
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else scores.astype(bool)
    for place, row in enumerate(order.tolist()):
        window, value = int(rows.windows[row]), float(rows.values[row])
        if window < 0:
            total += value * profile.false
        elif value * profile.hit > best[window]:
            total += value * profile.hit - best[window]
            best[window] = value * profile.hit
        if last[place] and total > top:
            top, threshold = total, float(scores[place])
    return Best(_normalised(top, windows, profile), threshold)


def _normalised(score: float, windows: int, profile: Profile) -> float:
    if not windows:
        return math.nan
    silent = -profile.missed * windows
    return 100.0 * (score - silent) / (profile.hit * windows - silent)


def _rows(series: Sequence[Scored]) -> tuple[_Rows, int]:
    """Return the rows of all series that count, and how many windows have any."""
    parts = [_rows_of(one) for one in series]
    count = 0
    numbers = []
    for part in parts:
        known, places = np.unique(part.windows[part.windows >= 0], return_inverse=True)
        mine = part.windows.copy()
        mine[mine >= 0] = places + count
        numbers.append(mine)
        count += len(known)
    empty = np.empty(0)
    return _Rows(
        np.concatenate([empty, *(part.scores for part in parts)]),
        np.concatenate([empty, *(part.values for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *numbers]),
    ), count


def _rows_of(one: Scored) -> _Rows:
    rows = len(one.scores)
    values, windows = np.full(rows, -1.0), np.full(rows, -1)
    peak = scaled_sigmoid(-1.0)
    for number, (first, last) in enumerate(one.windows):
        width = last - first + 1
        following = one.windows[number + 1][0] if number + 1 < len(one.windows) else rows
        for row in range(first, last + 1):
            values[row] = scaled_sigmoid(-(last - row + 1) / width) / peak
            windows[row] = number
        for row in range(last + 1, following):
            values[row] = scaled_sigmoid((row - last) / (width - 1) if width > 1 else FAR)
    begin = probation(rows)
    return _Rows(one.scores[begin:], values[begin:], windows[begin:])

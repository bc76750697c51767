"""Series like those of clouds, with anomalies whose windows are known: what detectors are tuned on.

A series is one of eight kinds: idle, busy, counts with days and weeks, recurring jobs, traffic
with a heavy tail, steps of scaling, load with days, disk with bursts. Of none to three anomalies
each is one of eight kinds: spike, plateau, outage, shift for good, noise, ramp, stuck, a burst of
spikes. Windows take a tenth of a series in all, each centred on the beginning of its anomaly.
"""

from collections.abc import Callable

import numpy as np

from streams.bench.quality_folder import Labelled
from streams.bench.quality_nab import Floats, probation

STEP_MS = 300_000
ROWS = 4_032
DAY = 288
Dice = np.random.Generator


def corpus(seed: int, count: int, rows: int = ROWS) -> list[Labelled]:
    """Return so many series; the same for the same seed. `rows` is at least 1,000."""
    return [
        _labelled(np.random.default_rng([seed, number]), number, rows) for number in range(count)
    ]


def _labelled(dice: Dice, number: int, rows: int) -> Labelled:
    make, low, high = KINDS[dice.integers(len(KINDS))]
    values = make(dice, rows)
    if dice.random() < 0.3:
        values = values + np.linspace(0.0, dice.normal(0.0, 0.5) * np.std(values), rows)
    begins, width = _begins(dice, rows)
    for begin in begins:
        values = np.clip(_changed(dice, values, begin, low), low, high)
    windows = tuple(
        (max(0, begin - width // 2), min(rows - 1, begin + width // 2)) for begin in begins
    )
    times = np.arange(rows, dtype=np.int64) * STEP_MS
    return Labelled(f"generated {number}", times, np.clip(values, low, high), windows)


def _begins(dice: Dice, rows: int) -> tuple[list[int], int]:
    """Return where anomalies begin, and the width of their windows, which do not meet."""
    count = int(dice.choice([0, 1, 1, 2, 2, 2, 3]))
    width = rows // 10 // max(count, 1)
    begins: list[int] = []
    while len(begins) < count:
        at = int(dice.integers(probation(rows) + 50, rows - 60))
        if all(abs(at - other) > width + 10 for other in begins):
            begins.append(at)
    return sorted(begins), width


def _wandering(dice: Dice, rows: int, stay: float, noise: float) -> Floats:
    """Return an autoregressive series of first order."""
    steps, values, value = dice.normal(0.0, noise, rows), np.empty(rows), 0.0
    for at in range(rows):
        value = stay * value + steps[at]
        values[at] = value
    return values


def _season(dice: Dice, rows: int) -> Floats:
    """Return days with a second peak, and lower weekends."""
    at = np.arange(rows)
    first, second = dice.uniform(0.0, 2.0 * np.pi, 2)
    days = np.sin(2.0 * np.pi * at / DAY + first)
    days += dice.uniform(0.0, 0.5) * np.sin(4.0 * np.pi * at / DAY + second)
    weekends: Floats = days - dice.uniform(0.0, 0.6) * (at // DAY % 7 >= 5)
    return weekends


def _idle(dice: Dice, rows: int) -> Floats:
    noise = dice.uniform(0.002, 0.1) * np.abs(dice.normal(0.0, 1.0, rows))
    values: Floats = np.round(dice.uniform(0.05, 3.0) + noise, int(dice.integers(2, 4)))
    return values


def _busy(dice: Dice, rows: int) -> Floats:
    noise = _wandering(dice, rows, dice.uniform(0.0, 0.95), dice.uniform(0.3, 3.0))
    return dice.uniform(15.0, 70.0) + noise


def _counts(dice: Dice, rows: int) -> Floats:
    mean = np.exp(dice.uniform(1.0, 5.0) + dice.uniform(0.2, 1.0) * _season(dice, rows))
    return dice.poisson(mean * dice.gamma(20.0, 1.0 / 20.0, rows)).astype(float)


def _jobs(dice: Dice, rows: int) -> Floats:
    values = dice.uniform(1.0, 10.0) + np.abs(dice.normal(0.0, dice.uniform(0.1, 1.0), rows))
    height, length = dice.uniform(5.0, 60.0), int(dice.integers(1, 15))
    every, spread = int(dice.integers(20, 400)), dice.choice([0.05, 0.4])
    jitter, at = dice.choice([0.0, 0.05, 0.5]), float(dice.integers(0, every))
    while at < rows:
        values[int(at) : int(at) + length] += height * dice.lognormal(0.0, spread)
        at += max(1.0, every * (1.0 + jitter * dice.normal()))
    return values


def _traffic(dice: Dice, rows: int) -> Floats:
    wandering = _wandering(dice, rows, dice.uniform(0.0, 0.8), dice.uniform(0.1, 0.5))
    values: Floats = np.exp(dice.uniform(8.0, 13.0) + wandering)
    bursts = dice.random(rows) < dice.uniform(0.0, 0.02)
    values[bursts] *= 1.0 + 2.0 * dice.pareto(1.8, int(bursts.sum()))
    return values


def _steps(dice: Dice, rows: int) -> Floats:
    changes = np.where(dice.random(rows) < 0.01, dice.integers(-3, 4, rows), 0)
    values, value = np.empty(rows), int(dice.integers(2, 30))
    for at in range(rows):
        value = max(1, value + int(changes[at]))
        values[at] = value
    values += dice.choice([0.0, 0.1]) * dice.normal(0.0, 1.0, rows)
    return values


def _days(dice: Dice, rows: int) -> Floats:
    days = dice.uniform(20.0, 50.0) + dice.uniform(3.0, 15.0) * _season(dice, rows)
    return days + _wandering(dice, rows, 0.6, dice.uniform(0.5, 2.0))


def _disk(dice: Dice, rows: int) -> Floats:
    busy = dice.random(rows) < dice.uniform(0.02, 0.3)
    values: Floats = np.where(busy, dice.lognormal(dice.uniform(10.0, 15.0), 0.7, rows), 0.0)
    return values


KINDS: tuple[tuple[Callable[[Dice, int], Floats], float, float], ...] = (
    (_idle, 0.0, 100.0),
    (_busy, 0.0, 100.0),
    (_counts, 0.0, np.inf),
    (_jobs, 0.0, 100.0),
    (_traffic, 0.0, np.inf),
    (_steps, 0.0, np.inf),
    (_days, 0.0, 100.0),
    (_disk, 0.0, np.inf),
)
"""How series are made, and within which bounds their values lie."""


def _changed(dice: Dice, values: Floats, begin: int, least: float) -> Floats:
    """Return a series with an anomaly that begins at a row; `least` is the lowest value."""
    changed, noise = values.copy(), float(np.std(values)) + 1e-9
    low, _, high = np.quantile(values, [0.01, 0.5, 0.99])
    span, size = high - low + noise, dice.uniform(0.8, 3.0)
    part = changed[begin : begin + int(dice.integers(5, 120))]
    kind = dice.integers(8)
    if kind == 0:
        part[: dice.integers(1, 6)] = high + size * span
    elif kind == 1:
        part[:] = high + 0.4 * size * span + dice.normal(0.0, 0.1 * noise, len(part))
    elif kind == 2:
        np.minimum(part, dice.choice([least, low - 0.5 * size * span]), out=part)
    elif kind == 3:
        changed[begin:] += dice.choice([-1.0, 1.0, 1.0]) * 0.5 * size * span
    elif kind == 4:
        part += dice.normal(0.0, size * noise, len(part))
    elif kind == 5:
        part += np.linspace(0.0, 2.0 * size * span, len(part))
    elif kind == 6:
        part[:] = part[0]
    else:
        part[:: dice.integers(3, 12)] = high + 0.5 * size * span
    return changed

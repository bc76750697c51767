"""Faults of sensors, told by what the summaries of a tensor were and what they have become.

sensor-nil: nothing comes, or nothing but zeros. sensor-stuck: what varied from input to input is
the same every time. sensor-unit: mean, spread and bounds are all so many times what they were, or
degrees are of another scale. sensor-range: the values lie outside of all that came before, or
saturate: a bound that varied is the same every time. Whatever else has changed is covariate.
"""

import numpy as np

from processors.drifting.samples import Floats

NIL, STUCK, UNIT, RANGE = "sensor-nil", "sensor-stuck", "sensor-unit", "sensor-range"
COVARIATE, CONCEPT = "covariate", "concept"
SUMMARY = ("mean", "std", "low", "high", "missing")
"""Features of a tensor, in the order of their columns."""
_MEAN, _STD, _LOW, _HIGH, _MISSING = range(len(SUMMARY))
_MOSTLY = 0.5
_STILL = 1e-3
_LARGE = 3.0
_ALIKE = 0.15
_SCALES = ((1.8, 32.0), (1.0 / 1.8, -32.0 / 1.8), (1.0, 273.15), (1.0, -273.15))
"""Factor and offset from one scale of temperature to another."""


def cause(reference: Floats, current: Floats) -> str:
    """Return why a tensor has changed; each row has the five numbers of one summary."""
    before, after = _middle(reference), _middle(current)
    if _nil(after) and not _nil(before):
        return NIL
    varied, varies = _spread(reference), _spread(current)
    if _stuck(varied, varies):
        return STUCK
    if _rescaled(before, after):
        return UNIT
    if _outside(reference, after) or _saturated(varied, varies, after):
        return RANGE
    return COVARIATE


def _middle(rows: Floats) -> Floats:
    """Return the medians of what is finite, 0 of none."""
    found = [np.median(column[np.isfinite(column)] if np.isfinite(column).any() else 0.0)
             for column in rows.T]  # fmt: skip
    return np.array(found, np.float64)


def _spread(rows: Floats) -> Floats:
    """Return how much each number varies from input to input, by what lies between the quarters."""
    finite = np.where(np.isfinite(rows), rows, 0.0)
    low, high = np.quantile(finite, (0.25, 0.75), axis=0)
    spread: Floats = high - low
    return spread


def _nil(middle: Floats) -> bool:
    return bool(middle[_MISSING] >= _MOSTLY or not middle[: _HIGH + 1].any())


def _stuck(varied: Floats, varies: Floats) -> bool:
    moved = varied[: _HIGH + 1] > 0.0
    return bool(
        moved.any() and (varies[: _HIGH + 1][moved] <= _STILL * varied[: _HIGH + 1][moved]).all()
    )


def _rescaled(before: Floats, after: Floats) -> bool:
    """Return whether a factor of three or more, or a known scale, explains all four numbers."""
    four = slice(0, _HIGH + 1)
    size = float(np.abs(before[four]).max())
    if before[_STD] <= 0.0 or after[_STD] <= 0.0 or size <= 0.0:
        return False
    factor = float(after[_STD] / before[_STD])
    close = np.abs(after[four] - factor * before[four]) <= _ALIKE * factor * size
    if bool(close.all()) and not 1.0 / _LARGE < factor < _LARGE:
        return True
    return any(_follows(before, after, times, plus) for times, plus in _SCALES)


def _follows(before: Floats, after: Floats, times: float, plus: float) -> bool:
    """Return whether mean and bounds follow a scale: they must be nearer to it than to before."""
    places = [_MEAN, _LOW, _HIGH]
    made = times * before[places] + plus
    near = float(np.abs(after[places] - made).max())
    moved = float(np.abs(made - before[places]).min())
    spread = abs(float(after[_STD] - times * before[_STD]))
    return near < _ALIKE * moved and spread <= _ALIKE * times * float(before[_STD])


def _outside(reference: Floats, after: Floats) -> bool:
    lows, highs = reference[:, _LOW], reference[:, _HIGH]
    lows, highs = lows[np.isfinite(lows)], highs[np.isfinite(highs)]
    if not len(lows) or not len(highs):
        return False
    return bool(after[_LOW] > highs.max() or after[_HIGH] < lows.min())


def _saturated(varied: Floats, varies: Floats, after: Floats) -> bool:
    """Return whether a bound that varied is now always the same, while the mean goes on."""
    if varies[_MEAN] <= 0.0 or after[_HIGH] <= after[_LOW]:
        return False
    return any(varied[at] > 0.0 and varies[at] == 0.0 for at in (_LOW, _HIGH))

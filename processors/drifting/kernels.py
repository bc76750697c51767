"""Compiled: detectors that need a handful of numbers per series, over the values of many series.

Page-Hinkley: Page, "Continuous inspection schemes", Biometrika 41, 1954, with forgetting, on both
sides. DDM: Gama et al., "Learning with drift detection", SBIA 2004; it sees rises of an error rate
alone. HDDM_A, HDDM_W: Frias-Blanco et al., "Online and non-parametric drift detection methods
based on Hoeffding's bounds", IEEE TKDE 27, 2015, on both sides. Each is as River computes it.

A series is one row of numbers, all zero at first and after an alarm.
"""

import math

import numpy as np
import numpy.typing as npt

from schemas.compiling import compiled, helper

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PAGE_HINKLEY, DDM, HDDM_A, HDDM_W = 0, 1, 2, 3
WIDTH = 18
"""Numbers of a row; the first counts the values."""


@helper
def _page_hinkley(row: Floats, value: float, given: Floats) -> bool:
    """Parameters: delta, threshold, forgetting, fewest values."""
    if row[0] == 0.0:
        row[4], row[5] = math.inf, -1.0
    row[0] += 1.0
    row[1] += (value - row[1]) / row[0]
    off = value - row[1]
    row[2] = given[2] * row[2] + off - given[0]
    row[3] = given[2] * row[3] + off + given[0]
    row[4] = min(row[4], row[2])
    row[5] = max(row[5], row[3])
    if row[0] < given[3]:
        return False
    found: bool = row[2] - row[4] > given[1] or row[5] - row[3] > given[1]
    return found


@helper
def _ddm(row: Floats, value: float, given: Floats) -> bool:
    """Parameters: standard errors, fewest values."""
    if row[0] == 0.0:
        row[3] = math.inf
    row[0] += 1.0
    row[1] += (value - row[1]) / row[0]
    error = math.sqrt(max(0.0, row[1] * (1.0 - row[1])) / row[0])
    if row[0] <= given[1]:
        return False
    if row[1] + error <= row[3]:
        row[2], row[3], row[4] = row[1], row[1] + error, error
    found: bool = row[1] + error > row[2] + given[0] * row[4]
    return found


@helper
def _hddm_a(row: Floats, value: float, given: Floats) -> bool:
    """Parameters: significance."""
    row[0] += 1.0
    row[1] += (value - row[1]) / row[0]
    for at in (2, 4):
        if row[at] == 0.0:
            row[at], row[at + 1] = row[0], row[1]
    bound = math.log(1.0 / given[0]) / 2.0
    all_ = math.sqrt(bound / row[0])
    if row[3] + math.sqrt(bound / row[2]) >= row[1] + all_:
        row[2], row[3] = row[0], row[1]
    if row[5] - math.sqrt(bound / row[4]) <= row[1] - all_:
        row[4], row[5] = row[0], row[1]
    found = False
    for at, sign in ((2, 1.0), (4, -1.0)):
        if row[at] < row[0]:
            share = (row[0] - row[at]) / row[at] / row[0]
            limit = math.sqrt(share / 2.0 * math.log(2.0 / given[0]))
            found = found or sign * (row[1] - row[at + 1]) >= limit
    return found


@helper
def _weighted(row: Floats, at: int, value: float, weight: float) -> None:
    """Add a value to a weighted mean: its mean, its bound (0: as many as none), whether any."""
    if row[at + 2] == 0.0:
        row[at], row[at + 1], row[at + 2] = value, 1.0, 1.0
    else:
        row[at] = weight * value + (1.0 - weight) * row[at]
    row[at + 1] = weight * weight + (1.0 - weight) ** 2 * row[at + 1]


@helper
def _apart(row: Floats, low: int, high: int, bound: float) -> bool:
    if row[low + 2] == 0.0 or row[high + 2] == 0.0:
        return False
    found: bool = row[high] - row[low] > math.sqrt((row[low + 1] + row[high + 1]) * bound)
    return found


@helper
def _hddm_w(row: Floats, value: float, given: Floats) -> bool:
    """Parameters: significance, weight. Means: all, then before and after a rise, a fall."""
    if row[0] == 0.0:
        row[16], row[17] = math.inf, -math.inf
    row[0] += 1.0
    bound = math.log(1.0 / given[0]) / 2.0
    _weighted(row, 1, value, given[1])
    off = math.sqrt(row[2] * bound)
    if row[1] + off < row[16]:
        row[16] = row[1] + off
        row[4:7] = row[1:4]
        row[7:10] = 0.0
    else:
        _weighted(row, 7, value, given[1])
    if row[1] - off > row[17]:
        row[17] = row[1] - off
        row[10:13] = row[1:4]
        row[13:16] = 0.0
    else:
        _weighted(row, 13, value, given[1])
    return _apart(row, 4, 7, bound) or _apart(row, 13, 10, bound)


@compiled("void(int64, float64[:,::1], int64[::1], float64[::1], float64[::1], boolean[::1])")
def advance(
    kind: int, states: Floats, rows: Ints, values: Floats, given: Floats, alarms: Flags
) -> None:
    """Give each value to its row of `states`, in their order; say where there was an alarm.

    `given` are the parameters of the kind, as its function names them.
    """
    for at in range(len(values)):
        row = states[rows[at]]
        if kind == PAGE_HINKLEY:
            alarm = _page_hinkley(row, values[at], given)
        elif kind == DDM:
            alarm = _ddm(row, values[at], given)
        elif kind == HDDM_A:
            alarm = _hddm_a(row, values[at], given)
        else:
            alarm = _hddm_w(row, values[at], given)
        if alarm:
            row[:] = 0.0
        alarms[at] = alarm

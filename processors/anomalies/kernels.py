"""Compiled: how strange values are, and how often their past was as strange; for many series.

A series is one row of numbers, so that it can be packed as it is. The row begins with what
calibrates its strangeness (`CALIBRATION` numbers), then comes what its detector remembers.

Tails. How often a statistic was at least so large is told by the largest maxima of its blocks:
within them by rank, beyond them by an exponential tail of their mean excess (Pickands 1975), made
heavier by how little so few tell of it, and never below what so short a past can tell. Maxima of
blocks, because neighbours are alike (Leadbetter 1983). A table holds the last one to two spans.

Weir's detector asks for seven statistics, each on both sides, how rarely the past had them: the
value; its distance from where it was 4 and 64 values ago; from there where it has been for 8 and
32, against 128 and 512; how rough it is, 16 against 256; and its distance from this hour of earlier
days. The rarest answer is the strangeness of the value. What is flagged is not learned and leaves
no trace, until that happens more often than stated: then the past is no measure any more.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.compiling import compiled, helper

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Whole = Any
"""A number; mypy tells int from np.int64, numba does not."""

KEPT = 12
"""Largest maxima that a table keeps."""
SPAN = 4_096
_BEFORE, _NOW, _PEAK, _FILL, _LARGEST = 0, 1, 2, 3, 4
"""A table: blocks since the last span but one and since the last, the open block's maximum and
length, then the largest maxima since the one and since the other, descending."""
TABLE = _LARGEST + 2 * KEPT

SEEN, SHARE, MEMORY, USUAL = 0, 1, 2, 3
"""Values so far, the share of them flagged of late, how strange it was of late, the recent mean."""
_OWN = 4
CALIBRATION = _OWN + TABLE
BLOCK = 32
WARM = 200
HORIZON = 2_000.0
FADES = 1.0 / 100.0

_E4, _E8, _E32, _D16, _LAST, _E128, _E512, _D256 = range(CALIBRATION, CALIBRATION + 8)
_RECENT = slice(_E4, _LAST + 1)
_STEP, _HOUR, _SUM, _COUNT = range(CALIBRATION + 8, CALIBRATION + 12)
_DAY = CALIBRATION + 12
_TABLES = _DAY + 24
STATISTICS = 7
_SEASON = 6
_BLOCKS = np.array([4, 2, 4, 16, 64, 16, 4])
WIDTH = _TABLES + 2 * STATISTICS * TABLE
"""Numbers that Weir's detector keeps of a series, all zero at first."""
HOUR_MS = 3_600_000


@helper
def _rarity(row: Floats, table: Whole, value: float) -> float:
    """Return the share of blocks whose maximum was at least the value, as the past tells it."""
    blocks = row[table + _BEFORE]
    if blocks < 4:
        return 1.0
    kept = KEPT if blocks > KEPT else int(blocks)
    first = table + _LARGEST
    low = row[first + kept - 1]
    if value <= low:
        return 1.0
    above, excess = 0, 0.0
    for at in range(first, first + kept):
        excess += row[at] - low
        above += 1 if row[at] >= value else 0
    scale = excess + 1e-9 * (abs(low) + 1e-12)
    share = (kept + 1.0) / (blocks + 1.0) * (1.0 + (value - low) / scale) ** (-kept)
    least = 0.5 * (above + 1.0) / (blocks + 1.0) if above else 1.0 / (blocks + 1.0) ** 2
    rarity: float = min(1.0, max(share, least))
    return rarity


@helper
def _keep(row: Floats, first: Whole, blocks: float, value: float) -> None:
    """Put a maximum among the largest, which begin at `first`, of so many blocks before."""
    at = int(min(blocks, KEPT - 1.0))
    if blocks >= KEPT and value <= row[first + at]:
        return
    while at > 0 and row[first + at - 1] < value:
        row[first + at] = row[first + at - 1]
        at -= 1
    row[first + at] = value


@helper
def _note(row: Floats, table: Whole, value: float, block: Whole) -> None:
    """Let a table learn one value; `block` values make a block."""
    if row[table + _FILL] == 0.0 or value > row[table + _PEAK]:
        row[table + _PEAK] = value
    row[table + _FILL] += 1.0
    if row[table + _FILL] < block:
        return
    peak, first = row[table + _PEAK], table + _LARGEST
    row[table + _FILL] = 0.0
    _keep(row, first, row[table + _BEFORE], peak)
    _keep(row, first + KEPT, row[table + _NOW], peak)
    row[table + _BEFORE] += 1.0
    row[table + _NOW] += 1.0
    if row[table + _NOW] * block >= SPAN:
        row[table + _BEFORE] = row[table + _NOW]
        row[table + _NOW] = 0.0
        for at in range(first, first + KEPT):
            row[at] = row[at + KEPT]


@helper
def _judged(row: Floats, strangeness: float, rate: float) -> tuple[float, bool]:
    """Return -log10 of how often, per value, the past was as strange; and whether to learn it."""
    score = -math.log10(_rarity(row, _OWN, strangeness) / BLOCK)
    if row[SEEN] < WARM or score <= math.log10(BLOCK):
        score = 0.0
    flagged = score >= -math.log10(rate)
    row[SHARE] += ((1.0 if flagged else 0.0) - row[SHARE]) / HORIZON
    return score, not flagged or row[SHARE] > rate


@helper
def _toward(row: Floats, place: Whole, value: float, length: float) -> None:
    """Move a mean toward a value: the plain mean first, one that fades later."""
    row[place] += max(1.0 / length, 1.0 / (row[SEEN] + 1.0)) * (value - row[place])


@helper
def _settled(row: Floats, value: float, strangeness: float, score: float, learns: bool) -> bool:
    """Count a value that was judged; return whether it is stranger than what was just before."""
    if learns:
        _toward(row, USUAL, value, 64.0)
        if row[SEEN] >= WARM / 2:
            _note(row, _OWN, strangeness, BLOCK)
    fresh: bool = score > row[MEMORY]
    row[MEMORY] = max(score, row[MEMORY] - FADES)
    row[SEEN] += 1.0
    return fresh


@compiled("Tuple((float64, boolean))(float64[::1], float64, float64)")
def judged(row: Floats, strangeness: float, rate: float) -> tuple[float, bool]:
    """Judge a value by its strangeness against the past of its series.

    Returns its score, -log10 of how often, per value, the past was as strange, 0 where it was
    often; and whether the value should be learned: not when the score is flagged at `rate`, unless
    more was flagged of late than that.
    """
    return _judged(row, strangeness, rate)


@compiled("boolean(float64[::1], float64, float64, float64, boolean)")
def settled(row: Floats, value: float, strangeness: float, score: float, learns: bool) -> bool:
    """Count a value that was judged, after its detector has learned it.

    Returns whether it is stranger than anything shortly before.
    """
    return _settled(row, value, strangeness, score, learns)


@helper
def _season(row: Floats, time: Whole) -> Whole:
    """Return where this hour's mean of earlier days stands; fold the last hour in when it ends."""
    hour = time // HOUR_MS
    if hour != row[_HOUR] and row[_COUNT] > 0.0:
        place = _DAY + int(row[_HOUR] % 24)
        mean = row[_SUM] / row[_COUNT]
        row[place] = mean if math.isnan(row[place]) else row[place] + 0.3 * (mean - row[place])
        row[_SUM] = row[_COUNT] = 0.0
    row[_HOUR] = float(hour)
    return _DAY + int(hour % 24)


@helper
def _begin(row: Floats, time: Whole, value: float) -> None:
    for place in (_E4, _E8, _E32, _E128, _E512, _LAST, USUAL):
        row[place] = value
    for place in range(_DAY, _DAY + 24):
        row[place] = math.nan
    row[_HOUR] = float(time // HOUR_MS)


@helper
def _described(row: Floats, time: Whole, value: float, found: Floats) -> Whole:
    """Fill in the statistics of a value; return how many there are, the season's the last."""
    step = abs(value - row[_LAST])
    row[_LAST], row[_STEP] = value, step
    found[0], found[1], found[2] = value, value - row[_E4], value - row[USUAL]
    _toward(row, _E8, value, 8.0)
    _toward(row, _E32, value, 32.0)
    _toward(row, _D16, step, 16.0)
    found[3], found[4] = row[_E8] - row[_E128], row[_E32] - row[_E512]
    rough = row[_D256]
    found[5] = math.log((row[_D16] + 1e-12) / (rough + 1e-12)) if rough > 0.0 else 0.0
    usual = row[_season(row, time)]
    found[_SEASON] = value - usual
    return STATISTICS - 1 if math.isnan(usual) else STATISTICS


@helper
def _strangest(row: Floats, found: Floats, count: Whole) -> float:
    """Return -log10 of the rarest side of any statistic."""
    rarest = 1.0
    for number in range(count):
        table = _TABLES + 2 * number * TABLE
        rarest = min(rarest, _rarity(row, table, found[number]))
        rarest = min(rarest, _rarity(row, table + TABLE, -found[number]))
    return -math.log10(rarest)


@helper
def _learned(row: Floats, value: float, found: Floats, count: Whole) -> None:
    for number in range(count):
        table = _TABLES + 2 * number * TABLE
        _note(row, table, found[number], _BLOCKS[number])
        _note(row, table + TABLE, -found[number], _BLOCKS[number])
    _toward(row, _E4, value, 4.0)
    _toward(row, _E128, value, 128.0)
    _toward(row, _E512, value, 512.0)
    row[_SUM] += value
    row[_COUNT] += 1.0
    _toward(row, _D256, row[_STEP], 256.0)


@compiled(
    "void(float64[:,::1],int64[::1],int64[::1],float64[::1],float64[::1],float64[::1],b1[::1],float64[::1])"
)
def advance(
    states: Floats,
    numbers: Ints,
    times: Ints,
    values: Floats,
    rates: Floats,
    scores: Floats,
    fresh: npt.NDArray[np.bool_],
    usual: Floats,
) -> None:
    """Judge and learn values of many series by Weir's detector, one after the other.

    `states` has a row of `WIDTH` numbers per series, changed in place; `numbers` says which row a
    value belongs to, `rates` at which rate it is flagged. Writes for each what `judged` and
    `settled` return, and the mean of the last some 64 values learned before. Values that are no
    finite numbers are passed over, with score 0.
    """
    found, recent = np.empty(STATISTICS), np.empty(_LAST + 1 - _E4)
    for at in range(len(values)):
        row, value = states[numbers[at]], values[at]
        scores[at], fresh[at], usual[at] = 0.0, False, row[USUAL]
        if not math.isfinite(value):
            continue
        if row[SEEN] == 0.0:
            _begin(row, times[at], value)
            usual[at] = value
        recent[:] = row[_RECENT]
        count = _described(row, times[at], value, found)
        strangeness = _strangest(row, found, count)
        score, learns = _judged(row, strangeness, rates[at])
        if learns:
            _learned(row, value, found, count)
        else:
            row[_RECENT] = recent
        scores[at], fresh[at] = score, _settled(row, value, strangeness, score, learns)

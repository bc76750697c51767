"""Compiled: rows of windows against all rules that select their series, in the order of the log.

A pair is a rule on a series: one row of whole numbers (`RULE` to `END`), its last value, and, where
its kind looks back, numbers of a memory shared by all. A row of an entry table names the pairs of a
series, each times four plus the part that the series plays in it, and ends with -1.

Memories. Rate: how many points were kept, then points (time, value) at least a 32nd of the span
apart, of which the newest that is as old as the span is compared; the change is scaled to the span.
Ratio of two metrics: the end of the last window judged, how many windows of either side were seen,
then the last eight of each (end, value). Burn: when it began, then for each pair of windows the
newest bucket and 64 buckets (bad, all), each a 60th of the long window.

The share of bad events of a window is exact where minimum and maximum tell, and where all values
are 0 or 1 (their variance tells); else it is read off the straight lines between the minimum, the
quantiles and the maximum. A window that has not been observed for its whole length yet counts what
is missing as good, so that one bad event at the start alarms nobody.
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

SERIES, START, STOP, ANEW = range(4)
"""A row: number of its series, begin and end of the window, whether the series begins anew."""
GAP, BACK = 1, 2
"""A series begins anew after a gap: windows in a row; after the clock was set back: everything."""
RULE, RUN, RAISED, SEVERITY, RAISED_AT, BEGAN, MEMORY, HEARD, END = range(9)
PAIR = 9
"""A pair; `HEARD` is the host's clock when its series was heard last, `END` the last window's."""
KIND, STATISTIC, OVER, OPERATOR, FOR, CLEAR, RANK, AFTER, SPAN, BURNS = range(10)
BURN_RANKS = 10
RULE_WHOLE = 14
"""A rule's whole numbers; the last four are the severities of its burns."""
LIMIT, CLEARS, CRITICAL, BUDGET = range(4)
PAIRS_OF_BURN = 4
RULE_REAL = 16
"""A rule's numbers; the last twelve are long, short and factor of its burns."""
IS_THRESHOLD, IS_RATE, IS_RATIO, IS_ACROSS, IS_BURN, IS_ABSENCE, IS_GIVEN = range(7)
OWN, UPPER, LOWER = range(3)
"""Parts that a series plays: the one judged, or that above or below the line of a ratio."""
ROW, WHO, WHAT, COUNT, HOW_BAD, SINCE = range(6)
TURNED, WORSE = 1, 2
NEXT, TOLD, GIVEN = range(3)
"""How far a call came: the next row, how many were told, how many given values were used."""

POINTS, STEPS = 40, 32
RATE_WIDTH = 1 + 2 * POINTS
SIDE = 8
ACROSS_WIDTH = 3 + 4 * SIDE
BUCKETS, PARTS = 64, 60
BURN_WIDTH = 1 + 2 * BUCKETS
_MEAN, _MIN, _MAX, _P50, _P90, _P95, _P99, _COUNT, _STD = range(9)


@helper
def _holds(value: Whole, operator: Whole, limit: Whole) -> Whole:
    if operator == 0:
        return value < limit
    if operator == 1:
        return value <= limit
    return value > limit if operator == 2 else value >= limit


@helper
def _below(row: Floats, limit: float, inclusive: Whole) -> Whole:
    """Return the share of a window's values below a limit, or at most it."""
    low, high, mean = row[_MIN], row[_MAX], row[_MEAN]
    if low > limit or (low == limit and not inclusive):
        return 0.0
    if high < limit or (high == limit and inclusive):
        return 1.0
    spread = mean * (1.0 - mean)
    if low == 0.0 and high == 1.0 and abs(row[_STD] ** 2 - spread) <= 1e-9:
        return 1.0 - mean
    places = (low, row[_P50], row[_P90], row[_P95], row[_P99], high)
    shares = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
    share = 0.0
    for at in range(5):
        a, b = places[at], places[at + 1]
        if limit > b or (limit == b and inclusive):
            share = shares[at + 1]
        elif limit > a:
            share = shares[at] + (shares[at + 1] - shares[at]) * (limit - a) / (b - a)
            break
        else:
            break
    return share


@helper
def _rate(memory: Floats, at: Whole, value: float, start: Whole, end: Whole, span: Whole) -> float:
    if math.isnan(value):
        return math.nan
    count = int(memory[at])
    found = math.nan
    farthest = 2 * max(span, end - start)
    for back in range(min(count, POINTS)):
        place = at + 1 + 2 * ((count - 1 - back) % POINTS)
        distance = end - memory[place]
        if distance >= span:
            if distance <= farthest:
                found = (value - memory[place + 1]) * span / distance
            break
    last = at + 1 + 2 * ((count - 1) % POINTS)
    if count == 0 or (end - memory[last]) * STEPS >= span:
        place = at + 1 + 2 * (count % POINTS)
        memory[place], memory[place + 1], memory[at] = end, value, count + 1
    return found


@helper
def _across(memory: Floats, at: Whole, part: Whole, value: float, end: Whole) -> float:
    """Return a ratio once both sides of a window are known."""
    mine, other = (1, 2) if part == UPPER else (2, 1)
    count = int(memory[at + mine])
    place = at + 3 + 2 * SIDE * (mine - 1) + 2 * (count % SIDE)
    memory[place], memory[place + 1], memory[at + mine] = end, value, count + 1
    if end <= memory[at]:
        return math.nan
    for number in range(min(int(memory[at + other]), SIDE)):
        place = at + 3 + 2 * SIDE * (other - 1) + 2 * number
        if memory[place] == end:
            memory[at] = end
            over = memory[place + 1] if part == UPPER else value
            upper = value if part == UPPER else memory[place + 1]
            return upper / over if over != 0.0 else math.nan
    return math.nan


@helper
def _spent(memory: Floats, first: Whole, recent: Whole) -> tuple[Whole, Whole]:
    """Return the shares of bad events in the long and in the short window; NaN for no event."""
    newest = int(memory[first])
    bad, count, share = 0.0, 0.0, math.nan
    for back in range(PARTS):
        place = first + 1 + 2 * ((newest - back) % BUCKETS)
        bad += memory[place]
        count += memory[place + 1]
        if back == recent - 1 and count > 0.0:
            share = bad / count
    return bad / count if count > 0.0 else math.nan, share


@helper
def _take(memory: Floats, first: Whole, bucket: Whole, bad: float, count: float) -> None:
    """Count events in their bucket; those between the newest and it are emptied."""
    newest = int(memory[first])
    if bucket > newest:
        for passed in range(max(newest + 1, bucket - BUCKETS + 1), bucket + 1):
            memory[first + 1 + 2 * (passed % BUCKETS)] = 0.0
            memory[first + 2 + 2 * (passed % BUCKETS)] = 0.0
        memory[first] = bucket
    memory[first + 1 + 2 * (bucket % BUCKETS)] += bad * count
    memory[first + 2 + 2 * (bucket % BUCKETS)] += count


@helper
def _burn(
    memory: Floats, at: Whole, rule: Floats, ranks: Ints, bad: float, count: float, row: Ints
) -> tuple[Whole, Whole]:
    """Take in a window; return the worst severity that a pair of windows asks for, and a rate."""
    end = float(row[STOP])
    if memory[at] == 0.0:
        memory[at] = row[START]
    known = end - memory[at]
    worst, rate = -1, math.nan
    for pair in range(4):
        place = PAIRS_OF_BURN + 3 * pair
        length, short, factor = rule[place], rule[place + 1], rule[place + 2]
        if length == 0.0:
            break
        first, step = at + 1 + BURN_WIDTH * pair, length / PARTS
        _take(memory, first, math.ceil(end / step) - 1, bad, count)
        slow, fast = _spent(memory, first, max(1, math.ceil(short / step)))
        slow *= min(1.0, known / length) / rule[BUDGET]
        fast *= min(1.0, known / short) / rule[BUDGET]
        if slow > factor and fast > factor and ranks[BURN_RANKS + pair] > worst:
            worst, rate = ranks[BURN_RANKS + pair], slow
        elif math.isnan(rate):
            rate = slow
    return worst, rate


@compiled("void(int64[:,::1],int64[::1],int64[::1],int64[::1],int64,int64)")
def follow(rows: Ints, last: Ints, older: Ints, kept: Ints, back: int, stale: int) -> None:
    """Mark in `kept` the rows that are judged: those newer than the last of their series.

    `back` older ones in a row mean that the clock was set back. A row of a series that begins anew
    is marked in `ANEW`.
    """
    for at in range(rows.shape[0]):
        series, end = rows[at, SERIES], rows[at, STOP]
        rows[at, ANEW] = 0
        if last[series] == 0 or end > last[series]:
            if last[series] != 0 and rows[at, START] - last[series] > stale:
                rows[at, ANEW] = GAP
        else:
            older[series] += 1
            if older[series] < back:
                kept[at] = 0
                continue
            rows[at, ANEW] = BACK
        older[series], last[series], kept[at] = 0, end, 1


@helper
def _value(
    row: Ints,
    numbers: Floats,
    rule: Ints,
    limits: Floats,
    memory: Floats,
    place: Whole,
    part: Whole,
) -> tuple[float, Whole]:
    """Return the value that a rule compares, and the severity that it asks for; -1 for none."""
    kind, value, worst = rule[KIND], math.nan, rule[RANK]
    statistic, over = numbers[rule[STATISTIC]], numbers[rule[OVER]]
    if kind == IS_THRESHOLD:
        value = statistic
    elif kind == IS_RATE:
        value = _rate(memory, place, statistic, row[START], row[STOP], rule[SPAN])
    elif kind == IS_RATIO and over != 0.0:
        value = statistic / over
    elif kind == IS_ACROSS:
        value = _across(memory, place, part, statistic if part == UPPER else over, row[STOP])
    elif kind == IS_BURN and not math.isnan(numbers[_MEAN]):
        share = _below(numbers, limits[LIMIT], rule[OPERATOR] in (1, 2))
        bad = share if rule[OPERATOR] < 2 else 1.0 - share
        worst, value = _burn(memory, place, limits, rule, bad, numbers[_COUNT], row)
    return value, worst


@helper
def _turn(
    row: Ints, pair: Ints, rule: Ints, limits: Floats, value: float, worst: Whole
) -> tuple[Whole, Whole]:
    """Let a pair take note of a value; return what it tells, 0 for nothing, and of how many."""
    operator, raised = rule[OPERATOR], pair[RAISED] != 0
    bad = worst >= 0
    if rule[KIND] != IS_BURN:
        bad = _holds(value, operator, limits[CLEARS] if raised else limits[LIMIT])
        if not math.isnan(limits[CRITICAL]) and _holds(value, operator, limits[CRITICAL]):
            worst = 2
    if bad == raised:
        pair[RUN] = 0
    else:
        if pair[RUN] == 0 and not raised:
            pair[BEGAN] = row[START]
        pair[RUN] += 1
    run, what = pair[RUN], 0
    if run >= (rule[CLEAR] if raised else rule[FOR]):
        what, pair[RUN], pair[RAISED] = TURNED, 0, 1 - pair[RAISED]
        if not raised:
            pair[RAISED_AT], pair[SEVERITY] = row[STOP], worst
    elif raised:
        if rule[AFTER] > 0 and row[STOP] - pair[RAISED_AT] >= rule[AFTER]:
            worst = 2
        if worst > pair[SEVERITY]:
            what, run, pair[SEVERITY] = WORSE, 1, worst
    return what, run


@helper
def _heard(row: Ints, pair: Ints, now_ms: Whole) -> tuple[Whole, float]:
    """Let an absence take note of a window; return what it tells, 0 for nothing, and how long."""
    away = float(now_ms - pair[HEARD])
    what = TURNED if pair[RAISED] else 0
    pair[HEARD], pair[END], pair[RUN], pair[RAISED] = now_ms, row[STOP], 1, 0
    return what, away


@helper
def _begin_anew(how: Whole, pair: Ints, kind: Whole, memory: Floats, width: Whole) -> None:
    """Count windows in a row anew; forget everything where the clock was set back."""
    if how:
        pair[RUN] = 0
    if how == BACK and kind != IS_GIVEN:
        memory[pair[MEMORY] : pair[MEMORY] + width] = 0.0


@compiled(
    "void(int64[:,::1],float64[:,::1],float64[::1],int32[:,::1],int64[:,::1],float64[:,::1],"
    "int64[:,::1],float64[::1],float64[::1],int64[::1],int64[:,::1],float64[::1],int64[::1],int64)"
)
def judge(  # noqa: PLR0913, PLR0917 - compiled code takes arrays, one by one
    rows: Ints,
    numbers: Floats,
    given: Floats,
    entries: npt.NDArray[np.int32],
    rules: Ints,
    limits: Floats,
    pairs: Ints,
    values: Floats,
    memory: Floats,
    widths: Ints,
    told: Ints,
    told_values: Floats,
    progress: Ints,
    now_ms: int,
) -> None:
    """Judge rows from `progress[NEXT]` on until all are judged or `told` might not hold more.

    `numbers` are the statistics of the windows, `given` the values of rules whose kind is of
    others, in the order in which they are needed. What turns or grows worse is told by row, pair,
    what it is, the windows in a row before, how bad it is, and since when.
    """
    said, at = 0, progress[NEXT]
    while at < rows.shape[0] and said <= told.shape[0] - entries.shape[1]:
        for entry in entries[rows[at, SERIES]]:
            if entry < 0:
                break
            number = entry >> 2
            pair, rule = pairs[number], pairs[number, RULE]
            _begin_anew(rows[at, ANEW], pair, rules[rule, KIND], memory, widths[rule])
            kind, what, run, worst = rules[rule, KIND], 0, 1, rules[rule, RANK]
            if kind == IS_ABSENCE:
                what, value = _heard(rows[at], pair, now_ms)
            elif kind == IS_GIVEN:
                value = given[progress[GIVEN]]
                progress[GIVEN] += 1
            else:
                place, part = pair[MEMORY], entry & 3
                value, worst = _value(
                    rows[at], numbers[at], rules[rule], limits[rule], memory, place, part
                )
            if kind != IS_ABSENCE and math.isfinite(value):
                pair[END] = rows[at, STOP]
                what, run = _turn(rows[at], pair, rules[rule], limits[rule], value, worst)
            if math.isfinite(value):
                values[number] = value
            if what:
                told[said, ROW], told[said, WHO], told[said, WHAT] = at, number, what
                told[said, COUNT], told[said, HOW_BAD] = run, pair[SEVERITY]
                told[said, SINCE], told_values[said] = pair[BEGAN], value
                said += 1
        at += 1
    progress[NEXT], progress[TOLD] = at, said

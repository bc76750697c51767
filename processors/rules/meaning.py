"""What a rule means: its kind, the series it selects, and why one cannot be applied.

Kinds: `threshold` compares a statistic of each window; `rate` its change over `span_ms`; `ratio`
the quotient of two statistics, of one metric or of two; `absence` waits for windows that do not
come; `burn` asks how fast the error budget of an objective is spent (see `BURNS`). A kind of others
gives a number for each window, which is compared like a statistic.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping

from schemas.quality import BurnWindow, RuleDefined

THRESHOLD, RATE, ABSENCE, RATIO, BURN = "threshold", "rate", "absence", "ratio", "burn"
KINDS = (THRESHOLD, RATE, ABSENCE, RATIO, BURN)
STATISTICS = ("mean", "min", "max", "p50", "p90", "p95", "p99", "count", "std", "rate")
"""In the order in which compiled code has them."""
OPERATORS = ("<", "<=", ">", ">=")
SEVERITIES = ("info", "warning", "critical")
MAX_WINDOWS = 100
MAX_BURNS = 4
LEAST_ABSENCE_MS = 1_000
PERIOD_MS = 30 * 86_400_000
LEAST_PERIOD_MS = 3_600_000
_USUAL = ((720, 8_640, 14.4, "critical"), (120, 1_440, 6.0, "critical"), (10, 120, 1.0, "warning"))
"""Pairs of windows as parts of the period, with factors: The Site Reliability Workbook (2018),
chapter 5: of 30 days 1 h and 5 min, 6 h and 30 min, 3 days and 6 h."""

Key = tuple[str, ...]
"""App, stage, service, instance, node, metric and window definition of a series."""
METRIC = 5
_COMPARED = ("statistic", "operator", "clear_threshold", "critical_threshold")
_OWN = {
    THRESHOLD: (*_COMPARED, "threshold"),
    RATE: (*_COMPARED, "threshold", "span_ms"),
    RATIO: (*_COMPARED, "threshold", "over_metric", "over_statistic"),
    ABSENCE: ("span_ms", "critical_threshold"),
    BURN: ("operator", "threshold", "span_ms", "objective", "burns"),
}
_OF_OTHERS = (*_COMPARED, "threshold", "span_ms")
_BLANK = {
    "statistic": "",
    "operator": "",
    "threshold": 0.0,
    "clear_threshold": None,
    "critical_threshold": None,
    "span_ms": 0,
    "over_metric": "",
    "over_statistic": "",
    "objective": 0.0,
    "burns": (),
}


def kind_of(rule: RuleDefined) -> str:
    """Return the kind of a rule."""
    return rule.kind or THRESHOLD


def selects(rule: RuleDefined, key: Key) -> bool:
    """Return whether a series is one that a rule judges, whatever its metric."""
    app, stage, service, instance, node, _, window = key
    return (
        rule.app in ("", app)
        and rule.stage in ("", stage)
        and rule.service in ("", service)
        and rule.instance in ("", instance)
        and rule.node in ("", node)
        and rule.window in ("", window)
    )


def metrics_of(rule: RuleDefined) -> tuple[str, ...]:
    """Return the metrics that a rule looks at, the one that it judges first."""
    across = kind_of(rule) == RATIO and rule.over_metric not in ("", rule.metric)
    return (rule.metric, rule.over_metric) if across else (rule.metric,)


def burns_of(rule: RuleDefined) -> tuple[BurnWindow, ...]:
    """Return the pairs of windows of a burn rule: its own, or the usual ones that can be reached.

    The usual ones are as long a part of the objective's period as they are of 30 days.
    """
    period = rule.span_ms or PERIOD_MS
    return rule.burns or tuple(
        BurnWindow(
            long_ms=period // long, short_ms=period // short, factor=factor, severity=severity
        )
        for long, short, factor, severity in _USUAL
        if factor < _fastest(rule)
    )


def words(rule: RuleDefined) -> str:
    """Return what a rule asks, as a finding tells it."""
    kind, of = kind_of(rule), f"{rule.statistic} of {rule.metric}"
    against = f" {rule.operator} {rule.threshold:g}"
    if kind == RATE:
        return f"change of {of} in {rule.span_ms / 1000:g} s{against}"
    if kind == RATIO:
        return f"{of} / {rule.over_statistic} of {rule.over_metric or rule.metric}{against}"
    if kind == ABSENCE:
        return f"{rule.metric} absent for {rule.span_ms / 1000:g} s"
    if kind == BURN:
        return f"burn of {rule.objective:.6g}, bad is {rule.metric}{against}"
    return f"{of}{against}" if kind == THRESHOLD else f"{kind} of {of}{against}"


def objections(rules: Mapping[str, RuleDefined], kinds: Collection[str] = ()) -> dict[str, str]:
    """Return why rules cannot be applied, by name; `kinds` are those of others."""
    found = {name: against(rules, name, kinds) for name in sorted(rules)}
    return {name: reason for name, reason in found.items() if reason}


def against(rules: Mapping[str, RuleDefined], name: str, kinds: Collection[str] = ()) -> str:
    """Return why one of some rules cannot be applied; empty when it can."""
    reason = objection(rules[name], kinds)
    if not reason and (circle := _way_back(rules, name)):
        reason = f"depends_on runs in a circle: {' → '.join(circle)}; leave one of them out"
    return reason


def objection(rule: RuleDefined, kinds: Collection[str] = ()) -> str:
    """Return what is wrong with a rule by itself, where, and how to mend it; empty for nothing."""
    kind = kind_of(rule)
    if kind not in (*KINDS, *kinds):
        return f"kind {kind!r} is unknown; known: {', '.join((*KINDS, *sorted(kinds)))}"
    if not rule.metric:
        return "metric is empty; say which metric it watches"
    checks: list[Callable[[RuleDefined], Iterator[str]]] = [_foreign, _spell]
    if kind == BURN:
        checks.append(_burn)
    elif kind == ABSENCE:
        checks.append(_absence)
    else:
        checks.append(_compared)
    return next((reason for check in checks for reason in check(rule)), "")


def ranks(rules: Mapping[str, RuleDefined]) -> list[str]:
    """Return the names of rules without circles so that each comes after those it depends on."""
    ordered: dict[str, None] = {}

    def take(name: str) -> None:
        if name in rules and name not in ordered:
            for parent in rules[name].depends_on:
                take(parent)
            ordered[name] = None

    for name in sorted(rules):
        take(name)
    return list(ordered)


def _way_back(rules: Mapping[str, RuleDefined], start: str) -> tuple[str, ...]:
    """Return a way along the dependencies from a rule to itself; empty when there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for parent in rules[way[-1]].depends_on if way[-1] in rules else ():
            if parent == start:
                return (*way, start)
            if parent not in seen:
                seen.add(parent)
                ways.append((*way, parent))
    return ()


def _foreign(rule: RuleDefined) -> Iterator[str]:
    kind = kind_of(rule)
    own = _OWN.get(kind, _OF_OTHERS)
    for field, blank in _BLANK.items():
        if field not in own and getattr(rule, field) != blank:
            yield f"{field} says nothing to a rule of kind {kind}; leave it out"


def _spell(rule: RuleDefined) -> Iterator[str]:
    if rule.severity not in SEVERITIES:
        yield f"severity {rule.severity!r} is unknown; known: {', '.join(SEVERITIES)}"
    for name in ("for_windows", "clear_windows"):
        if not 1 <= getattr(rule, name) <= MAX_WINDOWS:
            yield f"{name} is {getattr(rule, name)}; it must be within 1 and {MAX_WINDOWS}"
    if rule.critical_after_ms < 0:
        yield f"critical_after_ms is {rule.critical_after_ms}; it must be at least 0, 0 for never"


def _compared(rule: RuleDefined) -> Iterator[str]:
    yield from _operands(rule)
    upward = rule.operator in (">", ">=")
    for name, beyond in (("clear_threshold", False), ("critical_threshold", True)):
        limit = getattr(rule, name)
        if limit is None:
            continue
        if not math.isfinite(limit):
            yield f"{name} is {limit}; it must be a finite number"
        if limit != rule.threshold and (limit > rule.threshold) != (upward == beyond):
            side = "at least" if upward == beyond else "at most"
            yield (
                f"{name} is {limit:g}; with {rule.operator} it must be {side} the threshold "
                f"{rule.threshold:g}"
            )
    kind = kind_of(rule)
    if kind == RATE and rule.span_ms < 1:
        yield f"span_ms is {rule.span_ms}; a rate needs the distance of what it compares, in ms"
    if kind == RATIO:
        yield from _ratio(rule)


def _operands(rule: RuleDefined) -> Iterator[str]:
    if rule.statistic not in STATISTICS:
        yield f"statistic {rule.statistic!r} is unknown; known: {', '.join(STATISTICS)}"
    yield from _operator(rule)


def _operator(rule: RuleDefined) -> Iterator[str]:
    if rule.operator not in OPERATORS:
        yield f"operator {rule.operator!r} is unknown; known: {', '.join(OPERATORS)}"
    if not math.isfinite(rule.threshold):
        yield f"threshold is {rule.threshold}; it must be a finite number"


def _ratio(rule: RuleDefined) -> Iterator[str]:
    if rule.over_statistic not in STATISTICS:
        yield f"over_statistic {rule.over_statistic!r} is unknown; known: {', '.join(STATISTICS)}"
    if rule.over_metric in ("", rule.metric) and rule.over_statistic == rule.statistic:
        yield f"{rule.statistic} of {rule.metric} over itself is always 1; name another denominator"


def _absence(rule: RuleDefined) -> Iterator[str]:
    if rule.span_ms < LEAST_ABSENCE_MS:
        yield f"span_ms is {rule.span_ms}; absence needs at least {LEAST_ABSENCE_MS} ms"
    limit = rule.critical_threshold
    if limit is not None and not rule.span_ms <= limit < math.inf:
        yield f"critical_threshold is {limit:g} ms; it must be at least span_ms, {rule.span_ms}"


def _burn(rule: RuleDefined) -> Iterator[str]:
    yield from _operator(rule)
    if not 0.0 < rule.objective < 1.0:
        yield f"objective is {rule.objective:g}; it must be a share within 0 and 1, such as 0.999"
        return
    if rule.span_ms and rule.span_ms < LEAST_PERIOD_MS:
        yield f"span_ms is {rule.span_ms}; the period of an objective is an hour at least, or 0"
    if len(rule.burns) > MAX_BURNS:
        yield f"burns has {len(rule.burns)} pairs of windows; {MAX_BURNS} are the most"
    for number, pair in enumerate(rule.burns):
        yield from (f"burns[{number}]: {reason}" for reason in _pair(rule, pair))


def _pair(rule: RuleDefined, pair: BurnWindow) -> Iterator[str]:
    if not 0 < pair.short_ms < pair.long_ms:
        yield f"short_ms is {pair.short_ms}; it must be above 0 and below long_ms, {pair.long_ms}"
    if pair.severity not in SEVERITIES:
        yield f"severity {pair.severity!r} is unknown; known: {', '.join(SEVERITIES)}"
    if not 0.0 < pair.factor < _fastest(rule):
        yield (
            f"factor is {pair.factor:g}; it must be above 0 and below {_fastest(rule):g}, at which "
            f"everything is bad with an objective of {rule.objective:g}"
        )


def _fastest(rule: RuleDefined) -> float:
    return 1.0 / (1.0 - rule.objective)

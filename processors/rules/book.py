"""The rules in force as numbers, and which of them a series calls for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from processors.rules import kernels as k
from processors.rules import meaning
from processors.rules.kinds import Kind
from schemas.quality import RuleDefined

_KINDS = {
    meaning.THRESHOLD: k.IS_THRESHOLD,
    meaning.RATE: k.IS_RATE,
    meaning.RATIO: k.IS_RATIO,
    meaning.BURN: k.IS_BURN,
    meaning.ABSENCE: k.IS_ABSENCE,
}
_COST = 32
"""Numbers of memory that count as much as a pair without any."""
_CAUSES = 10
"""Windows before a verdict that it names at most."""


@dataclass(frozen=True, slots=True)
class Call:
    """That a series calls for a rule, the part that it plays, and the key of their pair."""

    rule: int
    part: int
    key: meaning.Key


class Book:
    """Rules that can be applied, each after those that it depends on; `kinds` are of others."""

    def __init__(self, rules: Mapping[str, RuleDefined], kinds: Mapping[str, Kind]) -> None:
        self.rules = [rules[name] for name in meaning.ranks(rules) if not rules[name].stopped]
        self.kinds = [kinds.get(meaning.kind_of(rule)) for rule in self.rules]
        self.number = {rule.event_id: at for at, rule in enumerate(self.rules)}
        codes = [_code(rule) for rule in self.rules]
        self.absent = [at for at, code in enumerate(codes) if code == k.IS_ABSENCE]
        self.given = k.IS_GIVEN in codes
        self.whole = np.array(
            [_whole(r, c) for r, c in zip(self.rules, codes, strict=True)], np.int64
        ).reshape(-1, k.RULE_WHOLE)
        self.real = np.array([_real(rule) for rule in self.rules], np.float64).reshape(
            -1, k.RULE_REAL
        )
        self.widths = np.array(
            [self._width(at, code) for at, code in enumerate(codes)], np.int64
        ).reshape(-1)
        across = k.SIDE if k.IS_ACROSS in codes else 0
        longest = [max(rule.for_windows, rule.clear_windows) for rule in self.rules]
        self.remembers = min(max(longest, default=1), _CAUSES) + across
        self._by_metric: dict[str, list[tuple[int, int]]] = {}
        for at, rule in enumerate(self.rules):
            metrics = meaning.metrics_of(rule)
            parts = (k.UPPER, k.LOWER) if len(metrics) > 1 else (k.OWN,)
            for metric, part in zip(metrics, parts, strict=True):
                self._by_metric.setdefault(metric, []).append((at, part))

    @property
    def metrics(self) -> list[str]:
        """Return the metrics that any rule looks at."""
        return list(self._by_metric)

    def calls(self, key: meaning.Key) -> list[Call]:
        """Return what a series calls for, in the order in which it is judged."""
        return [
            Call(at, part, (*key[: meaning.METRIC], self.rules[at].metric, key[-1]))
            for at, part in self._by_metric.get(key[meaning.METRIC], ())
            if meaning.selects(self.rules[at], key)
        ]

    def cost(self, rule: int) -> int:
        """Return how much room a pair of a rule takes."""
        return 1 + int(self.widths[rule]) // _COST

    def _width(self, at: int, code: int) -> int:
        if code == k.IS_GIVEN:
            kind = self.kinds[at]
            return kind.width if kind is not None else 0
        burns = len(meaning.burns_of(self.rules[at])) if code == k.IS_BURN else 0
        return {
            k.IS_RATE: k.RATE_WIDTH,
            k.IS_ACROSS: k.ACROSS_WIDTH,
            k.IS_BURN: 1 + k.BURN_WIDTH * burns,
        }.get(code, 0)


def _code(rule: RuleDefined) -> int:
    code = _KINDS.get(meaning.kind_of(rule), k.IS_GIVEN)
    return k.IS_ACROSS if len(meaning.metrics_of(rule)) > 1 else code


def _place(name: str, known: tuple[str, ...]) -> int:
    return known.index(name) if name in known else 0


def _whole(rule: RuleDefined, code: int) -> list[int]:
    burns = meaning.burns_of(rule) if code == k.IS_BURN else ()
    found = [0] * k.RULE_WHOLE
    found[k.KIND] = code
    found[k.STATISTIC] = _place(rule.statistic, meaning.STATISTICS)
    found[k.OVER] = _place(rule.over_statistic, meaning.STATISTICS)
    found[k.OPERATOR] = _place(rule.operator, meaning.OPERATORS)
    found[k.FOR], found[k.CLEAR] = rule.for_windows, rule.clear_windows
    found[k.RANK] = meaning.SEVERITIES.index(rule.severity)
    found[k.AFTER], found[k.SPAN] = rule.critical_after_ms, rule.span_ms
    for at, burn in enumerate(burns):
        found[k.BURN_RANKS + at] = meaning.SEVERITIES.index(burn.severity)
    return found


def _real(rule: RuleDefined) -> list[float]:
    found = [0.0] * k.RULE_REAL
    clear, critical = rule.clear_threshold, rule.critical_threshold
    found[k.LIMIT] = rule.threshold
    found[k.CLEARS] = rule.threshold if clear is None else clear
    found[k.CRITICAL] = math.nan if critical is None else critical
    found[k.BUDGET] = 1.0 - rule.objective
    if meaning.kind_of(rule) == meaning.BURN:
        for at, burn in enumerate(meaning.burns_of(rule)):
            place = k.PAIRS_OF_BURN + 3 * at
            found[place : place + 3] = [float(burn.long_ms), float(burn.short_ms), burn.factor]
    return found

"""Kinds of rules by others: a number for each window, which a rule compares with its thresholds.

Installed distributions name them under the entry point `weir.rules`; a rule of that kind says the
statistic, operator and thresholds, with hysteresis, severity and silences like any other. A worked
example, a kind that compares each window with the mean of those before:

    import math

    class Jump:
        width = 2  # numbers remembered of each series, zero at first

        def value(self, memory, statistic, span_ms, start_ms, end_ms):
            seen, mean = memory
            memory[0] = seen + 1
            memory[1] = mean + (statistic - mean) / (seen + 1)
            return statistic - mean if seen >= 5 else math.nan

and in the pyproject.toml of its distribution

    [project.entry-points."weir.rules"]
    jump = "my_rules:Jump"

after which `kind = "jump"` with `when = "latency.p95 > 100"` tells of windows 100 above the mean.
"""

from typing import Protocol, runtime_checkable

from processors.rules.kernels import Floats

GROUP = "weir.rules"


@runtime_checkable
class Kind(Protocol):
    """A kind of rule. `width` numbers are remembered of each series under each of its rules.

    It keeps nothing else: equal memories answer alike, so that a restart changes nothing.
    """

    width: int

    def value(
        self, memory: Floats, statistic: float, span_ms: int, start_ms: int, end_ms: int
    ) -> float:
        """Return what is compared with the threshold, NaN to let this window pass unjudged.

        `memory` may be changed. Windows of a series come once each, in the order of their ends;
        `statistic` is the one that the rule names, `span_ms` that of the rule.
        """
        ...

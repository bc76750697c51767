"""The metrics of QoA4ML's contracts as Weir's. Pure.

| QoA4ML | Weir |
|---|---|
| response_time, ResponseTime (s) | `response_latency` (ms) |
| model_accuracy, Accuracy of models, generalAccuracy | mean of `accuracy` |
| missRateOfClass<n> (at most) | 1 less it: `accuracy` of class n (at least) |
| availability | mean of `availability` |
| reliability (at least) | 1 less it: mean of `failure` (at most) |
| confidence…, throughput | `confidence`; `rate` of `answered` |
| others | a metric of that name, which the application must report or define |
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

_RATIOS = frozenset({"accuracy", "availability", "failure"})
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NAMES = {
    "responsetime": "response_latency",
    "modelaccuracy": "accuracy",
    "generalaccuracy": "accuracy",
    "overallaccuracy": "accuracy",
    "availability": "availability",
    "reliability": "failure",
    "confidence": "confidence",
}
_OBJECTIVES = (("accuracy", "accuracy"), ("missrate", "accuracy"), ("confidence", "confidence"),
               ("cost", "cost"), ("energy", "energy"), ("response", "latency"),
               ("latency", "latency"))  # fmt: skip
_MISS = re.compile(r"missRateOfClass(\w+?)", re.IGNORECASE)
_CONFIDENCE = re.compile(r"confidence(OnClass\w+)?", re.IGNORECASE)
_UNITS = {"s": 1000.0, "sec": 1000.0, "second": 1000.0, "seconds": 1000.0, "ms": 1.0,
          "millisecond": 1.0, "milliseconds": 1.0}  # fmt: skip


@dataclass(slots=True)
class Translation:
    """A contract of Weir as plain data, and what of the other has no place in it."""

    plain: dict[str, Any]
    left_out: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def leave(self, where: str, why: str) -> None:
        """Tell a part that has no counterpart."""
        self.left_out.append(f"{where}: {why}")

    def clause(self, **fields: Any) -> None:
        """Add a clause, with a name of its own."""
        names = {one["name"] for one in self.plain["clauses"]}
        name, number = fields["name"], 2
        while fields["name"] in names:
            fields["name"] = f"{name}-{number}"
            number += 1
        self.plain["clauses"].append(fields)


def promise(
    made: Translation,
    name: str,
    statistic: str,
    comparison: str,
    limit: float,
    where: str,
    window_ms: int,
    unit: Any = None,
) -> None:
    """Add a clause on the metric that a name stands for."""
    metric = _metric(name)
    if metric == "response_latency":
        scale = _UNITS.get(str(unit or "s").lower())
        if scale is None or comparison in (">", ">="):
            why = f"unit {unit}" if scale is None else f"{comparison} {limit:g}"
            made.leave(where, f"{name}: {why} is no limit on a time to answer")
            return
        limit *= scale
    elif metric in _RATIOS and (limit > 1 or str(unit) in ("%", "percentage", "percent")):
        limit /= 100
    if metric == "failure":
        comparison, limit = _TURNED[comparison], round(1 - limit, 12)
    if metric == _plain(name):
        told = f"{where}: {metric} must be reported or defined by the application"
        made.noted += [told] if told not in made.noted else []
    made.clause(
        name=_plain(name),
        metric=metric,
        statistic=statistic,
        operator=comparison,
        threshold=limit,
        window_ms=window_ms,
    )


def bounded(
    made: Translation, name: str, goal: str, limit: float, where: str, window_ms: int
) -> None:
    """Add the clause that the bound of an objective, max or min, stands for."""
    missed = _MISS.fullmatch(name)
    if missed is not None and missed[1].isdigit() and goal == "min":
        made.clause(
            name=_plain(name),
            metric="accuracy",
            label=missed[1],
            statistic="mean",
            operator=">=",
            threshold=round(1 - limit, 12),
            window_ms=window_ms,
        )
        return
    if _CONFIDENCE.fullmatch(name) and name.lower() != "confidence":
        made.leave(where, "confidence is observed over all classes; the clause is on all of them")
    comparison = ">=" if goal == "max" else "<="
    promise(made, name, "mean", comparison, limit, where, window_ms)


def weighed(
    made: Translation, weights: dict[str, float], name: str, weight: float | None, where: str
) -> None:
    """Add a weight to the objective that a metric belongs to."""
    if weight is None:
        return
    plain = name.lower()
    objective = next((told for word, told in _OBJECTIVES if word in plain), None)
    if objective is None:
        made.leave(f"{where}.weight", "no objective of the selection is like it")
    else:
        weights[objective] = weights.get(objective, 0.0) + weight


def _metric(name: str) -> str:
    key = name.replace("_", "").lower()
    return "confidence" if _CONFIDENCE.fullmatch(name) else _NAMES.get(key, _plain(name))


def _plain(name: str) -> str:
    """Return a name of another form as Weir's metrics and clauses may be called."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_.-") or "unnamed"


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of it alone."""
    return value if isinstance(value, list) else [value]


def as_number(value: Any) -> float | None:
    """Return a number, also one that is written as text, as YAML reads 1e-3."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None

"""Contracts as people write them: clauses in words, windows and periods as durations. Pure.

A clause is a text, `[name:] metric[.statistic][@label] >= 0.9 over 10s`, or a table whose `promise`
is such a text beside the other fields, or a table with all fields. A metric may end in a condition
of requests, as in `accuracy.condition.light=night`. `window` and `period` are durations such as 10s
or 28d in place of `window_ms` and `period_ms`. A clause without a name is called by its metric, one
without a statistic is of the mean.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from processors import vocabulary
from processors.contracts.clauses import metric_of
from processors.measures import OPERATORS, STATISTICS
from schemas.registrations import Clause, ContractRegistered
from streams.errors import RegistrationError
from streams.forms import schema as form_schema

FORM = form_schema.Form(
    "ContractRegistered",
    "contract",
    frozenset({"registered_at", "event_id", "source"}),
    {"consumer": ""},
    {"contract": "desk", "app": "cameras", "clauses": ["accuracy >= 0.9 over 10s"]},
)
_CLAUSE = re.compile(
    r"(?:(?P<name>[\w-]+)\s*:\s*)?(?P<metric>[\w.]+?(?:=[\w.-]+?)?)"
    rf"(?:\.(?P<statistic>{'|'.join(STATISTICS)}))?(?:@(?P<label>[\w.-]+))?"
    r"\s*(?P<operator><=|>=|<|>)\s*(?P<threshold>[-+0-9.eE]+)\s+over\s+(?P<window>.+)"
)
_DURATION = re.compile(r"(\d{1,15}(?:\.\d+)?)\s*(ms|s|min|m|h|d)")
_MILLISECONDS = {
    "ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000,
}  # fmt: skip
_DURATIONS = {"window": "window_ms", "period": "period_ms"}


def spelled(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a contract with its clauses as tables of an event's fields.

    Raises RegistrationError, naming the clause.
    """
    clauses = plain.get("clauses", [])
    if not isinstance(clauses, list | tuple):
        raise RegistrationError(f"clauses must be a list: {clauses!r:.60}")
    return {**plain, "clauses": [_table(one, place) for place, one in enumerate(clauses)]}


def clause(text: str) -> dict[str, Any]:
    """Return a clause written as `[name:] metric[.statistic][@label] >= 0.9 over 10s`.

    Raises RegistrationError when it is written otherwise.
    """
    found = _CLAUSE.fullmatch(text.strip())
    try:
        threshold = float(found["threshold"]) if found else 0.0
    except ValueError:
        found = None
    window = _milliseconds(found["window"]) if found else None
    if found is None or window is None:
        raise RegistrationError(
            f"clause {text!r}: write [name:] metric[.statistic][@label] < | <= | > | >= number "
            "over 10s"
        )
    told = {
        "name": found["name"] or _called(found["metric"], found["label"] or ""),
        "metric": found["metric"],
        "statistic": found["statistic"] or "mean",
        "operator": found["operator"],
        "threshold": threshold,
        "window_ms": window,
    }
    return told | ({"label": found["label"]} if found["label"] else {})


def unknown_metrics(contract: ContractRegistered, defined: Collection[str]) -> list[str]:
    """Return what to say of each clause on a metric that nobody is known to report."""
    return [
        f"clause {one.name}: unknown metric {metric_of(one)!r}; known: "
        f"{vocabulary.listing(defined)}; declare others by a MetricDefined on weir.definitions"
        for one in contract.clauses
        if not vocabulary.known(metric_of(one), defined)
    ]


def undeclared(contract: ContractRegistered) -> list[str]:
    """Return the metrics of a contract that Weir does not report by itself."""
    found = dict.fromkeys(metric_of(one) for one in contract.clauses)
    return [metric for metric in found if not vocabulary.known(metric)]


def words(one: Clause) -> str:
    """Return a clause as it is written in words, with its scope, tolerance and objective."""
    label = f"@{one.label}" if one.label else ""
    place = "/".join(part for part in (one.stage, one.service, one.instance) if part)
    told = f"{one.metric}.{one.statistic}{label} {one.operator} {one.threshold:g}"
    told += f" over {duration(one.window_ms)}" + (f" of {place}" if place else "")
    told += f" ± {one.tolerance:.0%}" if one.tolerance else ""
    if one.objective:
        told += f" in {one.objective:.10g} of {duration(one.period_ms or 28 * 86_400_000)}"
    return told


def duration(ms: int) -> str:
    """Return a duration in the largest unit that tells it exactly."""
    for unit in ("d", "h", "min", "s"):
        if ms and ms % _MILLISECONDS[unit] == 0:
            return f"{ms // _MILLISECONDS[unit]}{unit}"
    return f"{ms}ms"


def milliseconds(text: str) -> int:
    """Return how long a duration is, ms. Raises RegistrationError."""
    found = _milliseconds(text)
    if found is None:
        raise RegistrationError(f"{text!r} is no duration; write 10s, 5min, 1h or 28d")
    return found


def schema() -> dict[str, Any]:
    """Return the JSON schema of a file with contracts."""
    whole = form_schema.schema(FORM)
    parts = whole["$defs"]
    table = parts["Clause"]
    text = {"type": "string", "description": "metric.statistic >= 0.9 over 10s"}
    span = {"type": "string", "pattern": f"^{_DURATION.pattern}$"}
    table["properties"] |= {"promise": text, "window": span, "period": span}
    for name, known in (("statistic", [*STATISTICS]), ("operator", [*OPERATORS])):
        table["properties"][name]["enum"] = known
    table["properties"]["statistic"]["default"] = "mean"
    table["required"] = []
    table["anyOf"] = [
        {"required": ["promise"]},
        {"required": ["metric", "operator", "threshold", "window"]},
        {"required": ["metric", "operator", "threshold", "window_ms"]},
    ]
    own = parts[FORM.record]
    own["properties"]["clauses"]["items"] = {"anyOf": [text, {"$ref": "#/$defs/Clause"}]}
    for name in ("valid_from", "valid_until"):
        own["properties"][name]["anyOf"].append({"type": "string", "format": "date-time"})
    return whole


def _table(one: Any, place: int) -> dict[str, Any]:
    try:
        return clause(one) if isinstance(one, str) else _spelled(one)
    except RegistrationError as error:
        raise RegistrationError(f"clauses[{place}]: {error}") from error


def _spelled(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise RegistrationError(f"it must be a text or a table: {given!r:.60}")
    one = dict(given)
    promise = one.pop("promise", None)
    if promise is not None:
        told = clause(promise) if isinstance(promise, str) else {}
        twice = sorted(told.keys() & one.keys() - {"name"})
        if twice or not told:
            raise RegistrationError(
                f"{twice[0]} stands beside promise, which tells it" if twice else
                f"promise must be a text: {promise!r:.60}"
            )  # fmt: skip
        one = told | one
    for name, field in _DURATIONS.items():
        if name in one:
            text = one.pop(name)
            ms = _milliseconds(text) if isinstance(text, str) else None
            if ms is None or field in one:
                raise RegistrationError(f"{name} is {text!r}; write 10s, 5min, 1h or 28d, once")
            one[field] = ms
    if isinstance(one.get("metric"), str):
        one.setdefault("name", _called(one["metric"], str(one.get("label") or "")))
    return {"statistic": "mean", **one}


def _called(metric: str, label: str) -> str:
    return f"{metric}.{label}" if label else metric


def _milliseconds(text: str) -> int | None:
    found = _DURATION.fullmatch(text.strip())
    return round(float(found[1]) * _MILLISECONDS[found[2]]) if found else None

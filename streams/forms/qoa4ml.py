"""Contracts in QoA4ML's forms, as contracts of Weir. Pure.

Three forms are read: that of version 0.3 (conditions in lists of constraints), that of the earlier
versions (attributes with operators `min`, `max`, `range`), and that of ensemble optimisation
(`mlSpecific` with ranges and weights). Whatever has no counterpart is told; nothing is dropped in
silence."""

from collections.abc import Iterator, Mapping
from typing import Any

from streams.forms.qoa4ml_terms import Translation, as_list, as_number, bounded, promise, weighed

SOURCE = "qoa4ml"
_KEYS = ("stakeholders", "resources", "quality", "interpretability", "mlSpecific")
_COMPARED = {
    "less_equal": "<=", "greater_equal": ">=", "less_than": "<", "greater_than": ">",
    "min": ">=", "max": "<=",
}  # fmt: skip
_AGGREGATES = {"MIN": "min", "MAX": "max", "AVERAGE": "mean", "SUM": "sum", "COUNT": "count"}


def is_one(content: Any) -> bool:
    """Return whether a file's content looks like a contract of QoA4ML."""
    return isinstance(content, Mapping) and any(key in content for key in _KEYS)


def translated(content: Mapping[str, Any], window_ms: int) -> Translation:
    """Return a contract, its clauses judged over windows of so many ms."""
    made = Translation({"clauses": [], "source": SOURCE})
    for key, value in content.items():
        match key:
            case "stakeholders":
                _stakeholders(made, value)
            case "resources":
                _resources(made, value)
            case "quality":
                _quality(made, value, window_ms)
            case "interpretability":
                _interpretability(made, value, key)
            case "mlSpecific":
                _ml_specific(made, value, window_ms)
            case "ensemble":
                _ensemble(made, value)
            case "service":
                _service(made, value, window_ms)
            case "cost" | "fairness":
                _attributes(made, value, key, window_ms)
            case _:
                made.leave(key, "Weir's contracts have no such part")
    return made


def _stakeholders(made: Translation, value: Any) -> None:
    for number, one in enumerate(as_list(value)):
        where = f"stakeholders[{number}]"
        if not isinstance(one, Mapping):
            made.leave(where, f"it is no table: {one!r:.40}")
            continue
        roles = [str(role).replace("_", "").lower() for role in as_list(one.get("roles", []))]
        for role in roles:
            place = {"mlconsumer": "consumer", "mlprovider": "owner"}.get(role)
            if place is None or place in made.plain:
                made.leave(f"{where}.roles", f"{role} {one.get('id')} has no place in a contract")
            else:
                made.plain[place] = str(one.get("id", ""))
        for name in sorted(one.keys() - {"id", "roles"}):
            made.leave(f"{where}.{name}", "a consumer or owner is a name alone")


def _resources(made: Translation, value: Any) -> None:
    if not isinstance(value, Mapping):
        made.leave("resources", f"it is no table: {value!r:.40}")
        return
    for kind, listed in value.items():
        for number, one in enumerate(as_list(listed)):
            called = one.get("id", "?") if isinstance(one, Mapping) else one
            made.leave(
                f"resources.{kind}[{number}]",
                f"{called}: what runs is registered with `weir services` and `weir models`",
            )


def _quality(made: Translation, value: Any, window_ms: int) -> None:
    if not isinstance(value, Mapping):
        made.leave("quality", f"it is no table: {value!r:.40}")
        return
    for kind, group in value.items():
        where = f"quality.{kind}"
        if kind == "interpretability":
            for number, one in enumerate(as_list(group)):
                _interpretability(made, one, f"{where}[{number}]")
        elif isinstance(group, list):
            for number, one in enumerate(group):
                _constraints(made, one, f"{where}[{number}]", window_ms)
        else:
            _attributes(made, group, where, window_ms)


def _constraints(made: Translation, group: Any, where: str, window_ms: int) -> None:
    """Translate a group of version 0.3."""
    if not isinstance(group, Mapping) or not isinstance(group.get("constraint_list"), list):
        made.leave(where, "Weir observes nothing of it")
        return
    for name in sorted(group.keys() - {"name", "constraint_list"}):
        made.leave(f"{where}.{name}", "Weir observes nothing of it")
    for number, one in enumerate(group["constraint_list"]):
        place = f"{where}.constraint_list[{number}]"
        metric = one.get("metrics") if isinstance(one, Mapping) else None
        condition = one.get("condition") if isinstance(one, Mapping) else None
        if not isinstance(metric, Mapping) or not isinstance(condition, Mapping):
            made.leave(place, "it has no metrics or condition")
            continue
        statistic = _AGGREGATES.get(str(one.get("aggregate_function", "AVERAGE")).upper())
        if statistic is None:
            made.leave(place, f"aggregate {one['aggregate_function']} is no statistic of a window")
            continue
        if metric.get("records"):
            made.leave(f"{place}.metrics.records", "a contract has no measurements")
        name, unit = str(metric.get("metric_name", "")), metric.get("unit")
        for comparison, limit in _conditions(made, condition, place):
            promise(made, name, statistic, comparison, limit, place, window_ms, unit)


def _conditions(
    made: Translation, condition: Mapping[str, Any], where: str
) -> Iterator[tuple[str, float]]:
    comparison, value = condition.get("operator"), condition.get("value")
    if comparison in ("range", "equal"):
        yield from _range(made, value, where)
        return
    limit = as_number(value)
    if comparison not in _COMPARED or limit is None:
        made.leave(f"{where}.condition", f"{comparison} {value!r:.40} is no condition on a number")
        return
    yield _COMPARED[comparison], limit


def _range(made: Translation, value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Yield both ends of a range, which is a pair, a table with min and max, or one number."""
    if isinstance(value, Mapping):
        low = next((value[key] for key in ("min", "low", "from") if key in value), None)
        high = next((value[key] for key in ("max", "high", "to") if key in value), None)
    else:
        low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
    ends = (as_number(low), as_number(high))
    if None in ends:
        made.leave(f"{where}.condition", f"{value!r:.40} is no range of numbers")
        return
    for comparison, limit in zip((">=", "<="), ends, strict=True):
        if limit is not None:
            yield comparison, limit


def _attributes(made: Translation, group: Any, where: str, window_ms: int) -> None:
    """Translate attributes of the earlier versions: operators, value, unit by name."""
    if not isinstance(group, Mapping):
        made.leave(where, "Weir observes nothing of it")
        return
    for name, one in group.items():
        place = f"{where}.{name}"
        if not isinstance(one, Mapping) or "value" not in one:
            made.leave(place, "it states no value that a metric could be compared with")
            continue
        for extra in sorted(one.keys() - {"operators", "operator", "value", "unit", "description"}):
            made.leave(f"{place}.{extra}", "a clause has no such part")
        called = "model_accuracy" if name == "Accuracy" and where.endswith("models") else name
        for word in as_list(one.get("operators", one.get("operator", []))):
            condition = {"operator": word, "value": one["value"]}
            for comparison, limit in _conditions(made, condition, place):
                unit = one.get("unit")
                promise(made, called, "mean", comparison, limit, place, window_ms, unit)


def _ml_specific(made: Translation, value: Any, window_ms: int) -> None:
    """Translate the form of ensemble optimisation."""
    weights: dict[str, float] = {}
    for name, one in value.items() if isinstance(value, Mapping) else ():
        where = f"mlSpecific.{name}"
        if not isinstance(one, Mapping):
            made.leave(where, f"it is no table: {one!r:.40}")
            continue
        goal = one.get("objective")
        limit = as_number(one.get("min_value" if goal == "max" else "max_value"))
        if goal not in ("max", "min") or limit is None:
            made.leave(where, f"objective {goal} with {limit} is no promise")
            continue
        bounded(made, name, goal, limit, where, window_ms)
        weighed(made, weights, name, as_number(one.get("weight")), where)
        ideal = "max_value" if goal == "max" else "min_value"
        for part in sorted(one.keys() & {ideal, "operator", "scale", "logbase"}):
            made.leave(
                f"{where}.{part}",
                f"{one[part]}: how members are scored together is the selection's own",
            )
        for part in sorted(one.keys() - {"operator", "weight", "min_value", "max_value",
                                         "objective", "scale", "logbase"}):  # fmt: skip
            made.leave(f"{where}.{part}", "a clause has no such part")
    if weights:
        made.plain["weights"] = [{"objective": o, "weight": w} for o, w in weights.items()]


def _ensemble(made: Translation, value: Any) -> None:
    for name, one in value.items() if isinstance(value, Mapping) else ():
        if name == "max" and isinstance(one, int) and one >= 1:
            made.plain["max_members"] = one
        else:
            made.leave(f"ensemble.{name}", f"{one}: a contract bounds its members from above alone")


def _service(made: Translation, value: Any, window_ms: int) -> None:
    for name, one in value.items() if isinstance(value, Mapping) else ():
        limit = as_number(one)
        if name != "throughput" or limit is None:
            made.leave(f"service.{name}", f"{one!r:.40}: a contract has no such part")
            continue
        made.clause(
            name="throughput",
            metric="answered",
            statistic="rate",
            operator=">=",
            threshold=limit,
            window_ms=window_ms,
        )


def _interpretability(made: Translation, value: Any, where: str) -> None:
    for name, one in value.items() if isinstance(value, Mapping) else ():
        if name.lower() in ("explainability", "explanability") and one:
            made.plain["explainable"] = True
            made.leave(f"{where}.{name}", f"{one!r:.60}: that its ensembles explain is kept alone")
        else:
            made.leave(f"{where}.{name}", "Weir's contracts have no such part")

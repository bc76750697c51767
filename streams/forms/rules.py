"""What an operator's file of rules becomes: definitions, checked before one is sent.

Pure. A file lists rules; `app` and `owner` above them hold for each that names none itself:

    app = "fraud"

    [[rules]]
    name = "slow"                      # unique in the installation
    when = "latency.p95 > 200"         # metric, statistic (mean when absent), operator, number
    clear = 180                        # good again below this
    critical = 1000                    # from here on it is critical
    critical_after = "10m"             # and after so long
    for = 3                            # bad windows in a row; clear_for: good ones
    service = "scorer"                 # and stage, instance, node, window; absent means any
    depends_on = ["node-down"]         # raised, they silence this one

    [[rules]]
    name = "queue-grows"
    when = "queue_depth > 50"
    over = "1m"                        # the change of it in so long

    [[rules]]
    name = "failing"
    when = "errors.mean / requests.mean > 0.1"     # a ratio; "latency.p99 / .p50 > 5" of one metric

    [[rules]]
    name = "silent"
    metric = "latency"
    absent = "30s"

    [[rules]]
    name = "slo"
    when = "latency > 200"             # what a bad event is
    objective = 0.999                  # the share of good ones that is promised
    period = "30d"                     # burns = [{long = "1h", short = "5m", factor = 14.4,
                                       #           severity = "critical"}]: the usual when absent

The kind follows from what is given; `kind` names one of a plug-in.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from processors import vocabulary
from processors.rules import meaning
from schemas.errors import InvalidEvent
from schemas.quality import RuleDefined
from streams.definitions import duration_ms
from streams.errors import RegistrationError
from streams.plain_events import build
from streams.registration import NAME, identified, tables

_SAME = (
    *("name", "app", "stage", "service", "instance", "node", "window", "kind", "metric"),
    *("severity", "objective", "depends_on", "stopped", "owner", "description"),
)
_RENAMED = {
    "clear": "clear_threshold",
    "critical": "critical_threshold",
    "for": "for_windows",
    "clear_for": "clear_windows",
}
_TIMES = {
    "over": ("span_ms", meaning.RATE),
    "absent": ("span_ms", meaning.ABSENCE),
    "period": ("span_ms", meaning.BURN),
    "critical_after": ("critical_after_ms", ""),
}
_KNOWN = (*_SAME, *_RENAMED, *_TIMES, "when", "burns")
_OPERAND = r"(?P<{0}>[^\s<>=/]*?)(?:\.(?P<{0}_statistic>{1}))?"
_STATISTICS = "|".join(meaning.STATISTICS)
_WHEN = re.compile(
    rf"{_OPERAND.format('metric', _STATISTICS)}"
    rf"(?:\s*/\s*{_OPERAND.format('over', _STATISTICS)})?"
    r"\s*(?P<operator><=|>=|<|>)\s*(?P<threshold>\S+)"
)


def read(file: Mapping[str, Any], now_ms: int) -> list[RuleDefined]:
    """Return the rules of a file; equal content has equal event ids.

    Raises RegistrationError, naming the rule and field, for what cannot be understood.
    """
    strange = sorted(set(file) - {"app", "owner", "rules"})
    if strange:
        raise RegistrationError(f"the file has no {strange[0]!r}; it may have app, owner, rules")
    shared = {name: file[name] for name in ("app", "owner") if name in file}
    found = [_rule(shared | plain, now_ms) for plain in tables(file.get("rules", []), "rules")]
    if not found:
        raise RegistrationError("the file has no [[rules]]")
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RegistrationError(f"{twice[0]} is defined twice; names must differ")
    return found


def check(
    wanted: Sequence[RuleDefined],
    standing: Mapping[str, RuleDefined],
    taken: Mapping[str, str],
    kinds: Collection[str],
) -> list[str]:
    """Return what may be amiss with rules that can be applied together with those that stand.

    `taken` has what else has a name on the topic of definitions. Raises RegistrationError when the
    processor would refuse one of them.
    """
    together = dict(standing) | {one.name: one for one in wanted}
    refused = meaning.objections(together, kinds)
    warnings = []
    for one in wanted:
        if one.name in taken:
            raise RegistrationError(
                f"{one.name} is the name of a {taken[one.name]}; choose another"
            )
        if one.name in refused:
            raise RegistrationError(f"rule {one.name}: {refused[one.name]}")
        warnings += [
            f"rule {one.name} depends on {parent}, which is not defined: that has no effect"
            for parent in one.depends_on
            if parent not in together
        ]
        if meaning.kind_of(one) == meaning.ABSENCE and not one.app:
            warnings.append(
                f"rule {one.name} names no app: it tells of series that stop, not of those that "
                "never come"
            )
    return warnings


def unknown_metrics(wanted: Sequence[RuleDefined], defined: Collection[str]) -> list[str]:
    """Return what to say of each rule on a metric that nobody is known to report."""
    return [
        f"rule {one.name}: nobody declares {metric!r}, and Weir reports none of that name; it "
        "holds only where a probe or an agent does"
        for one in wanted
        for metric in dict.fromkeys((one.metric, one.over_metric))
        if metric and not vocabulary.known(metric, defined)
    ]


def _rule(plain: Mapping[str, Any], now_ms: int) -> RuleDefined:
    name = plain.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RegistrationError(
            f"rule name {name!r}: use up to 63 letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    what = f"rule {name}"
    if strange := sorted(set(plain) - set(_KNOWN)):
        raise RegistrationError(f"{what} has no {strange[0]!r}; it may have {', '.join(_KNOWN)}")
    fields = _timed(plain, what) | _asked(plain, what)
    fields |= {field: plain[field] for field in _SAME if field in plain}
    fields |= {to: plain[field] for field, to in _RENAMED.items() if field in plain}
    fields["kind"] = fields.get("kind") or _kind(plain, fields)
    if fields["kind"] in (meaning.ABSENCE, meaning.BURN):
        fields["statistic"] = ""
    if fields["kind"] == meaning.ABSENCE and "critical" in plain:
        fields["critical_threshold"] = _ms(plain["critical"], "critical", what)
    try:
        made = build(RuleDefined, fields | {"registered_at": 0, "event_id": ""})
    except InvalidEvent as error:
        raise RegistrationError(f"{what}: {error}") from error
    return identified(made, now_ms)


def _timed(plain: Mapping[str, Any], what: str) -> dict[str, Any]:
    given = [field for field in ("over", "absent", "period") if field in plain]
    if len(given) > 1:
        raise RegistrationError(f"{what} has both {given[0]} and {given[1]}; they are of two kinds")
    fields: dict[str, Any] = {
        to: _ms(plain[field], field, what) for field, (to, _) in _TIMES.items() if field in plain
    }
    if "burns" in plain:
        fields["burns"] = [_burn(one, what) for one in tables(plain["burns"], "burns")]
    return fields


def _burn(plain: Mapping[str, Any], what: str) -> dict[str, Any]:
    times = {
        f"{name}_ms": _ms(plain.get(name), f"burns: {name}", what) for name in ("long", "short")
    }
    return times | {name: plain[name] for name in plain if name not in ("long", "short")}


def _asked(plain: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return what `when` says as fields; blank ones where it is absent."""
    blank = {"metric": "", "statistic": "", "operator": "", "threshold": 0.0}
    if "when" not in plain:
        return blank
    if "metric" in plain:
        raise RegistrationError(f"{what} has both metric and when; when names the metric")
    found = _WHEN.fullmatch(str(plain["when"]).strip())
    try:
        threshold = float(found["threshold"]) if found else 0.0
    except ValueError:
        found = None
    if found is None:
        raise RegistrationError(
            f"{what}: when is {plain['when']!r}; write metric[.statistic] < | <= | > | >= number, "
            f"the statistic one of {', '.join(meaning.STATISTICS)}"
        )
    fields = {
        "metric": found["metric"],
        "statistic": found["metric_statistic"] or "mean",
        "operator": found["operator"],
        "threshold": threshold,
    }
    if found["over"] is not None:
        fields |= {
            "over_metric": found["over"],
            "over_statistic": found["over_statistic"] or "mean",
        }
    return fields


def _kind(plain: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    if "objective" in plain:
        return meaning.BURN
    timed = next((kind for field, (_, kind) in _TIMES.items() if field in plain and kind), "")
    return timed or (meaning.RATIO if "over_statistic" in fields else meaning.THRESHOLD)


def _ms(value: Any, field: str, what: str) -> int:
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        raise RegistrationError(
            f"{what}: {field} is {value!r}; write a time such as '500ms', '10s', '5m' or '1h'"
        )
    return found

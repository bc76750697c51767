"""Definitions of metrics by expression: which are in force, which are refused, and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from processors import vocabulary
from processors.expressions import Compiled, compiled
from processors.expressions_tree import Mistake
from schemas.registrations import MetricDefined
from schemas.topics import SERIES

MOST_DEFINITIONS = 1_000


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition in force; `fields` of the series make its groups, the application first."""

    source: MetricDefined
    expression: Compiled
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A definition that cannot be applied, and why."""

    source: MetricDefined
    reason: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The definitions in force and the refused ones, each in the order of their names."""

    definitions: tuple[Definition, ...] = ()
    refused: tuple[Refused, ...] = ()


def resolve(definitions: Mapping[str, MetricDefined], plugins: Collection[str] = ()) -> Resolved:
    """Return what definitions by name amount to; those without an expression are left out."""
    texts = {name: one.expression for name, one in definitions.items() if one.expression}
    found: list[Definition] = []
    refused: list[Refused] = []
    for name in sorted(texts):
        source = definitions[name]
        reason = _objection(source) or _clash(source, found)
        if not reason and len(found) >= MOST_DEFINITIONS:
            reason = f"there are {MOST_DEFINITIONS} definitions in force already; remove some"
        if reason:
            refused.append(Refused(source, reason))
            continue
        try:
            expression = compiled(source.expression, plugins, texts, (name,))
        except Mistake as mistake:
            refused.append(Refused(source, mistake.told(source.expression)))
            continue
        found.append(Definition(source, expression, _fields(source)))
    return Resolved(tuple(found), tuple(refused))


def objection(
    definition: MetricDefined,
    others: Mapping[str, MetricDefined] | None = None,
    plugins: Collection[str] = (),
) -> str | None:
    """Return why a definition would be refused beside others; None if it would not.

    For doors that want to say so before they send it.
    """
    together = {**(others or {}), definition.name: definition}
    refused = resolve(together, plugins).refused
    return next((one.reason for one in refused if one.source is definition), None)


def _fields(source: MetricDefined) -> tuple[str, ...]:
    return tuple(field for field in SERIES if field == "app" or field in source.group_by)


def _objection(source: MetricDefined) -> str:
    wrong = [field for field in source.group_by if field not in SERIES]
    if wrong:
        return f"group_by has {wrong[0]!r}; it takes fields of the series: {', '.join(SERIES)}"
    if not source.metric:
        return "metric is empty; it is the name under which the values are told"
    if vocabulary.known(source.metric):
        return f"metric {source.metric!r} is reported already; choose another name"
    return ""


def _clash(source: MetricDefined, taken: Collection[Definition]) -> str:
    for other in (definition.source for definition in taken):
        same_app = "" in (other.app, source.app) or other.app == source.app
        same_window = "" in (other.window, source.window) or other.window == source.window
        if other.metric == source.metric and same_app and same_window:
            return f"{other.name} already defines metric {source.metric!r} of these applications"
    return ""

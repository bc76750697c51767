"""Definitions of metrics by expression: which are in force, which are refused, and why."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from processors import vocabulary
from processors.expressions.expression import Compiled, Library
from processors.expressions.tree import Mistake
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
    library = _library(definitions, plugins)
    found: list[Definition] = []
    refused: list[Refused] = []
    for name in library.names:
        source = definitions[name]
        reason = _clash(source, found)
        if not reason and len(found) >= MOST_DEFINITIONS:
            reason = f"there are {MOST_DEFINITIONS} definitions in force already; remove some"
        one = Refused(source, reason) if reason else _read(name, source, library)
        if isinstance(one, Refused):
            refused.append(one)
        else:
            found.append(one)
    return Resolved(tuple(found), tuple(refused))


def tellable(definitions: Mapping[str, MetricDefined]) -> tuple[Definition, ...]:
    """Return what may be in force where plug-ins are known, whichever those are.

    One that is refused there may stand in the way of another here, so none does.
    """
    library = _library(definitions, _AnyName())
    read = (_read(name, definitions[name], library) for name in library.names)
    return tuple(islice((one for one in read if isinstance(one, Definition)), MOST_DEFINITIONS))


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


class _AnyName(Collection[str]):
    """Takes every name for one of a plug-in."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _library(definitions: Mapping[str, MetricDefined], plugins: Collection[str]) -> Library:
    return Library(plugins, {n: one.expression for n, one in definitions.items() if one.expression})


def _read(name: str, source: MetricDefined, library: Library) -> Definition | Refused:
    if reason := _objection(source):
        return Refused(source, reason)
    try:
        return Definition(source, library.named(name), _fields(source))
    except Mistake as mistake:
        return Refused(source, mistake.told(source.expression))


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

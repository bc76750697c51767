"""Parameters of a policy as values: what is wrong is told, and its default holds. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import PolicySelected

COMPONENT = "place"
MOST_COMPLAINTS = 8


class Settings(Protocol):
    """A frozen dataclass of numbers and flags with defaults; `LIMITS` are least and most."""

    PREFIX: ClassVar[str]
    LIMITS: ClassVar[Mapping[str, tuple[float, float]]]
    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=Settings)


def settings_of(
    kind: type[S], parameters: Iterable[KeyValue], default: S | None = None
) -> tuple[S, tuple[str, ...]]:
    """Return settings from the parameters `<prefix>.<field>`, and what is wrong with them.

    A parameter that is unknown, no number, or outside of its limits changes nothing. Parameters
    with other prefixes belong to others.
    """
    known = default or kind()
    given, wrong = {field.name: getattr(known, field.name) for field in fields(known)}, []
    for parameter in parameters:
        prefix, dot, name = parameter.key.partition(".")
        if not dot or prefix != kind.PREFIX:
            continue
        if name not in given:
            wrong.append(f"{parameter.key} is no parameter; known: {', '.join(sorted(given))}")
            continue
        value = _number(parameter.value, type(given[name]))
        least, most = kind.LIMITS[name]
        if value is None or not least <= value <= most:
            told = parameter.value[:40]
            wrong.append(f"{parameter.key} is {told!r}; it must be from {least:g} to {most:g}")
        else:
            given[name] = value
    return kind(**given), tuple(wrong[:MOST_COMPLAINTS])


def _number(text: str, kind: type) -> float | int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or (kind is int and value != int(value)):
        return None
    return int(value) if kind is int else value


def policies(catalogue: Catalogue, app: str) -> tuple[PolicySelected, ...]:
    """Return the policies of place that bear on an application, the more special one last."""
    found = (catalogue.get(PolicySelected, scope) for scope in (COMPONENT, f"{COMPONENT}/{app}"))
    return tuple(policy for policy in found if policy is not None)


class Policies(Generic[S]):
    """The settings of one kind by application, read again only when the policies have changed."""

    def __init__(self, kind: type[S]) -> None:
        self._kind = kind
        self._read: Mapping[str, PolicySelected] = {}
        self._known: dict[str, tuple[S, tuple[ActionTaken, ...]]] = {}

    def of(self, app: str, catalogue: Catalogue) -> S:
        """Return the settings for an application: its own, else the component's, else defaults."""
        return self._look(app, catalogue)[0]

    def refusals(self, app: str, catalogue: Catalogue) -> tuple[ActionTaken, ...]:
        """Return one refusal per policy with wrong parameters; the same policy makes the same."""
        return self._look(app, catalogue)[1]

    def _look(self, app: str, catalogue: Catalogue) -> tuple[S, tuple[ActionTaken, ...]]:
        present = catalogue.of(PolicySelected)
        if present is not self._read:
            self._read, self._known = present, {}
        if app not in self._known:
            self._known[app] = self._make(policies(catalogue, app))
        return self._known[app]

    def _make(self, found: tuple[PolicySelected, ...]) -> tuple[S, tuple[ActionTaken, ...]]:
        settings, refused = self._kind(), []
        for policy in found:
            settings, wrong = settings_of(self._kind, policy.parameters, settings)
            if wrong:
                refused.append(_refusal(policy, self._kind.PREFIX, wrong))
        return settings, tuple(refused)


def _refusal(policy: PolicySelected, prefix: str, wrong: tuple[str, ...]) -> ActionTaken:
    """Return the refusal of a policy's parameters; it happens when the policy is selected."""
    return ActionTaken(
        event_id=stable_id("refused", prefix, policy.scope, policy.event_id),
        target=policy.scope,
        kind="policy.refused",
        status="refused",
        policy=policy.scope,
        reason="; ".join(wrong) + "; there the default holds, or that of the wider policy",
        taken_at=policy.selected_at,
        causes=(policy.event_id,),
    )

"""What an action is: from a case to a plan, or to the reason why there is none.

Actions of others come under the entry point `weir.remedies`: a function or class that, called
without arguments, gives an `Action`; its name there is what `action` of a remedy says. An action
may ask for what the events of `ASKING` ask for; that is all it can do, and by them it does no more
than an operator could. It must be pure: equal cases have equal plans. Worked example, in the
package `weir_pause`:

    class LessLoad:
        parameters = ("copies",)

        def objections(self, given):
            return [] if given.get("copies", "1").isdecimal() else ["copies is no number"]

        def plan(self, case):
            service = case.finding.name_of("service")
            if not service:
                return Refusal("no service is named")
            wanted = int(case.given.get("copies", "1"))
            request = case.demand(service, wanted, "more copies, by weir_pause")
            return Plan("service", service, f"{wanted} copies of {service}", (request,))

        def undo(self, case, memo):
            return Refusal("it cannot be undone")

        def carried_out(self, case, memo):
            return ""

with, in its pyproject.toml:

    [project.entry-points."weir.remedies"]
    less-load = "weir_pause:LessLoad"

`weir plugins check less-load` holds it to the laws of `broken_laws`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from processors.remedying.state import Asker, Finding
from schemas.authority import ACT, standing
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementRequested, ServiceDemand
from schemas.identity import stable_id
from schemas.quality import RetrainingRequested
from schemas.records import KeyValue
from schemas.registrations import PolicySelected

GROUP = "weir.remedies"
ASKING: tuple[type[Event], ...] = (PlacementRequested, PolicySelected, RetrainingRequested)
_REMEDY = "remedy"
"""The algorithm of policies by which remedies ask."""


@dataclass(frozen=True, slots=True)
class Case:
    """A remedy, the finding that it answers for the `attempt`th time, and the world now (ms)."""

    remedy: Asker
    finding: Finding
    catalogue: Catalogue
    now_ms: int
    attempt: int = 0

    @property
    def given(self) -> Mapping[str, str]:
        """Return the parameters of the remedy."""
        return {entry.key: entry.value for entry in self.remedy.parameters}

    @property
    def identity(self) -> str:
        """Return an id of this attempt: the same whenever it is made again."""
        known = (self.remedy.name, self.remedy.event_id, self.finding.first, self.attempt)
        return stable_id("remedy", *known)

    def demand(self, service: str, replicas: int, reason: str) -> PlacementRequested:
        """Return a request for so many copies of a service."""
        return PlacementRequested(
            event_id=stable_id(self.identity, "demand", service, replicas),
            kind="verdict",
            subject=service,
            app=self.finding.app,
            demands=(ServiceDemand(service=service, replicas=replicas),),
            reason=reason,
            requested_at=self.now_ms,
            causes=(self.finding.event_id,),
        )

    def policy(self, scope: str, component: str, told: Mapping[str, str]) -> PolicySelected:
        """Return a policy that asks for something."""
        return PolicySelected(
            scope=scope,
            component=component,
            algorithm=_REMEDY,
            parameters=pairs(told),
            mode=ACT,
            selected_at=self.now_ms,
            event_id=stable_id(self.identity, scope, *told.values()),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: to what (service, instance, node, app, model; its name), in words, how.

    `memo` is kept to check and to undo it. `way` is + or - where it can be done in two directions.
    A policy of `events` that is to end by itself has its scope in `holds` and the time (ms) in
    `hold_ms`.
    """

    kind: str
    name: str
    words: str
    events: tuple[Event, ...] = ()
    memo: Mapping[str, str] = field(default_factory=dict)
    way: str = ""
    holds: str = ""
    hold_ms: int = 0

    @property
    def target(self) -> str:
        """Return kind and name as one."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing can be done, in words."""

    reason: str


@runtime_checkable
class Action(Protocol):
    """One kind of action, by whatever name."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that it takes."""
        ...

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Return what is wrong with parameters, in words; nothing for those that will do."""
        ...

    def plan(self, case: Case) -> Plan | Refusal:
        """Return what to do about a finding."""
        ...

    def undo(self, case: Case, memo: Mapping[str, str]) -> Plan | Refusal:
        """Return what takes it back, when it did not help."""
        ...

    def carried_out(self, case: Case, memo: Mapping[str, str]) -> str:
        """Return why what was asked for has not come to pass; empty when it has, or who knows."""
        ...


def asked_for(catalogue: Catalogue, scope: str) -> PolicySelected | None:
    """Return the policy of a scope while it is on and a remedy's, else None."""
    policy = standing(catalogue, scope)
    return policy if policy is not None and policy.algorithm == _REMEDY else None


def pairs(told: Mapping[str, str]) -> tuple[KeyValue, ...]:
    """Return a mapping as events hold it."""
    return tuple(KeyValue(key=key, value=value) for key, value in told.items())


def unpaired(entries: tuple[KeyValue, ...]) -> dict[str, str]:
    """Return what `pairs` made a mapping of."""
    return {entry.key: entry.value for entry in entries}


def whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a parameter that is a whole number; its default where it is absent or will not do."""
    text = given.get(name, "")
    value = int(text) if text.isdecimal() and len(text) < 16 else default
    return value if least <= value <= most else default


def not_whole(given: Mapping[str, str], name: str, least: int, most: int) -> list[str]:
    """Return what is wrong with such a parameter."""
    text = given.get(name)
    if text is None or (text.isdecimal() and len(text) < 16 and least <= int(text) <= most):
        return []
    return [f"{name} is {text!r:.40}; it must be a whole number from {least} to {most}"]


def broken_laws(action: Action, cases: tuple[Case, ...]) -> list[str]:
    """Return the laws that an action breaks in some cases. What it raises comes through.

    Equal cases have equal plans; a plan names its target and asks only by events of `ASKING`; what
    it asks for has an id that follows from the attempt; undoing holds to the same.
    """
    told: dict[str, None] = {}
    for case in cases:
        for what in ("plan", "undo"):
            made, again, other = (
                _tried(action, what, one)
                for one in (case, replace(case), replace(case, attempt=case.attempt + 1))
            )
            if made != again:
                told[f"{what}: equal cases ended differently; it depends on more than the case"] = (
                    None
                )
            if isinstance(made, Plan):
                told |= dict.fromkeys(f"{what}: {wrong}" for wrong in _wrong(made))
                if isinstance(other, Plan) and _ids(made) & _ids(other):
                    told[f"{what}: two attempts ask by one id; derive it from case.identity"] = None
            elif not isinstance(made, Refusal):
                told[f"{what}: {type(made).__name__} is neither a Plan nor a Refusal"] = None
    return list(told)


def _tried(action: Action, what: str, case: Case) -> Plan | Refusal:
    planned = action.plan(case)
    if what == "plan":
        return planned
    return action.undo(case, dict(planned.memo) if isinstance(planned, Plan) else {})


def _wrong(plan: Plan) -> list[str]:
    found = [] if plan.kind and plan.name and plan.words else ["it names no target, or no words"]
    strangers = {type(e).__name__ for e in plan.events if not isinstance(e, ASKING)}
    found += [f"it may not make {name}" for name in sorted(strangers)]
    return found


def _ids(plan: Plan) -> set[str]:
    return {str(getattr(event, "event_id", "")) for event in plan.events}

"""Policies that allow and forbid, as events: modes, freeze, pause, drain, recommendations. Pure."""

from collections.abc import Mapping

from placement import authority
from schemas.authority import ACT, OFF, ON, REASON, STATE
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, PlacementDecided
from schemas.identity import stable_id
from schemas.records import KeyValue
from schemas.registrations import PolicySelected


def mode(scope: str, chosen: str, known: PolicySelected | None, now_ms: int) -> PolicySelected:
    """Return the policy of a scope with another mode; algorithm and parameters stay."""
    algorithm, parameters = (known.algorithm, known.parameters) if known else ("", ())
    return PolicySelected(
        scope=scope,
        component=scope.partition("/")[0],
        algorithm=algorithm,
        parameters=parameters,
        mode=chosen,
        selected_at=now_ms,
        event_id=stable_id("policy", scope, chosen, now_ms),
    )


def switch(scope: str, on: bool, reason: str, by: str, now_ms: int) -> PolicySelected:
    """Return the policy that begins or ends a freeze, a pause, or a drain."""
    state = ON if on else OFF
    return _told(scope, {STATE: state, REASON: reason, "by": by}, now_ms)


def approval(decided: PlacementDecided, by: str, now_ms: int) -> PolicySelected:
    """Return the policy that lets a recommendation happen as it is."""
    told = {
        "generation": str(decided.generation),
        authority.DECISION: authority.written(decided),
        "by": by,
    }
    return _told(f"{authority.APPLY}{decided.service}", told, now_ms)


def staying(known: Catalogue, app: str, by: str, now_ms: int) -> list[PolicySelected]:
    """Return approvals of what is in force where something older was let happen once.

    Without them that would be in force again as soon as a more careful mode decides anew. Of one
    application, or of all when `app` is empty.
    """
    found = []
    for service, told in known.of(PlacementDecided).items():
        let = authority.approved(known, service)
        newer = let not in (None, told) and authority.in_force(told, known) == told
        if newer and app in ("", told.app):
            found.append(approval(told, by, now_ms))
    return found


def deed(
    kind: str,
    target: str,
    status: str,
    reason: str,
    now_ms: int,
    *,
    policy: str = "",
    told: Mapping[str, str] | None = None,
    causes: tuple[str, ...] = (),
) -> ActionTaken:
    """Return what somebody did by hand, or was refused."""
    return ActionTaken(
        event_id=stable_id("by-hand", kind, target, status, now_ms),
        target=target,
        kind=kind,
        status=status,
        policy=policy,
        reason=reason,
        parameters=_pairs(told or {}),
        taken_at=now_ms,
        causes=causes,
    )


def _told(scope: str, told: Mapping[str, str], now_ms: int) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component=scope.partition("/")[0],
        algorithm="",
        parameters=_pairs(told),
        mode=ACT,
        selected_at=now_ms,
        event_id=stable_id("policy", scope, *told.values(), now_ms),
    )


def _pairs(told: Mapping[str, str]) -> tuple[KeyValue, ...]:
    return tuple(KeyValue(key=key, value=value) for key, value in told.items())

"""Deeds of actuators, and refusals of deeds, as events."""

from schemas.decisions import ActionTaken, PlacementDecided
from schemas.identity import stable_id
from schemas.records import KeyValue


def refused(now_ms: int, decided: PlacementDecided, policy: str, reason: str) -> ActionTaken:
    """Return the deed that a placement was not carried out, and why."""
    details = {"generation": str(decided.generation)}
    causes = (decided.event_id,)
    return action(
        now_ms, decided.service, "service.refused", "refused", reason, details, policy, causes
    )


def action(
    now_ms: int,
    target: str,
    kind: str,
    status: str,
    reason: str,
    details: dict[str, str],
    policy: str = "",
    causes: tuple[str, ...] = (),
) -> ActionTaken:
    """Return a deed; its id follows from what it is, to whom, and when."""
    return ActionTaken(
        event_id=stable_id("actuate", kind, status, target, now_ms, *details.values()),
        target=target,
        kind=kind,
        status=status,
        policy=policy,
        reason=reason,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in details.items()),
        taken_at=now_ms,
        causes=causes,
    )

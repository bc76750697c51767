"""What processors say of definitions, policies and detectors that cannot be applied."""

from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.quality import RemedyDefined, RuleDefined
from schemas.records import KeyValue
from schemas.registrations import MetricDefined, WindowDefined

_CALLED: dict[type, str] = {
    WindowDefined: "window definition",
    MetricDefined: "metric definition",
    RuleDefined: "rule",
    RemedyDefined: "remedy",
}


def refusal(
    processor: str,
    definition: WindowDefined | MetricDefined | RuleDefined | RemedyDefined,
    reason: str,
    now_ms: int,
    *parameters: KeyValue,
) -> ActionTaken:
    """Return the action by which a processor refuses a definition; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id(processor, "definition.refused", definition.event_id),
        target=definition.name,
        kind="definition.refused",
        status="refused",
        policy="",
        reason=f"{_CALLED[type(definition)]} {definition.name}: {reason}",
        parameters=parameters,
        taken_at=now_ms,
    )


def policy_refused(
    processor: str, event_id: str, scope: str, reason: str, now_ms: int
) -> ActionTaken:
    """Return the action that says why a policy is not heeded; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id(processor, "policy.refused", event_id),
        target=scope,
        kind="policy.refused",
        status="refused",
        policy=scope,
        reason=f"policy {scope}: {reason}",
        taken_at=now_ms,
    )


def detector_failed(processor: str, detector: str, reason: str, now_ms: int) -> ActionTaken:
    """Return the action that says that a detector of others fails; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id(processor, "detector.failed", detector),
        target=detector,
        kind="detector.failed",
        status="refused",
        policy="",
        reason=f"detector {detector}: {reason}",
        taken_at=now_ms,
    )

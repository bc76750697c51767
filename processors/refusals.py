"""What processors say of a definition that cannot be applied."""

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

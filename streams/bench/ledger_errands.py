"""What has somebody outside be told or asked: a notice, and a diagnosis that wants prose. Pure.

Both are of an application that is not registered, so that nothing else is done about them.
"""

from schemas.decisions import ActionTaken
from schemas.observing import QualityEvaluated, RootCause
from schemas.records import KeyValue

POLICY = "ledger"


def notice(name: str, page: str, now_ms: int) -> ActionTaken:
    """Return what a remedy says that wants somebody to be told; its id is the name."""
    told = {"state": "firing", "finding": name, "since": str(now_ms), "severity": "info"}
    return ActionTaken(
        event_id=name,
        target=page,
        kind="remedy.notify",
        status="done",
        policy=POLICY,
        reason="an errand",
        parameters=tuple(KeyValue(key=key, value=value) for key, value in told.items()),
        taken_at=now_ms,
        app=page,
    )


def diagnosis(name: str, page: str, subject: str, now_ms: int) -> QualityEvaluated:
    """Return a diagnosis of a spell of its own whose one cause is the subject."""
    cause = RootCause(kind="node", name=subject, score=1.0, since=now_ms, why="an errand")
    return QualityEvaluated(
        event_id=name,
        app=page,
        stage="",
        service="",
        instance="",
        metric="",
        tier="diagnosis",
        rule=POLICY,
        verdict="degraded",
        severity="info",
        score=1.0,
        root_causes=(cause,),
        window_end=now_ms,
        evaluated_at=now_ms,
        since=now_ms,
        spell=name,
    )

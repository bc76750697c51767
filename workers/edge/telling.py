"""What a worker says when it is back: which of its events were given up. Pure."""

from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from workers.edge.spool import Lost

KIND = "spool.lost"


def lost_events(lost: Lost, node: str, worker: str, now_ms: int) -> ActionTaken:
    """Return the event that says how many events of a record were given up, when, and why."""
    facts = {
        "record": lost.record,
        "number": str(lost.number),
        "first": str(lost.first),
        "last": str(lost.last),
        "worker": worker,
    }
    return ActionTaken(
        event_id=stable_id(KIND, node, lost.reason, *facts.values()),
        target=node,
        kind=KIND,
        status="done",
        policy="",
        reason=f"{lost.number} {lost.record} did not outlast the time without Kafka: {lost.reason}",
        parameters=tuple(KeyValue(key=key, value=value) for key, value in facts.items()),
        taken_at=now_ms,
    )

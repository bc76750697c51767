"""What became of a task that was sent elsewhere, as an event; one for every path. Pure."""

import json

from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.records import KeyValue
from workers.dispatching.attempts import ANSWERED, REJECTED, Dispatch

KIND = "task.dispatched"
_STATUS = {ANSWERED: "done", REJECTED: "refused"}


def action(dispatch: Dispatch, worker: str, now_ms: float) -> ActionTaken:
    """Return the event of a dispatch that is over; `worker` is who sent the task.

    Raises ValueError for one that is not over.
    """
    if not dispatch.over:
        raise ValueError(f"task {dispatch.errand.task} is still under way")
    told = dispatch.record()
    parameters = {
        "service": dispatch.errand.service,
        "from": worker,
        "attempts": json.dumps(told["attempts"]),
        "evaluations": json.dumps(told["evaluations"]),
    }
    return ActionTaken(
        event_id=stable_id("dispatch", worker, dispatch.errand.task, int(dispatch.began)),
        target=dispatch.errand.task,
        kind=KIND,
        status=_STATUS.get(dispatch.status, "failed"),
        policy="dispatch",
        reason=dispatch.why,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in parameters.items()),
        helped=dispatch.status == ANSWERED,
        taken_at=int(now_ms),
    )

"""How waiting jobs end without execution. Pure."""

from workers.scheduling import causes
from workers.scheduling.jobs import Cause, Ended
from workers.scheduling.lanes import Lane
from workers.scheduling.waiting import Waiting

_TINY_MS = 1e-6


def over(lane: Lane, waiting: Waiting, now: float, *, by_deadline: bool) -> Ended:
    """Return the end of a job that may wait no longer, by its deadline or by its age."""
    job = waiting.job
    waited = now - job.arrived
    if waiting.aside:
        return outbid(waiting)
    if by_deadline and job.deadline <= now:
        return Ended(job, causes.EXPIRED, (waited, now - job.deadline))
    return Ended(job, causes.AGED, (waited, lane.terms.max_age_ms))


def hopeless(waiting: Waiting, left_ms: float, needed_ms: float) -> Ended:
    """Return the end of a job that is not expected to be in time."""
    if waiting.aside:
        return outbid(waiting)
    return Ended(waiting.job, causes.HOPELESS, (left_ms, needed_ms))


def drained(waiting: Waiting, now: float, reason: str) -> Ended:
    """Return the end of a job that waits when everything ends, for the reason that is given."""
    cause = Cause("dropped", ("waited_ms",), reason.replace("{", "{{").replace("}", "}}"))
    return Ended(waiting.job, cause, (now - waiting.job.arrived,))


def outbid(waiting: Waiting) -> Ended:
    """Return the end of a job that was set aside for others."""
    worth = waiting.job.value / max(waiting.work_ms, _TINY_MS)
    return Ended(waiting.job, causes.OUTBID, (worth, waiting.late_ms))

"""Who is let in, or begun, though a prediction speaks against it, and who is refused. Pure."""

from workers.scheduling import causes
from workers.scheduling.jobs import Ended, Job
from workers.scheduling.lanes import Lane


def refusal(job: Job, lane: Lane, now: float, busy_ms: float, *, tried: bool) -> Ended | None:
    """Return the end of a job that cannot be in time even if it is next.

    Where it is to be `tried`, it is enough that any recent execution would have been in time.
    """
    left, needed = job.deadline - now - busy_ms, lane.profile.careful_ms
    if needed <= left or (tried and lane.profile.chance(left) > 0.0) or doubted(lane, job, now):
        return None
    return Ended(job, causes.LATE, (left + busy_ms, busy_ms, needed))


def begun(job: Job, lane: Lane, now: float, *, tried: bool) -> bool:
    """Tell whether a waiting job is begun that may well be late, by the same rule."""
    return (tried and lane.profile.chance(job.deadline - now) > 0.0) or doubted(lane, job, now)


def doubted(lane: Lane, job: Job, now: float) -> bool:
    """Tell whether to test a prediction that is old and lets no job of the service in."""
    if now - lane.served_at <= lane.terms.max_gap_ms:
        return False
    return lane.profile.careful_ms > job.deadline - job.arrived

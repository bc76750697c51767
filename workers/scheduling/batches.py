"""Which jobs are executed together. Pure."""

from workers.scheduling.lanes import Lane, Waiting
from workers.scheduling.orders.base import Pick


def form(lane: Lane, pick: Pick, now: float) -> list[Waiting]:
    """Return the picked job and those that join it, in order.

    Another joins as long as the batch ends before every deadline in it and within what the order
    allows; where sizes are preferred, the largest of them that is reached. It waits for nobody.
    """
    first = pick.first
    if first is None:
        return []
    most = min(lane.terms.max_batch, lane.count)
    if most == 1:
        return [first]
    members, profile = [first], lane.profile
    soonest, work_ms = min(first.job.deadline, pick.by), first.work_ms
    for waiting in lane.following(first, most - 1):
        soonest, size = min(soonest, waiting.job.deadline), len(members) + 1
        work_ms += waiting.work_ms
        if now + profile.careful(size) > soonest:
            break
        if profile.typical(size) - work_ms > pick.spare_ms:
            break
        members.append(waiting)
    fitting = [size for size in lane.terms.preferred if size <= len(members)]
    return members[: max(fitting)] if fitting else members

"""Which jobs are executed together. Pure."""

from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Pick
from workers.scheduling.waiting import Waiting


def form(lane: Lane, pick: Pick, now: float) -> list[Waiting]:
    """Return the picked job and those that join it, in order.

    Another joins as long as the batch ends before every deadline in it and within what the order
    allows; where sizes are preferred, one of them if that is quicker per job. It waits for nobody.

    Where the order agrees, a job whose deadline keeps its batch so small that the next batch is
    too late for its own first job is left out: else a full queue is worked off one by one.
    """
    first = pick.first
    if first is None:
        return []
    most = min(lane.terms.max_batch, lane.count)
    if most == 1:
        return [first]
    line = [first, *lane.following(first, 2 * most)]
    members = _joined(lane, line, pick, now)
    while (
        pick.sheds and len(members) < min(most, len(line)) and _holds_up(lane, line, members, now)
    ):
        line = line[1:]
        members = _joined(lane, line, pick, now)
    return members[: _preferred(lane, len(members))]


def _preferred(lane: Lane, size: int) -> int:
    """Return the size, or the largest preferred one below when that is quicker per job.

    A size between two preferred ones is taken to be padded to the larger.
    """
    preferred = lane.terms.preferred
    below = max((one for one in preferred if one <= size), default=0)
    if below in (0, size):
        return size
    padded = min((one for one in preferred if one > size), default=size)
    typical = lane.profile.typical
    return size if typical(padded) / size <= typical(below) / below else below


def _joined(lane: Lane, line: list[Waiting], pick: Pick, now: float) -> list[Waiting]:
    """Return the first of a line and those after it that may join."""
    profile = lane.profile
    soonest, work_ms, size = min(line[0].job.deadline, pick.by), line[0].work_ms, 1
    for waiting in line[1 : lane.terms.max_batch]:
        soonest = min(soonest, waiting.job.deadline)
        work_ms += waiting.work_ms
        if now + profile.careful(size + 1) > soonest:
            break
        if profile.typical(size + 1) - work_ms > pick.spare_ms:
            break
        size += 1
    return line[:size]


def _holds_up(lane: Lane, line: list[Waiting], members: list[Waiting], now: float) -> bool:
    """Tell whether a small batch makes a larger one behind it late."""
    rest = len(line) - len(members)
    after = min(rest, lane.terms.max_batch)
    if after <= len(members):
        return False
    ends = now + lane.profile.typical(len(members)) + lane.profile.careful(after)
    return ends > line[len(members)].job.deadline

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
    most = lane.terms.max_batch
    if most == 1 or lane.count == 1:
        return [first]
    most = min(most, lane.count)
    line = [first, *lane.following(first, 2 * most)]
    members, rest = _joined(lane, line, pick, now)
    while pick.sheds and rest and len(members) < most and _holds_up(lane, members, rest, now):
        line = line[1:]
        members, rest = _joined(lane, line, pick, now)
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


def _joined(
    lane: Lane, line: list[Waiting], pick: Pick, now: float
) -> tuple[list[Waiting], list[Waiting]]:
    """Return the first of a line with those that may join it, and who is left.

    What the batch takes beyond its jobs' predicted work counts at the end alone: few of them may
    take more, many less.
    """
    profile, most = lane.profile, lane.terms.max_batch
    members, rest, fits = [line[0]], [], 1
    soonest, work_ms = min(line[0].job.deadline, pick.by), line[0].work_ms
    for place, waiting in enumerate(line[1:], 1):
        size = len(members) + 1
        ends = now + profile.careful(size)
        if size > most or ends > soonest:
            rest += line[place:]
            break
        if ends > waiting.job.deadline:
            rest.append(waiting)
            continue
        members.append(waiting)
        work_ms += waiting.work_ms
        soonest = min(soonest, waiting.job.deadline)
        if profile.typical(size) - work_ms <= pick.spare_ms:
            fits = size
    return members[:fits], members[fits:] + rest


def _holds_up(lane: Lane, members: list[Waiting], rest: list[Waiting], now: float) -> bool:
    """Tell whether a small batch makes a larger one behind it late."""
    after = min(len(rest), lane.terms.max_batch)
    if after <= len(members):
        return False
    ends = now + lane.profile.typical(len(members)) + lane.profile.careful(after)
    return ends > rest[0].job.deadline

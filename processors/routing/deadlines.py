"""How much of a request's time a stage may use.

A stage with a share of its own has that part of the whole time. The others share what is left in
proportion to how long their services usually take, along the longest way to the end.
"""

from processors.routing.instances import Instances
from processors.routing.plans import Plan, Step
from processors.routing.stages import has_ended
from processors.routing.state import SHADOW, Pending, Run


def due_of(
    number: int,
    plan: Plan,
    pending: Pending,
    instances: Instances,
    overhead_ms: float,
    now_ms: int,
) -> int:
    """Return when (ms) a stage that begins now must end; the last one has all that is left."""
    step = plan.steps[number]
    if not step.before:
        return pending.answer_at
    begun = min((run.began_at for run in pending.runs if run.began_at), default=now_ms)
    whole = pending.answer_at - begun
    if step.stage.deadline_share > 0:
        return min(pending.answer_at, now_ms + int(step.stage.deadline_share * whole))
    reserved, profiled = _longest(number, plan, pending.runs, instances, overhead_ms, whole)
    own = _usual(step, instances) + overhead_ms
    left = max(0.0, pending.answer_at - now_ms - reserved)
    return now_ms + int(left * own / (own + profiled))


def _longest(
    number: int,
    plan: Plan,
    runs: tuple[Run, ...],
    instances: Instances,
    overhead_ms: float,
    whole: int,
) -> tuple[float, float]:
    """Return the time of the stages after one, ms: by their shares, and by what is usual.

    From the last stage back, each once: there may be many ways through a graph.
    """
    behind: dict[int, tuple[float, float]] = {}
    ways: dict[int, tuple[float, float]] = {}
    for at in range(len(plan.steps) - 1, number - 1, -1):
        step = plan.steps[at]
        open_ = [ways[later] for later in step.before if not has_ended(runs[later])]
        reserved, profiled = behind[at] = max(open_, key=sum, default=(0.0, 0.0))
        if step.stage.deadline_share > 0:
            ways[at] = (reserved + step.stage.deadline_share * whole, profiled)
        else:
            ways[at] = (reserved, profiled + _usual(step, instances) + overhead_ms)
    return behind[number]


def _usual(step: Step, instances: Instances) -> float:
    """Return how long a stage usually takes, ms; one by one, all of its voters might be asked."""
    times = [instances.usual_ms(voter.service) for voter in step.voters if voter.role != SHADOW]
    if step.stage.kind == "cascade":
        return sum(times)
    return max(times, default=0.0)

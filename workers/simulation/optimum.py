"""What an order could have reached that knew everything beforehand: a bound by CP-SAT. Pure.

One machine, no preemption, the largest value in time (1 | r_j | sum w_j U_j): each frame is an
optional interval within its arrival and deadline, and no two overlap. Times are rounded in favour
of the optimum, to 10 us, so that the bound holds for the scenario itself.

A scenario falls into parts that are solved one by one wherever all deadlines are over before the
next frame arrives. Parts of more than 150 frames are cut into pieces where the least work is in
between: the bound takes the machine to be free for each piece, what is found begins each piece
when the one before is done.

Three more things make the bound looser than the optimum: a frame that may ride in a batch counts
as its own part and an equal share of the largest batch's fixed part; under heat, as at the coolest
moment between arrival and deadline, and never hot by its own work; bounds of queues and of gaps
are left out. What is found may then be out of reach, too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

from workers.simulation.frames import Frame, arriving
from workers.simulation.scenario import Scenario

MOST = 150
_TICKS = 100
_CLOSE = 0.02
_FAR = 400 * _TICKS


@dataclass(frozen=True, slots=True)
class Wanted:
    """A frame as the solver sees it, in ticks of 10 us; `kind` names what it is alike to."""

    begin: int
    end: int
    takes: int
    value: float
    kind: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """What was found for some frames: its value and a bound of it, and its ends in ticks."""

    value: float
    bound: float
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Optimum:
    """Shares of the value of all frames: what was found, and what nobody can exceed."""

    found_share: float
    bound_share: float

    @property
    def solved(self) -> bool:
        """Say whether the two are within 2 % of each other."""
        return self.found_share >= (1 - _CLOSE) * self.bound_share


def relaxed(scenario: Scenario) -> bool:
    """Say whether the bound is that of an easier problem, see above."""
    hot = scenario.heat is not None or scenario.thermal is not None
    return hot or any(one.batch.max > 1 for one in scenario.services)


def wanted(scenario: Scenario) -> Iterable[Wanted]:
    """Yield what the solver may choose from: the frames that can be in time at all."""
    for frame in arriving(scenario):
        begin, end = floor(frame.arrived * _TICKS), ceil(frame.deadline * _TICKS)
        takes = floor(_least_ms(frame, scenario) * _TICKS)
        if begin + takes <= end:
            yield Wanted(begin, end, takes, frame.service.value, frame.service.name)


def _least_ms(frame: Frame, scenario: Scenario) -> float:
    service = frame.service
    cool = scenario.heat.least(frame.arrived, frame.deadline) if scenario.heat else 1.0
    usual = cool * (frame.item_ms + service.service_time.fixed_ms / service.batch.max)
    return usual if service.cold_ms is None else min(usual, service.cold_ms / service.batch.max)


def solve(scenario: Scenario, seconds: float, threads: int = 1) -> Optimum:
    """Return the optimum of a scenario as far as it is known after so many seconds for each piece.

    Raises ModuleNotFoundError when OR-Tools is not installed.
    """
    total = sum(frame.service.value for frame in arriving(scenario))
    if total == 0:
        return Optimum(1.0, 1.0)
    found = bound = 0.0
    free_at = 0
    for part in parts(wanted(scenario)):
        for piece in cut(part, MOST):
            best = solved(piece, seconds, threads)
            bound += best.bound
            if best.begins < free_at:
                late = [job for job in (_not_before(one, free_at) for one in piece) if job]
                best = solved(late, seconds, threads)
            found += best.value
            free_at = max(free_at, best.ends)
    return Optimum(found / total, min(1.0, bound / total))


def parts(jobs: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Yield what can be solved by itself: all of a part is over when the next begins."""
    part: list[Wanted] = []
    over = 0
    for job in jobs:
        if part and job.begin >= over:
            yield part
            part = []
        part.append(job)
        over = max(over, job.end)
    if part:
        yield part


def cut(part: list[Wanted], most: int) -> list[list[Wanted]]:
    """Return a part in pieces of at most so many, cut where the least work is in between."""
    if len(part) <= most:
        return [part]
    fifth = len(part) // 5
    place = min(range(fifth, len(part) - fifth), key=lambda place: _across(part, place))
    return [*cut(part[:place], most), *cut(part[place:], most)]


def _across(part: list[Wanted], place: int) -> int:
    """Return the work that could be done on either side of a cut."""
    return sum(job.takes for job in part[:place] if job.end > part[place].begin)


def _not_before(job: Wanted, free_at: int) -> Wanted | None:
    """Return a frame as it is for a machine that is busy until then; None when it is too late."""
    begin = max(job.begin, free_at)
    return replace(job, begin=begin) if begin + job.takes <= job.end else None


def solved(jobs: list[Wanted], seconds: float, threads: int) -> Schedule:
    """Return the best schedule found; first told of crowded stretches, then, when stuck, not."""
    best = Schedule(0.0, sum(job.value for job in jobs), 0, 0)
    for energy in (True, False):
        if best.value >= (1 - _CLOSE / 4) * best.bound:
            break
        other = _attempt(jobs, seconds / 2, threads, energy=energy)
        bound = min(best.bound, other.bound)
        best = replace(max(best, other, key=lambda one: one.value), bound=bound)
    return best


def _attempt(jobs: list[Wanted], seconds: float, threads: int, *, energy: bool) -> Schedule:
    from ortools.sat.python import cp_model  # noqa: PLC0415 - an extra, and slow to import

    model = cp_model.CpModel()
    taken = [model.new_bool_var("") for _ in jobs]
    starts = [model.new_int_var(job.begin, job.end - job.takes, "") for job in jobs]
    model.add_no_overlap(
        model.new_optional_fixed_size_interval_var(start, job.takes, chosen, "")
        for job, start, chosen in zip(jobs, starts, taken, strict=True)
    )
    _in_order(model, jobs, taken, starts)
    for inside, room in crowded(jobs) if energy else ():
        model.add(sum(jobs[place].takes * taken[place] for place in inside) <= room)
    model.maximize(sum(job.value * chosen for job, chosen in zip(jobs, taken, strict=True)))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = threads
    solver.parameters.relative_gap_limit = _CLOSE / 10
    solver.parameters.random_seed = 1
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Schedule(0.0, sum(job.value for job in jobs), 0, 0)
    placed = [
        (solver.value(start), job.takes)
        for job, start, chosen in zip(jobs, starts, taken, strict=True)
        if solver.value(chosen)
    ]
    begins = min((start for start, _ in placed), default=0)
    ends = max((start + takes for start, takes in placed), default=0)
    return Schedule(solver.objective_value, solver.best_objective_bound, begins, ends)


def _in_order(model: Any, jobs: list[Wanted], taken: list[Any], starts: list[Any]) -> None:
    """Let alike frames that take equally long begin as they arrive: exchanging changes nothing."""
    last: dict[tuple[str, int], int] = {}
    for place, job in enumerate(jobs):
        before = last.get((job.kind, job.takes))
        if before is not None:
            in_order = model.add(starts[before] + job.takes <= starts[place])
            in_order.only_enforce_if(taken[before], taken[place])
        last[(job.kind, job.takes)] = place


def crowded(jobs: list[Wanted]) -> Iterator[tuple[list[int], int]]:
    """Yield stretches of time that cannot hold all that must be done within: what, and the room."""
    by_end = sorted(range(len(jobs)), key=lambda place: jobs[place].end)
    for begin in sorted({job.begin for job in jobs}):
        inside: list[int] = []
        work = 0
        for place, after in zip(by_end, [*by_end[1:], -1], strict=True):
            job = jobs[place]
            if job.begin < begin or job.end - begin > _FAR:
                continue
            inside.append(place)
            work += job.takes
            if work > job.end - begin and (after < 0 or jobs[after].end > job.end):
                yield list(inside), job.end - begin

"""Algorithms that plan a whole query: which services answer each stage, on which node, and when.

A stage is a task. All tasks together have up to `max_members` members, each one before any has
a second one, even where the stages are more. A node does one thing after another, so that members
on one node wait for each other; services without places have a node each.

**DREAM** (MapScore; Kim et al., ASPLOS 2024): of all pairs of a task that is ready and a node, the
one with the highest urgency * preference + alpha * starvation + beta * energy is taken next.
Urgency = time to go / slack, preference = sum over nodes of the latency / that on this node,
starvation = time since the task was last served / its latency, energy likewise to preference. A
member is the most accurate service that meets the slack; where none does, the task goes without
(early drop), or, if it has nobody yet, with the fastest.

**LLF**: the task with the least laxity, deadline - time - latency on the node where it ends first,
is taken next, there; with a negative one it is dropped likewise.

**adaptive** (after ROHE's orchestrator): each task is allocated a part of the time: its fraction
(`fraction.STAGE`), else all that is left, within the fastest and slowest of its services. Tasks are
laid into phases one after another, the shortest first, each into the deepest phase that still ends
in time (there, ends were not raised, and a plan could exceed its time). Members are the most
accurate that fit the allocated time. Who runs a plan plans again with what time is left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from processors.selecting.ensembles import Candidate, Found, Place, Problem, Scored
from processors.selecting.proposals import number
from processors.selecting.searching import evaluated

_LEAST_SLACK_MS = 1e-3


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate at one of its places."""

    candidate: Candidate
    place: Place

    @property
    def latency_ms(self) -> float:
        """Return the time it must be given there, ms."""
        return self.place.latency_high_ms

    @property
    def node(self) -> str:
        """Return where that is, if it is known."""
        return self.place.place if self.candidate.places else ""


@dataclass(slots=True)
class Task:
    """A stage of the query: who may answer it, who was chosen, and when it was last served."""

    stage: str
    options: list[Option]
    chosen: list[Candidate] = field(default_factory=list)
    served_ms: float = 0.0
    dropped: bool = False

    @property
    def mean_ms(self) -> float:
        """Return the mean latency over who may answer, and where."""
        return sum(o.latency_ms for o in self.options) / len(self.options)


Score = Callable[[Task, Option, float, float], float]
"""How much a task should go to an option next, from when (ms) its node is free and the budget."""


def dream(problem: Problem, keep: int) -> Found:
    """Return the plan by MapScore; `alpha` and `beta` are parameters, 1 unless told."""
    alpha, beta = number(problem.told, "alpha", 1.0), number(problem.told, "beta", 1.0)

    def score(task: Task, option: Option, free_ms: float, budget_ms: float) -> float:
        same = [o for o in task.options if o.candidate is option.candidate]
        slack = max(_LEAST_SLACK_MS, budget_ms - free_ms)
        urgency = task.mean_ms / slack if slack < inf else 0.0
        preference = sum(o.latency_ms for o in same) / max(_LEAST_SLACK_MS, option.latency_ms)
        starved = max(0.0, free_ms - task.served_ms) / max(_LEAST_SLACK_MS, task.mean_ms)
        joules = option.place.energy_j
        energy = sum(o.place.energy_j for o in same) / joules if joules > 0 else 0.0
        return urgency * preference + alpha * starved + beta * energy

    return _listed(problem, score, "dream", keep)


def llf(problem: Problem, keep: int) -> Found:
    """Return the plan by least laxity; of equals the one that is over first."""

    def score(_task: Task, option: Option, free_ms: float, budget_ms: float) -> float:
        if budget_ms == inf:
            return -(free_ms + option.latency_ms)
        return -(budget_ms - free_ms - option.latency_ms)

    return _listed(problem, score, "llf", keep, soonest=True)


def _listed(
    problem: Problem, score: Score, name: str, keep: int, *, soonest: bool = False
) -> Found:
    """Return the plan of a list scheduler, and those that let each task have a member less.

    With `soonest` the score tells tasks apart alone: each goes to the node where it ends first.
    """
    sizes = range(problem.objective.max_members, 0, -1)
    ranked: dict[tuple[str, ...], Scored] = {}
    for size in sizes:
        if len(ranked) < keep and problem.candidates:
            plan = _scheduled(problem, score, size, soonest=soonest)
            ranked.setdefault(plan.services, plan)
    return Found(tuple(ranked.values()), name, 0.0)


def _scheduled(problem: Problem, score: Score, size: int, *, soonest: bool) -> Scored:
    tasks = _tasks(problem)
    budget = problem.budget_ms - problem.objective.overhead_ms
    free: dict[str, float] = {}
    ends: dict[str, float] = {}
    taken: list[Candidate] = []
    nodes: dict[str, str] = {}
    room = max(problem.objective.max_members, len(tasks))
    while len(taken) < room:
        ready = [t for t in _open(tasks, size, room - len(taken)) if _may_begin(t, tasks, problem)]
        each = [(t, _fitting(t, free, _released(t, ends, problem), budget)) for t in ready]
        found = [
            (score(task, option, start, budget), task, option, start)
            for task, options in each
            for option, start in (_soonest(options) if soonest else options)
        ]
        for task in ready:
            task.dropped = not any(each[1] is task for each in found)
        if not found:
            if not ready:
                break
            continue
        _, task, option, start = max(found, key=lambda f: (f[0], _named(f[2])))
        end = start + option.latency_ms
        free[option.place.place] = task.served_ms = end
        task.chosen.append(option.candidate)
        ends[task.stage] = max(end, ends.get(task.stage, 0.0))
        taken.append(_begun(option, start))
        nodes[option.candidate.service] = option.node
    return _planned(taken, problem, range(len(taken)), nodes)


def _open(tasks: Sequence[Task], size: int, left: int) -> list[Task]:
    """Return the tasks that may have another member: not where all that is left is for others."""
    lacking = sum(not task.chosen and not task.dropped for task in tasks)
    return [
        task
        for task in tasks
        if not task.dropped and len(task.chosen) < size and (not task.chosen or left > lacking)
    ]


def _begun(option: Option, start_ms: float) -> Candidate:
    """Return a candidate as it is where it answers, from when it begins there."""
    place = option.place
    return replace(
        option.candidate,
        places=(),
        latency_ms=start_ms + place.latency_ms,
        latency_high_ms=start_ms + place.latency_high_ms,
        cost=place.cost,
        energy_j=place.energy_j,
    )


def _may_begin(task: Task, tasks: Sequence[Task], problem: Problem) -> bool:
    """Return whether every stage that a task waits for has a member, or will never have one."""
    needed = problem.after.get(task.stage, ())
    return all(t.chosen or t.dropped for t in tasks if t.stage in needed)


def _released(task: Task, ends: Mapping[str, float], problem: Problem) -> float:
    return max((ends.get(stage, 0.0) for stage in problem.after.get(task.stage, ())), default=0.0)


def _fitting(
    task: Task, free: Mapping[str, float], released: float, budget: float
) -> list[tuple[Option, float]]:
    """Return the most accurate service that ends in time, at each place, with when it begins.

    Where none does: the one that ends first, if the task has nobody yet, else none.
    """
    names = {candidate.service for candidate in task.chosen}
    begun = [
        (option, max(released, free.get(option.place.place, 0.0)))
        for option in task.options
        if option.candidate.service not in names
    ]
    able = [(o, start) for o, start in begun if start + o.latency_ms <= budget]
    if able:
        best = max((o.candidate.accuracy, o.candidate.service) for o, _ in able)
        return [(o, s) for o, s in able if (o.candidate.accuracy, o.candidate.service) == best]
    if task.chosen or not begun:
        return []
    return _soonest(begun)


def _soonest(options: list[tuple[Option, float]]) -> list[tuple[Option, float]]:
    """Return the one that ends first, with when it begins; none of none."""
    return sorted(options, key=lambda each: (each[1] + each[0].latency_ms, _named(each[0])))[:1]


def adaptive(problem: Problem, keep: int) -> Found:
    """Return the plan of phases, and those that let each task have a member less."""
    ranked: dict[tuple[str, ...], Scored] = {}
    for size in range(problem.objective.max_members, 0, -1):
        if len(ranked) < keep and problem.candidates:
            plan = _phased(problem, size)
            ranked.setdefault(plan.services, plan)
    return Found(tuple(ranked.values()), "adaptive", 0.0)


def _phased(problem: Problem, size: int) -> Scored:
    allocated = allocation(problem)
    phases = phases_of(allocated, problem.budget_ms)
    begin: dict[int, float] = {}
    for stage, phase in phases.items():
        begin[phase + 1] = max(begin.get(phase + 1, 0.0), allocated[stage])
    starts = {
        phase: sum(begin.get(p, 0.0) for p in range(phase + 1)) for phase in range(len(begin) + 1)
    }
    members: list[tuple[int, str, Option]] = []
    for task in _tasks(problem):
        fitting = [o for o in task.options if o.place.latency_ms <= allocated[task.stage]]
        best: dict[str, Option] = {}
        for option in sorted(fitting or task.options, key=lambda o: (o.latency_ms, _named(o))):
            best.setdefault(option.candidate.service, option)
        chosen = sorted(best.values(), key=lambda o: (-o.candidate.accuracy, _named(o)))[:size]
        members += [(rank, task.stage, option) for rank, option in enumerate(chosen)]
    room = max(problem.objective.max_members, len(allocated))
    told = [
        (_begun(option, starts[phases[stage]]), phases[stage])
        for _, stage, option in sorted(members, key=lambda each: each[:2])[:room]
    ]
    nodes = {option.candidate.service: option.node for _, _, option in members}
    return _planned([m for m, _ in told], problem, [phase for _, phase in told], nodes)


def _planned(
    members: Sequence[Candidate], problem: Problem, orders: Sequence[int], nodes: Mapping[str, str]
) -> Scored:
    """Return members as an ensemble: in which order they are asked, and on which nodes."""
    found = evaluated(members, problem.objective, orders)
    return replace(found, places=tuple(nodes[service] for service in found.services))


def allocation(problem: Problem) -> dict[str, float]:
    """Return the time, ms, that each stage is given: its fraction, else all that is left."""
    budget = problem.budget_ms - problem.objective.overhead_ms
    found = {}
    for task in _tasks(problem):
        share = number(problem.told, f"fraction.{task.stage}", 1.0)
        times = [option.place.latency_ms for option in task.options]
        found[task.stage] = min(max(share * budget, min(times)), max(times))
    return found


def phases_of(allocated: Mapping[str, float], budget_ms: float) -> dict[str, int]:
    """Return the phase of each stage: the shortest first, each as deep as still ends in time."""
    lengths: list[float] = []
    found: dict[str, int] = {}
    for stage, time in sorted(allocated.items(), key=lambda each: (each[1], each[0])):
        depth = len(lengths)
        while depth > 0 and sum(lengths[:depth]) + time + sum(lengths[depth + 1 :]) > budget_ms:
            depth -= 1
        if depth == len(lengths):
            lengths.append(0.0)
        lengths[depth] = max(lengths[depth], time)
        found[stage] = depth
    return found


def _tasks(problem: Problem) -> list[Task]:
    stages: dict[str, list[Option]] = {}
    for candidate in sorted(problem.candidates, key=lambda c: c.service):
        own = candidate
        alone = Place(
            place=own.service,
            latency_ms=own.latency_ms,
            latency_high_ms=own.latency_high_ms,
            cost=own.cost,
            energy_j=own.energy_j,
        )
        for place in own.places or (alone,):
            stages.setdefault(own.stage, []).append(Option(own, place))
    return [Task(stage, options) for stage, options in sorted(stages.items())]


def _named(option: Option) -> tuple[str, str]:
    return option.candidate.service, option.place.place

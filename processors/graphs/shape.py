"""Names, inputs, cycles: whether stages make a graph that can be walked from its beginning."""

from collections.abc import Iterator, Mapping, Sequence

from processors.graphs.problems import Problem
from schemas.graphs import Stage

Edges = Mapping[str, Sequence[str]]
"""From a stage to those that must have ended before it."""


def earlier_of(stage: Stage) -> tuple[str, ...]:
    """Return the stages that must have ended before one: its inputs, then what it looks at."""
    looked_at = (condition.stage for condition in stage.conditions)
    return tuple(dict.fromkeys((*stage.inputs, *looked_at)))


def shape_problems(stages: Sequence[Stage]) -> Iterator[Problem]:
    """Yield what is wrong with the names of stages and with what they name."""
    places: dict[str, int] = {}
    for number, stage in enumerate(stages):
        where = f"stages[{number}].stage"
        if not stage.stage:
            yield Problem(where, "it has no name", "name it")
        elif stage.stage in places:
            first = f"stages[{places[stage.stage]}]"
            yield Problem(
                where, f"{first} is {stage.stage!r}, too", "names must differ: rename one"
            )
        places.setdefault(stage.stage, number)
    circle = cycle({stage.stage: earlier_of(stage) for stage in stages})
    if circle:
        path = " -> ".join((*circle, circle[0]))
        remedy = "let one of them do without the other"
        yield Problem(f"stages[{places[circle[0]]}]", f"stages wait in a cycle: {path}", remedy)
    for number, stage in enumerate(stages):
        yield from _named(stage, number, places, circle)


def _named(
    stage: Stage, number: int, places: Mapping[str, int], circle: Sequence[str]
) -> Iterator[Problem]:
    named = [(f"inputs[{i}]", name) for i, name in enumerate(stage.inputs)]
    named += [(f"conditions[{i}].stage", one.stage) for i, one in enumerate(stage.conditions)]
    for field, name in named:
        where = f"stages[{number}].{field}"
        if name not in places:
            known = ", ".join(places) or "none"
            yield Problem(where, f"there is no stage {name!r}", f"name an earlier one of {known}")
        elif places[name] >= number and not (name in circle and stage.stage in circle):
            what = f"{name!r} is no earlier stage: it is stages[{places[name]}]"
            yield Problem(where, what, f"put {name!r} before {stage.stage!r}")
    for name in sorted({name for name in stage.inputs if stage.inputs.count(name) > 1}):
        yield Problem(f"stages[{number}].inputs", f"{name!r} stands twice", "name it once")


def cycle(edges: Edges) -> tuple[str, ...]:
    """Return stages that wait for each other in a circle, each for the next; else nothing.

    A depth-first search that keeps its path (Tarjan 1972), without recursion.
    """
    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        left = [iter((start,))]
        while left:
            name = next((n for n in left[-1] if n not in done and n in edges), None)
            if name is None:
                left.pop()
                if path:
                    done.add(path.pop())
            elif name in path:
                return tuple(path[path.index(name) :])
            else:
                path.append(name)
                left.append(iter(edges[name]))
    return ()

"""What each kind of stage needs: its services, its shares, its conditions, its part of the time."""

import math
from collections.abc import Collection, Iterator, Sequence

from processors.graphs.problems import KINDS, ROLES, Problem
from processors.graphs.shape import earlier_of
from schemas.graphs import Condition, Split, Stage

NUMBERS = ("<", "<=", ">", ">=", "==", "!=")
LABELS = ("==", "!=", "in", "not_in")
FACTS = ("confidence", "agreement", "label")
WHOLES = (1.0, 100.0)
"""What the weights of a split may add up to: shares or percentages."""


def kind_problems(
    stages: Sequence[Stage], classes: Collection[str], combiners: Collection[str]
) -> Iterator[Problem]:
    """Yield what is wrong with single stages, and with the shares of the deadline.

    Without `classes` any label may be looked for; without `combiners` each is taken to exist.
    """
    for number, stage in enumerate(stages):
        where = f"stages[{number}]"
        if stage.kind and stage.kind not in KINDS:
            what = f"{stage.kind!r} is no kind of stage"
            yield Problem(f"{where}.kind", what, f"write one of {', '.join(KINDS)}")
        if stage.combine and combiners and stage.combine not in combiners:
            what = f"there is no combiner {stage.combine!r}"
            yield Problem(f"{where}.combine", what, f"name one of {', '.join(sorted(combiners))}")
        yield from _cascade(stage, where)
        yield from _split(stage, where)
        for place, condition in enumerate(stage.conditions):
            yield from _condition(condition, f"{where}.conditions[{place}]", classes)
        if not 0 <= stage.deadline_share <= 1:
            what = f"{stage.deadline_share} is no part of the deadline"
            yield Problem(f"{where}.deadline_share", what, "give a number from 0 to 1")
    yield from _deadlines(stages)


def _cascade(stage: Stage, where: str) -> Iterator[Problem]:
    below = stage.escalate_below
    if stage.kind != "cascade":
        if below:
            yield Problem(f"{where}.escalate_below", "only a cascade escalates", "leave it out")
        return
    if not 0 < below <= 1:
        what = f"at {below} it would {'always' if below > 1 else 'never'} escalate"
        yield Problem(f"{where}.escalate_below", what, "give a confidence over 0, up to 1")
    if len(stage.services) == 1:
        what = "a cascade of one service has nobody to escalate to"
        yield Problem(f"{where}.services", what, "name the cheap one first, then the others")


def _split(stage: Stage, where: str) -> Iterator[Problem]:
    if stage.kind != "split":
        if stage.splits:
            what = f"a stage of kind {stage.kind or KINDS[0]!r} splits nothing"
            yield Problem(f"{where}.splits", what, "write kind split, or leave them out")
        return
    if not stage.splits:
        yield Problem(f"{where}.splits", "nobody has a share", "give each service one")
        return
    for place, split in enumerate(stage.splits):
        yield from _share(split, stage, f"{where}.splits[{place}]")
    weights = [one.weight for one in stage.splits if one.role != "shadow"]
    total = math.fsum(weights)
    if all(map(math.isfinite, weights)) and not any(math.isclose(total, each) for each in WHOLES):
        what = f"the weights of active and canary services add up to {total:g}"
        yield Problem(f"{where}.splits", what, "let them add up to 1, or to 100")


def _share(split: Split, stage: Stage, where: str) -> Iterator[Problem]:
    if not (math.isfinite(split.weight) and split.weight >= 0):
        yield Problem(f"{where}.weight", f"{split.weight} is no share", "give 0 or more")
    if split.role not in ROLES:
        what = f"{split.role!r} is no role"
        yield Problem(f"{where}.role", what, f"write one of {', '.join(ROLES)}")
    if stage.services and split.service not in stage.services:
        what = f"{split.service!r} is no service of this stage"
        yield Problem(f"{where}.service", what, f"name one of {', '.join(stage.services)}")


def _condition(one: Condition, where: str, classes: Collection[str]) -> Iterator[Problem]:
    if one.on not in FACTS:
        what = f"nothing is known of {one.on!r}"
        yield Problem(f"{where}.on", what, f"write one of {', '.join(FACTS)}")
        return
    operators = LABELS if one.on == "label" else NUMBERS
    if one.operator not in operators:
        what = f"{one.operator!r} compares no {one.on}"
        yield Problem(f"{where}.operator", what, f"write one of {', '.join(operators)}")
    if one.on != "label":
        if not 0 <= one.threshold <= 1:
            what = f"{one.on} is never {one.threshold}"
            yield Problem(f"{where}.threshold", what, "give a number from 0 to 1")
        return
    if not one.labels:
        yield Problem(f"{where}.labels", "no label is named", "name at least one")
    for label in one.labels:
        if classes and label not in classes:
            what = f"the application has no class {label!r}"
            yield Problem(f"{where}.labels", what, f"name some of {', '.join(classes)}")


def _deadlines(stages: Sequence[Stage]) -> Iterator[Problem]:
    """Yield the first stage at whose end more than the whole deadline would be spent."""
    spent: dict[str, float] = {}
    for number, stage in enumerate(stages):
        before = max((spent.get(name, 0.0) for name in earlier_of(stage)), default=0.0)
        spent[stage.stage] = before + stage.deadline_share
        if before <= 1.0 < spent[stage.stage] - 1e-9:
            what = f"with those before it, it has {spent[stage.stage]:g} of the deadline"
            where = f"stages[{number}].deadline_share"
            yield Problem(where, what, "let the shares of a chain add up to 1 at most")

"""When a stage begins, when it has enough answers, and what its answer is."""

import operator
from collections.abc import Callable, Mapping, Sequence

from processors.routing.plans import Plan, Step
from processors.routing.state import (
    ANSWERED,
    ASKED,
    FAILED,
    LATE,
    MISSING,
    OK,
    OPEN,
    PARTIAL,
    SHADOW,
    SKIPPED,
    UNPLACED,
    WAITING,
    Member,
    Run,
)
from processors.routing.votes import (
    Combiner,
    Vote,
    agreement,
    combine,
    is_decided,
    mean_scores,
    weights_of,
)
from schemas.graphs import Condition

NOT_NEEDED = "not needed: the answer could not change any more"
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_UNDER_WAY = (WAITING, ASKED)


def has_ended(run: Run) -> bool:
    """Tell whether nothing more comes of a stage."""
    return run.status not in _UNDER_WAY


def has_answered(run: Run) -> bool:
    """Tell whether a stage gave something."""
    return run.status in (ANSWERED, PARTIAL)


def fate(step: Step, plan: Plan, runs: Sequence[Run]) -> tuple[str, str]:
    """Return what becomes of a stage that has not begun, as a status, and why.

    WAITING while earlier ones are under way; ASKED when it can begin.
    """
    if not all(has_ended(runs[number]) for number in step.after):
        return WAITING, ""
    for number in step.inputs:
        if runs[number].status in (FAILED, LATE) and not plan.steps[number].stage.optional:
            return FAILED, f"{runs[number].stage} gave nothing"
    if step.inputs and all(runs[number].status == SKIPPED for number in step.inputs):
        return SKIPPED, "the stages before it were skipped"
    by_name = {runs[number].stage: runs[number] for number in step.after}
    for condition in step.stage.conditions:
        run = by_name.get(condition.stage)
        if run is not None and not holds(condition, run):
            return SKIPPED, f"not asked for: {_told(condition)}"
    return ASKED, ""


def holds(condition: Condition, run: Run) -> bool:
    """Tell whether a condition holds of a stage that has ended; of nothing it never does."""
    if not has_answered(run):
        return False
    if condition.on == "label":
        named = run.label in condition.labels
        return named if condition.operator in ("in", "==") else not named
    fact = run.confidence if condition.on == "confidence" else run.agreement
    compare = _COMPARE.get(condition.operator)
    return fact is not None and compare is not None and compare(fact, condition.threshold)


def _told(condition: Condition) -> str:
    value = ", ".join(condition.labels) if condition.on == "label" else f"{condition.threshold:g}"
    return f"{condition.on} of {condition.stage} {condition.operator} {value} does not hold"


def voters_of(run: Run) -> list[Member]:
    """Return the members whose answers count."""
    return [member for member in run.members if member.role != SHADOW]


def following(step: Step, run: Run) -> Member | None:
    """Return who is asked next in a stage that asks one by one; None while one is awaited."""
    for member in voters_of(run):
        if member.status == OK and _is_enough(step, member):
            return None
        if member.status == MISSING:
            return None
        if member.status == UNPLACED and not member.passed:
            return member
    return None


def _is_enough(step: Step, member: Member) -> bool:
    if step.stage.kind == "preprocess":
        return True
    return member.confidence is None or member.confidence >= step.stage.escalate_below


def is_settled(step: Step, run: Run, quorum: int) -> bool:
    """Tell whether nothing more needs to be waited for; shadows never are.

    With a `quorum`, so many answers are enough once the others cannot change the vote.
    """
    voters = voters_of(run)
    if step.one_by_one:
        if _is_settled_by(step, [member for member in voters if member.status == OK]):
            return True
        asked = [member for member in voters if not member.passed]
        return bool(asked) and all(member.status not in OPEN for member in asked)
    if not voters:
        return False
    good = sum(member.status == OK for member in voters)
    if step.combine == "first" and good:
        return True
    if all(member.status not in OPEN for member in voters):
        return True
    return 0 < quorum <= good and _cannot_change(step, voters)


def _cannot_change(step: Step, voters: Sequence[Member]) -> bool:
    if step.combine != "weighted_vote":
        return False
    weights = weights_of([member.weight for member in voters])
    pairs = list(zip(voters, weights, strict=True))
    votes = [_vote(member, weight) for member, weight in pairs if _has_voted(member)]
    left = [_most(member, weight) for member, weight in pairs if member.status in OPEN]
    return is_decided(votes, left)


def _most(member: Member, weight: float) -> float:
    return max([weight, *(one.weight for one in member.class_weights)])


def _has_voted(member: Member) -> bool:
    return member.status == OK and member.label is not None


def _vote(member: Member, weight: float) -> Vote:
    if not member.class_weights:
        return Vote(weight, member.label or "", member.confidence, member.scores, member.classes)
    weights = {one.label: one.weight for one in member.class_weights}
    return Vote(
        weight, member.label or "", member.confidence, member.scores, member.classes, weights
    )


def close(step: Step, run: Run, now_ms: int, others: Mapping[str, Combiner]) -> None:
    """End a stage with what has arrived: its status and its answer.

    Of a stage that asks one by one, those whose turn never came are none of its members.
    """
    if step.one_by_one:
        run.members = tuple(m for m in run.members if m.attempts or m.passed or m.role == SHADOW)
    voters = voters_of(run)
    good = [member for member in voters if member.status == OK]
    early = any(member.status == MISSING for member in voters) and now_ms < run.due
    run.ended_at = now_ms
    run.missing = len(good) < len(voters)
    if good:
        enough = early or not run.missing or (step.one_by_one and _is_settled_by(step, good))
        run.status = ANSWERED if enough else PARTIAL
        _judge(step, run, voters, others)
    else:
        late = any(member.status == MISSING for member in voters)
        run.status = LATE if late else FAILED
    for member in voters:
        if early and member.status == MISSING:
            member.reason = NOT_NEEDED


def _is_settled_by(step: Step, good: Sequence[Member]) -> bool:
    return any(_is_enough(step, member) for member in good)


def _judge(step: Step, run: Run, voters: Sequence[Member], others: Mapping[str, Combiner]) -> None:
    """Combine the votes of the members that have answered."""
    weights = weights_of([member.weight for member in voters])
    pairs = sorted(zip(voters, weights, strict=True), key=lambda pair: pair[0].arrival)
    votes = [_vote(member, weight) for member, weight in pairs if _has_voted(member)]
    verdict = combine(step.combine, votes, sum(weights), others)
    if verdict is not None:
        run.label, run.confidence = verdict.label, verdict.confidence
        run.classes, run.scores = verdict.classes, verdict.scores
        if not verdict.classes:
            run.classes, run.scores = mean_scores(votes)
        run.agreement = agreement(votes, verdict.label, len(voters))
    best = max(
        (pair for pair in pairs if pair[0].outputs),
        key=lambda pair: (pair[0].label == run.label, pair[1]),
        default=None,
    )
    if best is not None:
        run.outputs = best[0].outputs

"""What can be told of one answer: which clauses of its contract it keeps, and how it came about."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from processors.routing.state import SHADOW
from schemas.decisions import EnsembleSelected
from schemas.inference import ClauseHeld, InferenceResponse
from schemas.registrations import Clause, ContractRegistered

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COUNTS = ("count", "rate")
"""Statistics that say nothing of a single answer."""
_RUNNERS_UP = 3


def held(response: InferenceResponse, contract: ContractRegistered) -> tuple[ClauseHeld, ...]:
    """Return the clauses of a contract that one answer can be held to, and whether it kept them.

    A mean or quantile of a window is none of one answer: its own value is compared instead.
    """
    found = []
    for clause in contract.clauses:
        observed = _observed(response, clause)
        compare = _COMPARE.get(clause.operator)
        if observed is not None and compare is not None and clause.statistic not in _COUNTS:
            kept = compare(observed, clause.threshold)
            found.append(
                ClauseHeld(
                    clause=clause.name,
                    held=kept,
                    observed=observed,
                    threshold=clause.threshold,
                )
            )
    return tuple(found)


def _observed(response: InferenceResponse, clause: Clause) -> float | None:
    """Return the value of an answer that a clause is about; None where it has none."""
    if clause.label and clause.label != response.label:
        return None
    if clause.stage or clause.service or clause.instance:
        return _of_part(response, clause)
    values: Mapping[str, float | None] = {
        "response_latency": response.latency_ms,
        "latency": response.latency_ms,
        "confidence": response.confidence,
        "agreement": response.agreement,
        "deadline_met": float(response.deadline_met),
        "answered": float(response.status in ("complete", "partial")),
    }
    value = values.get(clause.metric)
    return value if value is not None and math.isfinite(value) else None


def _of_part(response: InferenceResponse, clause: Clause) -> float | None:
    """Return the same of a stage, or the worst of the members that a clause is about."""
    members = [
        member
        for member in response.members
        if clause.stage in ("", member.stage)
        and clause.service in ("", member.service)
        and clause.instance in ("", member.instance)
    ]
    if clause.metric == "latency":
        return max((m.latency_ms for m in members if m.latency_ms is not None), default=None)
    if clause.metric == "confidence":
        return min((m.confidence for m in members if m.confidence is not None), default=None)
    return None


def with_unmet(response: InferenceResponse, selected: EnsembleSelected) -> InferenceResponse:
    """Return an answer that says which clauses its ensemble is not expected to keep, how nearly."""
    short = ", ".join(
        f"{one.clause} ({one.predicted:.4g} expected where {one.threshold:g} is the bound)"
        for one in selected.unmet
    )
    parts = filter(None, (response.explanation, f"no ensemble is known to keep {short}"))
    return replace(response, explanation=". ".join(parts))


def explained(response: InferenceResponse, selected: EnsembleSelected | None) -> InferenceResponse:
    """Return an answer with an explanation for whoever asked for one."""
    parts = [response.explanation or f"{response.status}: {response.reason or 'no label'}"]
    parts += _stages(response)
    if selected is not None:
        parts += _selection(selected)
    kept = [
        f"{one.clause} {'kept' if one.held else 'broken'} ({one.observed:g} where "
        f"{one.threshold:g} is the bound)"
        for one in response.clauses
    ]
    if kept:
        parts.append(f"contract {response.contract}: {', '.join(kept)}")
    return replace(response, explanation=". ".join(parts))


def _stages(response: InferenceResponse) -> Iterator[str]:
    for stage in response.stages:
        votes = [
            f"{member.service} {_said(member.label, member.confidence)} (weight {member.weight:g})"
            if member.status == "ok"
            else f"{member.service} {member.reason or member.status}"
            for member in response.members
            if member.stage == stage.stage
        ]
        time = f"{stage.latency_ms:g} of {stage.budget_ms:g} ms"
        who = ", ".join(votes) or "nobody"
        yield f"stage {stage.stage or 'of all'} {stage.status} in {time}: {who}"


def _said(label: str | None, confidence: float | None) -> str:
    sure = "" if confidence is None else f" at {confidence:.2f}"
    return f"said {label}{sure}" if label is not None else "gave tensors"


def _selection(selected: EnsembleSelected) -> Iterator[str]:
    names = ", ".join(m.service for m in selected.members if m.role != SHADOW)
    yield (
        f"{names} were selected by {selected.algorithm} with score {selected.score:.4g} "
        f"(accuracy {selected.predicted_accuracy:.4g}, latency "
        f"{selected.predicted_latency_ms:.4g} ms, cost {selected.predicted_cost:.4g}): "
        f"{selected.reason}"
    )
    if selected.scores:
        parts = ", ".join(
            f"{part.objective} {part.scaled:.4g} x {part.weight:g}" for part in selected.scores
        )
        yield f"parts of the score: {parts}"
    if selected.alternatives:
        others = ", ".join(
            f"{'+'.join(one.services)} {one.score:.4g}"
            for one in selected.alternatives[:_RUNNERS_UP]
        )
        yield f"runners-up: {others}"

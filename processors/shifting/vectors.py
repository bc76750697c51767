"""What a result says of the data: a vector of its inputs and one of its outputs."""

import math
from collections.abc import Sequence

from processors.shifting.faults import SUMMARY
from processors.shifting.judging import LABEL
from schemas.inference import InferenceResult

TENSORS, SCORES, LABELS = 8, 16, 64
"""Of how many input tensors, classes and labels the first are looked at, each."""
_MOST = 1e100


def names_of_inputs(result: InferenceResult) -> tuple[str, ...]:
    """Return the features of the inputs, `<tensor>.<number>`; none where nothing is summed up."""
    kept = result.input_summary[:TENSORS]
    return tuple(f"{one.name}.{number}" for one in kept for number in SUMMARY)


def inputs(result: InferenceResult) -> list[float]:
    """Return the values of these features; NaN for what is no number."""
    kept = result.input_summary[:TENSORS]
    return [_plain(getattr(one, number)) for one in kept for number in SUMMARY]


def names_of_outputs(result: InferenceResult) -> tuple[str, ...]:
    """Return the features of the outputs: label, confidence, and the scores by class."""
    if result.label is None:
        return ()
    scored = result.classes[:SCORES] if len(result.classes) == len(result.scores) else ()
    return (LABEL, "confidence", *(f"score.{name}" for name in scored))


def outputs(result: InferenceResult, names: Sequence[str], number: int) -> list[float]:
    """Return the values of these features; `number` is that of the label."""
    confidence = math.nan if result.confidence is None else _plain(result.confidence)
    scores = [_plain(score) for score in result.scores[: len(names) - 2]]
    return [float(number), confidence, *scores]


def numbered(labels: tuple[str, ...], label: str) -> tuple[tuple[str, ...], int]:
    """Return the labels with one more, if there is room, and its number; the rest share one."""
    if label in labels:
        return labels, labels.index(label)
    if len(labels) < LABELS:
        return (*labels, label), len(labels)
    return labels, LABELS


def _plain(value: float) -> float:
    return float(value) if abs(value) <= _MOST else math.nan

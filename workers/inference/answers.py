"""What a model's outputs say: a class with its probability, or raw tensors. Pure."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schemas.records import Tensor
from workers.inference.tensors import tensor_of
from workers.runtimes.base import Array, Signature
from workers.runtimes.errors import ExecutionFailed

CLASSES = "classes"
"""The property of a model file that names its classes: a JSON list, in order of the scores."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One task's answer; a model that does not classify has `outputs` alone."""

    label: str | None = None
    confidence: float | None = None
    scores: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    outputs: tuple[Tensor, ...] = ()


def read(outputs: Sequence[Array], signature: Signature) -> Answer:
    """Return the answer in one task's outputs.

    A classifier gives one label and one row of scores (as scikit-learn's exports without zipmap
    do), or one row of scores alone when its file names the classes. Raises ExecutionFailed for
    scores that are not finite and outputs that no tensor can carry.
    """
    scores = _row_of_scores(outputs)
    label = _single_label(outputs)
    named = class_names(signature.properties.get(CLASSES, ""))
    if scores is not None and (label is not None or len(named) == len(scores)):
        return _classified(label, scores, named if len(named) == len(scores) else ())
    names = [port.name for port in signature.outputs]
    pairs = zip(names, outputs, strict=True)
    return Answer(outputs=tuple(tensor_of(name, array) for name, array in pairs))


@lru_cache(maxsize=256)
def class_names(text: str) -> tuple[str, ...]:
    """Return the class names of a JSON list; nothing when it is none."""
    try:
        names = json.loads(text) if text else []
    except ValueError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _row_of_scores(outputs: Sequence[Array]) -> Array | None:
    found = [o for o in outputs if o.dtype.kind == "f" and o.ndim == 2 and o.shape[0] == 1]
    return found[0][0] if len(found) == 1 else None


def _single_label(outputs: Sequence[Array]) -> str | None:
    found = [o for o in outputs if o.dtype.kind in "iuOU" and o.shape == (1,)]
    return str(found[0][0]) if len(found) == 1 else None


def _classified(label: str | None, row: Array, names: tuple[str, ...]) -> Answer:
    scores = _probabilities(row.tolist())
    best = scores.index(max(scores))
    if label is None:
        label = names[best]
    own = names.index(label) if label in names else best
    return Answer(label, scores[own], tuple(scores), names)


def _probabilities(row: list[float]) -> list[float]:
    """Return scores as they are when they are a distribution, else their softmax.

    Raises ExecutionFailed where one is not finite. A few numbers are quicker looked at in a list
    than in an array.
    """
    total = sum(row)
    if not (math.isfinite(total) or all(map(math.isfinite, row))):
        raise ExecutionFailed("the model's scores are not finite")
    low, high = min(row), max(row)
    if low < -1e-6 or abs(total - 1.0) >= 1e-3:
        powers = np.exp(np.array(row) - high)
        softmax: list[float] = (powers / powers.sum()).tolist()
        return softmax
    return row if low >= 0.0 and high <= 1.0 else [min(1.0, max(0.0, score)) for score in row]

"""What the inputs of tasks looked like, in a few numbers: so that drift of the data can be told.

Of a long input every so many values are looked at, so that the cost of a summary has a bound.
Pure.
"""

from collections.abc import Sequence

import numpy as np

from schemas.inference import InputSummary
from workers.inference.tensors import Prepared
from workers.runtimes.base import Array, Port

MOST = 4_096
"""Values of one input that are looked at."""


def summarized(
    prepared: Sequence[Prepared], ports: Sequence[Port]
) -> list[tuple[InputSummary, ...]]:
    """Return for each task a summary of each of its inputs that holds numbers.

    Inputs of one size are summed up together. Of an input without a finite value the numbers are
    0, and all of it is missing.
    """
    told: list[list[InputSummary]] = [[] for _ in prepared]
    for number, port in enumerate(ports):
        if port.dtype.kind not in "iufb":
            continue
        arrays = [one.arrays[number] for one in prepared]
        for places in _alike(arrays):
            rows = np.stack([_sampled(arrays[place]) for place in places]).astype(np.float64)
            for place, one in zip(places, _summaries(port.name, rows), strict=True):
                told[place].append(one)
    return [tuple(each) for each in told]


def _alike(arrays: Sequence[Array]) -> list[list[int]]:
    """Return the places of the arrays, those of one size together."""
    groups: dict[int, list[int]] = {}
    for place, array in enumerate(arrays):
        groups.setdefault(array.size, []).append(place)
    return list(groups.values())


def _sampled(array: Array) -> Array:
    """Return all values, or every so many; an odd step, lest it meets one column of a picture."""
    flat: Array = array.reshape(-1)
    step = -(-flat.size // MOST)
    return flat if step == 1 else flat[:: step | 1]


def _summaries(name: str, rows: Array) -> list[InputSummary]:
    """Return the summary of each row of numbers."""
    finite = np.isfinite(rows)
    counts = finite.sum(axis=1)
    some = np.maximum(counts, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.where(finite, rows, 0.0)
        means = values.sum(axis=1) / some
        squares = np.where(finite, (rows - means[:, None]) ** 2, 0.0).sum(axis=1)
        stds = np.sqrt(squares / some)
    lows = np.where(finite, rows, np.inf).min(axis=1)
    highs = np.where(finite, rows, -np.inf).max(axis=1)
    lows, highs = np.where(counts > 0, lows, 0.0), np.where(counts > 0, highs, 0.0)
    missing = 1.0 - counts / rows.shape[1]
    columns = (each.tolist() for each in (means, stds, lows, highs, missing))
    return [
        InputSummary(name=name, mean=mean, std=std, low=low, high=high, missing=gone)
        for mean, std, low, high, gone in zip(*columns, strict=True)
    ]

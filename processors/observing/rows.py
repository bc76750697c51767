"""Rows of metrics as arrays: what windows hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]
ROW_BYTES = 28


@dataclass(frozen=True, slots=True)
class Rows:
    """Metrics of one partition, 28 bytes each: ids of their series, event times, values, offsets.

    All arrays have the same length.
    """

    series: Ids
    times: Ints
    values: Floats
    offsets: Ints

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, index: Any) -> "Rows":
        """Return the rows of a slice, an index array or a mask."""
        return Rows(self.series[index], self.times[index], self.values[index], self.offsets[index])

    def renumbered(self, ids: Ids) -> "Rows":
        """Return the rows with series `s` numbered `ids[s]`."""
        return Rows(ids[self.series], self.times, self.values, self.offsets)


def no_rows() -> Rows:
    """Return no rows."""
    whole = np.empty(0, np.int64)
    return Rows(np.empty(0, np.uint32), whole, np.empty(0, np.float64), whole)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return rows one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return no_rows()
    return Rows(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.offsets for part in parts]),
    )


def by_series(series: Ids) -> Ints:
    """Return the stable order by id; a radix sort of 16 bits at a time, which numpy has."""
    order: Ints = np.argsort(series.astype(np.uint16), kind="stable")
    if len(series) and series.max() > 0xFFFF:
        high = (series >> np.uint32(16)).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order


def spans_of(series: Ids) -> list[tuple[int, int]]:
    """Return where each run of equal ids starts and ends."""
    starts = starts_of(series).tolist()
    return list(pairwise([*starts, len(series)])) if starts else []


def starts_of(series: Ids) -> Ints:
    """Return where each run of equal ids starts."""
    if not len(series):
        return np.empty(0, np.int64)
    return np.concatenate(([0], np.flatnonzero(series[1:] != series[:-1]) + 1))

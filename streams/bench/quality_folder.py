"""Series with labelled windows out of a folder, and how Weir's detector scores their rows.

The folder has `windows.json`, an object from the path of each series to its windows, each a pair
of instants, and those series: CSV files with the columns timestamp and value.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from processors.anomalies.detectors import Judge
from streams.bench.quality_nab import Floats, Places
from streams.errors import SeriesError

WINDOWS = "windows.json"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A series: instants (ms since the epoch), values, windows as (first row, last row)."""

    name: str
    times: Places
    values: Floats
    windows: tuple[tuple[int, int], ...]


def read(folder: Path) -> list[Labelled]:
    """Return the series of a folder, by name.

    Raises SeriesError, naming the file, for what is missing or has another form.
    """
    try:
        windows = json.loads((folder / WINDOWS).read_text("utf-8"))
        return [_series(folder, name, windows[name]) for name in sorted(windows)]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SeriesError(f"{folder} holds no labelled series: {error}") from error


def _series(folder: Path, name: str, windows: Sequence[Sequence[str]]) -> Labelled:
    rows = list(_rows(folder / name))
    times = np.array([time for time, _ in rows], np.int64)
    found = []
    for begin, end in sorted((_instant(begin), _instant(end)) for begin, end in windows):
        inside = np.flatnonzero((times >= begin) & (times <= end))
        if not len(inside):
            raise ValueError(f"{name} has no row from {begin} ms to {end} ms")
        found.append((int(inside[0]), int(inside[-1])))
    return Labelled(name, times, np.array([value for _, value in rows]), tuple(found))


def _rows(path: Path) -> Iterator[tuple[int, float]]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        try:
            for row in rows:
                yield _instant(row["timestamp"]), float(row["value"])
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(f"{path}, line {rows.reader.line_num}: {error}") from error


def _instant(text: str) -> int:
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() * 1_000)


def scores(judge: Judge, times: Places, values: Floats, rate: float) -> Floats:
    """Return what a detector says of the rows of one series, in one pass.

    A row that is no stranger than what came shortly before has 0: it would raise nothing anew.
    """
    states = np.zeros((1, judge.width))
    numbers, rates = np.zeros(len(values), np.int64), np.full(len(values), rate)
    found = judge.judge(states, numbers, times, values, rates)
    return np.where(found.fresh, found.scores, 0.0)

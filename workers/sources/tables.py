"""Rows of numbers from tables (csv with a header)."""

import csv
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from workers.sources.errors import UnusableSource
from workers.sources.forms import Array

LARGEST = float(np.finfo(np.float32).max)


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[Array]:
    """Yield the rows of a table as float32, of some columns or of all. Raises UnusableSource."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            missing = [column for column in columns if column not in header]
            if missing:
                raise UnusableSource(
                    f"{path}: no column {', '.join(missing)}; its header has {', '.join(header)}"
                )
            places = [header.index(column) for column in columns] or list(range(len(header)))
            for number, row in zip(count(2), reader, strict=False):
                if row:
                    yield _numbers(f"{path}, row {number}", row, places, header)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnusableSource(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _numbers(where: str, row: list[str], places: list[int], header: list[str]) -> Array:
    if len(row) != len(header):
        raise UnusableSource(f"{where}: {len(row)} values where the header has {len(header)}")
    values = []
    for place in places:
        try:
            values.append(float(row[place]))
        except ValueError as error:
            raise UnusableSource(f"{where}, column {header[place]}: {error}") from error
    if not all(abs(value) <= LARGEST for value in values):  # which a NaN is not either
        raise UnusableSource(f"{where}: a value is not finite or too large for float32")
    return np.array(values, np.float32)

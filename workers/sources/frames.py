"""Frames of images, folders of them, arrays and tables of numbers.

Images need Pillow; they become (rows, columns, channels) of uint8, as they are stored. A file of
numpy (npy) is one frame. Each row of a table (csv, with a header) is one frame of float32.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workers.sources.errors import UnusableSource

Array = npt.NDArray[Any]
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
LARGEST = float(np.finfo(np.float32).max)
SUFFIXES = (*IMAGES, ".npy")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One input: its array, and the SHA-256 of its bytes, shape and type."""

    array: Array
    digest: str


class Source(Protocol):
    """Frames by number, from 0; `length` is how many there are, None for no end."""

    kind: str
    length: int | None

    def frame(self, number: int) -> Frame:
        """Return a frame before the end. Raises UnusableSource."""
        ...


class ImageSource:
    """One file, again and again."""

    kind = "image"
    length: int | None = None

    def __init__(self, path: Path) -> None:
        self._frame = _frame(_array(path))

    def frame(self, number: int) -> Frame:  # noqa: ARG002 - all are the same
        """Return the frame."""
        return self._frame


class FolderSource:
    """The files of a folder, sorted by name; from the first again when `cycle`."""

    kind = "folder"

    def __init__(self, path: Path, *, cycle: bool) -> None:
        try:
            found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise UnusableSource(f"{path}: {error.strerror or error}") from error
        if not found:
            raise UnusableSource(f"{path}: it holds no file of {', '.join(SUFFIXES)}")
        self._files = sorted(found, key=lambda file: file.name)
        self.length = None if cycle else len(self._files)

    def frame(self, number: int) -> Frame:
        """Return the frame of a file, read now."""
        return _frame(_array(self._files[number % len(self._files)]))


class TableSource:
    """The rows of a table, whose first line names the columns; again when `cycle`."""

    kind = "csv"

    def __init__(self, path: Path, columns: tuple[str, ...], *, cycle: bool) -> None:
        self._rows = list(_rows(path, columns))
        if not self._rows:
            raise UnusableSource(f"{path}: it has no row")
        self.length = None if cycle else len(self._rows)

    def frame(self, number: int) -> Frame:
        """Return the frame of a row."""
        return _frame(self._rows[number % len(self._rows)])


def source_of(path: Path, columns: tuple[str, ...] = (), *, cycle: bool = False) -> Source:
    """Return the source that a path is: folder, table, image or array. Raises UnusableSource."""
    if path.is_dir():
        return FolderSource(path, cycle=cycle)
    if path.suffix.lower() == ".csv":
        return TableSource(path, columns, cycle=cycle)
    return ImageSource(path)


def _frame(array: Array) -> Frame:
    told = f"{array.dtype.str} {array.shape} ".encode()
    return Frame(array, hashlib.sha256(told + np.ascontiguousarray(array).tobytes()).hexdigest())


def _array(path: Path) -> Array:
    """Return the content of an image or an array. Raises UnusableSource."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UnusableSource(f"{path}: files of {', '.join(SUFFIXES)} and .csv can be sent")
    try:
        if suffix == ".npy":
            found: Array = np.load(path, allow_pickle=False)
        else:
            found = _image(path)
    except (OSError, ValueError, EOFError) as error:
        raise UnusableSource(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if found.dtype.kind not in "biuf":
        raise UnusableSource(f"{path}: it holds {found.dtype}, not numbers")
    return found


def _image(path: Path) -> Array:
    try:
        from PIL import Image  # noqa: PLC0415 - an extra that only images need
    except ModuleNotFoundError as error:
        raise UnusableSource(f"{path}: images need Pillow; `pip install pillow`") from error
    with Image.open(path) as image:
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[Array]:
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

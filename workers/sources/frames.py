"""Sources that are read when a frame is due: images, arrays, folders of them, tables, videos.

Images need Pillow; they become (rows, columns, channels) of uint8, or what a form makes of them.
A file of numpy (npy) is one frame as it is. Each row of a table (csv) is one frame of float32.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from workers.sources.errors import UnusableSource
from workers.sources.forms import Array, Form, Frame
from workers.sources.tables import rows

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
VIDEOS = (".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm")
SUFFIXES = (*IMAGES, ".npy")


class Source(Protocol):
    """Frames by number, from 0; `length` is how many there are, None for no end or none known."""

    kind: str
    length: int | None

    def frame(self, number: int) -> Frame | None:
        """Return a frame, of a number larger than the last; None behind the end.

        Raises UnusableSource.
        """
        ...


class ImageSource:
    """One file, again and again."""

    kind = "image"
    length: int | None = None

    def __init__(self, path: Path, form: Form) -> None:
        self._frame = _frame(path, form)

    def frame(self, number: int) -> Frame:  # noqa: ARG002 - all are the same
        """Return the frame."""
        return self._frame


class FolderSource:
    """The files of a folder, sorted by name; from the first again when `cycle`."""

    kind = "folder"

    def __init__(self, path: Path, form: Form, *, cycle: bool) -> None:
        try:
            found = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise UnusableSource(f"{path}: {error.strerror or error}") from error
        if not found:
            raise UnusableSource(f"{path}: it holds no file of {', '.join(SUFFIXES)}")
        self._files = sorted(found, key=lambda file: file.name)
        self._form = form
        self.length = None if cycle else len(self._files)

    def frame(self, number: int) -> Frame | None:
        """Return the frame of a file, read now."""
        if self.length is not None and number >= self.length:
            return None
        return _frame(self._files[number % len(self._files)], self._form)


class TableSource:
    """The rows of a table, whose first line names the columns; again when `cycle`."""

    kind = "csv"

    def __init__(self, path: Path, columns: tuple[str, ...], form: Form, *, cycle: bool) -> None:
        found = list(rows(path, columns))
        if not found:
            raise UnusableSource(f"{path}: it has no row")
        self._rows = np.stack(found)
        self._where, self._form = str(path), form
        self.length = None if cycle else len(self._rows)

    def frame(self, number: int) -> Frame | None:
        """Return the frame of a row."""
        if self.length is not None and number >= self.length:
            return None
        return self._form.frame(self._rows[number % len(self._rows)], self._where)


def source_of(
    path: Path, columns: tuple[str, ...] = (), form: Form | None = None, *, cycle: bool = False
) -> Source:
    """Return the source that a path is: folder, table, video, image or array.

    Raises UnusableSource, ModuleNotFoundError when what reads it is not installed.
    """
    form = form or Form()
    if not path.exists():
        raise UnusableSource(f"{path}: No such file or directory; name one that is there")
    if path.is_dir():
        return FolderSource(path, form, cycle=cycle)
    if path.suffix.lower() == ".csv":
        return TableSource(path, columns, form, cycle=cycle)
    if path.suffix.lower() in VIDEOS:
        from workers.sources.video import VideoSource  # noqa: PLC0415 - an extra of videos alone

        return VideoSource(path, form, cycle=cycle)
    return ImageSource(path, form)


def _frame(path: Path, form: Form) -> Frame:
    """Return the frame of an image or an array. Raises UnusableSource."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return form.frame(_array(path), str(path))
    if suffix not in IMAGES:
        known = ", ".join((*SUFFIXES, ".csv", *VIDEOS))
        raise UnusableSource(f"{path}: files of {known} can be sent")
    from workers.sources.images import pixels  # noqa: PLC0415 - an extra of images alone

    return form.picture(pixels(path, form, str(path)), str(path))


def _array(path: Path) -> Array:
    try:
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnusableSource(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if found.dtype.kind not in "biuf":
        raise UnusableSource(f"{path}: it holds {found.dtype}, not numbers")
    return found

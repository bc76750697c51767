"""Videos and cameras, decoded by FFmpeg through PyAV."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from workers.sources.errors import UnusableSource
from workers.sources.forms import MOST_PIXELS, Form, Frame

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

MOST_BAD = 250
"""Packets in a row that cannot be decoded before a stream is given up."""
FILE = {"protocol_whitelist": "file"}
"""A playlist among the files leads nowhere else."""


class VideoSource:
    """The pictures of a file in their order, whatever their own rate; again when `cycle`.

    Its length is known once its end was met. Those that are passed over are decoded all the same,
    since later ones build on them.
    """

    kind = "video"

    def __init__(self, path: Path, form: Form, *, cycle: bool) -> None:
        self.length: int | None = None
        self._path, self._form, self._cycle = path, form, cycle
        self._next = 0
        with opened(f"file:{path}", str(path), FILE):
            self._pictures = self._decoded()

    def frame(self, number: int) -> Frame | None:
        """Return a picture, of a number larger than the last; None behind the end."""
        picture = None
        while self._next <= number:
            picture = next(self._pictures, None)
            if picture is None:
                self.length = self._next
                return None
            self._next += 1
        if picture is None:
            raise UnusableSource(f"{self._path}: frame {number} has gone by")
        return frame_of(picture, self._form, str(self._path))

    def _decoded(self) -> Iterator[VideoFrame]:
        while True:
            before = self._next
            with opened(f"file:{self._path}", str(self._path), FILE) as container:
                yield from pictures(container, str(self._path))
            if self._next == before:
                raise UnusableSource(f"{self._path}: it has no picture")
            if not self._cycle:
                return


def opened(
    url: str, where: str, options: dict[str, str], timeout_s: float | None = None
) -> InputContainer:
    """Return a container of pictures; opening and each reading take at most `timeout_s`.

    Raises UnusableSource.
    """
    try:
        container = av.open(url, options=options, timeout=timeout_s)
    except (av.FFmpegError, ValueError) as error:
        raise UnusableSource(f"{where}: {_why(error)}") from error
    if not container.streams.video:
        container.close()
        raise UnusableSource(f"{where}: it has no video")
    return container


def pictures(container: InputContainer, where: str) -> Iterator[VideoFrame]:
    """Yield the pictures of the first video, those that are damaged left out.

    Raises UnusableSource when nothing can be read or decoded any more.
    """
    bad = 0
    packets = container.demux(container.streams.video[0])
    while (packet := _next(packets, where)) is not None:
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError as error:
            bad += 1
            if bad > MOST_BAD:
                raise UnusableSource(f"{where}: {_why(error)}, {bad} times in a row") from error
            continue
        except av.FFmpegError as error:
            raise UnusableSource(f"{where}: {_why(error)}") from error
        for picture in decoded:
            bad = 0
            yield picture


def _next(packets: "Iterator[Packet[VideoStream]]", where: str) -> "Packet[VideoStream] | None":
    try:
        return next(packets, None)
    except av.FFmpegError as error:
        raise UnusableSource(f"{where}: {_why(error)}") from error


def frame_of(picture: VideoFrame, form: Form, where: str) -> Frame:
    """Return the frame of a picture, in the size and colours that a form wants.

    Raises UnusableSource.
    """
    width, height = form.size or (picture.width, picture.height)
    if width * height > MOST_PIXELS:
        raise UnusableSource(f"{where}: {width}x{height} pixels; at most {MOST_PIXELS}")
    colours = "gray" if form.gray else "rgb24"
    try:
        pixels = picture.to_ndarray(width=width, height=height, format=colours)
    except (av.FFmpegError, ValueError) as error:
        raise UnusableSource(f"{where}: {_why(error)}") from error
    return form.picture(pixels, where)


def _why(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):  # how FFmpeg says that it was told to wait no more
        return "nothing came in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

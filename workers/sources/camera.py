"""Cameras that speak RTSP: the newest picture counts, and a lost connection is made again."""

import threading
import time
from types import TracebackType
from urllib.parse import urlsplit

from av.video.frame import VideoFrame
from typing_extensions import Self

from workers.clock import wall_ms
from workers.sources.errors import SourceLost, UnusableSource
from workers.sources.forms import Form
from workers.sources.live import Captured
from workers.sources.video import frame_of, opened, pictures
from workers.telemetry import logger

SCHEMES = ("rtsp", "rtsps")
SILENCE_S = 5.0
"""A connection on which nothing came for so long is lost."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
OPTIONS = {
    "rtsp_flags": "prefer_tcp",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtsps,rtp,tcp,udp,tls",
}

log = logger(__name__)


class Camera:
    """A context manager; a thread of its own decodes everything and keeps the newest picture.

    Pauses between attempts grow from half a second to half a minute. `take` raises SourceLost
    when nothing came for `patience_s`, 0 for never. `connections` counts those that were made.
    """

    kind = "rtsp"

    def __init__(
        self, url: str, form: Form, *, patience_s: float = 60.0, silence_s: float = SILENCE_S
    ) -> None:
        self._url, self._where = url, shown(url)
        self._form = form
        self._patience_s, self._silence_s = patience_s, silence_s
        self._changed = threading.Condition()
        self._newest: tuple[VideoFrame, int] | None = None
        self._why = "it has not answered yet"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="camera", daemon=True)
        self.left_out = 0
        self.connections = 0

    def __enter__(self) -> Self:
        """Begin to connect."""
        self._heard_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the camera, at the latest when it has been silent for long enough."""
        self._stop.set()
        self._thread.join(2 * self._silence_s + 1)

    def take(self, timeout_s: float) -> Captured | None:
        """Return the newest picture that was not taken yet; None when none comes in time.

        Raises SourceLost, UnusableSource.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout_s)
            newest, self._newest = self._newest, None
            quiet_s = time.monotonic() - self._heard_at
            why = self._why
        if newest is not None:
            picture, at_ms = newest
            return Captured(frame_of(picture, self._form, self._where), at_ms)
        if 0 < self._patience_s < quiet_s:
            raise SourceLost(f"{self._where}: no picture for {quiet_s:.0f} s: {why}")
        return None

    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            before = self._heard_at
            try:
                self._follow()
                why = "the camera ended the stream"
            except UnusableSource as error:
                why = str(error).removeprefix(f"{self._where}: ")
            if self._stop.is_set():
                return
            if self._heard_at != before:
                pause_s = FIRST_PAUSE_S
            log.warning("camera.lost", url=self._where, reason=why, again_in_s=pause_s)
            with self._changed:
                self._why = why
            self._stop.wait(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def _follow(self) -> None:
        """Keep the newest picture of one connection, until it ends. Raises UnusableSource."""
        with opened(self._url, self._where, OPTIONS, self._silence_s) as container:
            self.connections += 1
            log.info("camera.connected", url=self._where)
            for picture in pictures(container, self._where):
                with self._changed:
                    self.left_out += self._newest is not None
                    self._newest = (picture, wall_ms())
                    self._heard_at = time.monotonic()
                    self._changed.notify()
                if self._stop.is_set():
                    return


def shown(url: str) -> str:
    """Return a URL without name, password and query, as it may stand in logs."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

"""A camera on the loopback: an RTSP server (RFC 2326) that plays MPEG-4 over its connection.

RTP stands between the answers ($, channel, length), payloads are as RFC 6416 has them. What each
connection does is a line of the camera's script.
"""

import itertools
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\na=control:track1\r\n"
)
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"


@dataclass
class Play:
    """One connection: so many pictures at a rate, and then it is `silent`, or closed."""

    frames: int
    rate_hz: float = 100.0
    silent: bool = False
    refuse: str = ""


@dataclass
class CameraWorld:
    """`script` is used up by one line a connection; without any left it is refused."""

    script: list[Play]
    packets: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""


def pixels(number: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Return picture `number`, which has one colour."""
    return np.full((HEIGHT, WIDTH, 3), 10 * number % 250, np.uint8)


def encoded(count: int) -> list[bytes]:
    """Return pictures as packets of MPEG-4, each of which can be decoded alone."""
    context = av.CodecContext.create("mpeg4", "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.gop_size = Fraction(1, 25), 1
    found = []
    for number in range(count):
        picture = av.VideoFrame.from_ndarray(pixels(number), format="rgb24")
        picture.pts = number
        found += [bytes(packet) for packet in context.encode(picture)]
    return found + [bytes(packet) for packet in context.encode(None)]


def video(path: Path, count: int, codec: str = "mpeg4", colours: str = "yuv420p") -> Path:
    """Write a file of so many pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, colours
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(pixels(number), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


class _Handler(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        world = self.server.world
        play = world.script.pop(0) if world.script else Play(0, refuse="404 Stream Not Found")
        while (asked := self._request()) is not None:
            method, number, transport = asked
            world.asked.append(method)
            if play.refuse and method == "DESCRIBE":
                self._answer(number, play.refuse)
            elif method == "DESCRIBE":
                self._answer(number, "200 OK", "Content-Type: application/sdp", SDP)
            elif method == "SETUP":
                self._answer(number, "200 OK", f"Transport: {transport}\r\nSession: 1")
            elif method == "PLAY":
                self._answer(number, "200 OK", "Session: 1")
                self._play(play)
                return
            else:
                self._answer(number, "200 OK", f"Public: {METHODS}")

    def _request(self) -> tuple[str, str, str] | None:
        lines = [line.decode().strip() for line in iter(self.rfile.readline, b"\r\n") if line]
        if not lines:
            return None
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return lines[0].split()[0], headers["CSeq"], headers.get("Transport", "")

    def _answer(self, number: str, status: str, more: str = "", body: str = "") -> None:
        head = f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n" + (f"{more}\r\n" if more else "")
        self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def _play(self, play: Play) -> None:
        world = self.server.world
        source = itertools.islice(itertools.cycle(world.packets), play.frames)
        for number, payload in enumerate(source):
            stamp = int(number * 90_000 / play.rate_hz)
            rtp = struct.pack(">BBHII", 0x80, 0x80 | 96, number & 0xFFFF, stamp, 1) + payload
            try:
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
            except OSError:
                return
            if world.over.wait(1 / play.rate_hz):
                return
        if play.silent:
            world.over.wait(30)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, world: CameraWorld) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.world = world


@contextmanager
def camera(*script: Play) -> Iterator[CameraWorld]:
    """Run a camera; nothing of it is left afterwards."""
    world = CameraWorld(list(script), encoded(20))
    with _Server(world) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
        thread.start()
        world.url = f"rtsp://me:secret@127.0.0.1:{server.server_address[1]}/cam?key=secret"
        try:
            yield world
        finally:
            world.over.set()
            server.shutdown()
            thread.join()

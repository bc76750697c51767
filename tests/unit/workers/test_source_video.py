"""Videos as sources: pictures in their order, skipped ones counted, damage told or passed over."""

import re
from pathlib import Path

import numpy as np
import pytest

from schemas.inference import InferenceRequest
from tests.unit.workers.rtsp_camera import HEIGHT, WIDTH, pixels, video
from workers.sources import video as module
from workers.sources.errors import UnusableSource
from workers.sources.forms import Form, Frame
from workers.sources.frames import source_of
from workers.sources.sending import Asking, run

ASKING = Asking(app="gate", name="cam")


def number_of(frame: Frame | None) -> int:
    """Return which picture a frame shows, by its colour."""
    assert frame is not None
    values = np.frombuffer(frame.inputs[0].data or b"", np.uint8)
    return int(np.argmin([abs(int(pixels(n)[0, 0, 0]) - values.mean()) for n in range(20)]))


def test_pictures_come_in_their_order_and_some_may_be_passed_over(tmp_path: Path) -> None:
    source = source_of(video(tmp_path / "a:b.mp4", 12))
    first = source.frame(0)
    assert first is not None
    assert first.inputs[0].shape == (HEIGHT, WIDTH, 3)
    assert [number_of(first), *(number_of(source.frame(n)) for n in (1, 4, 11))] == [0, 1, 4, 11]
    assert source.length is None
    assert source.frame(12) is None
    assert source.length == 12
    with pytest.raises(UnusableSource, match="frame 3 has gone by"):
        source.frame(3)


def test_a_video_is_cycled_and_takes_the_form_that_is_asked_for(tmp_path: Path) -> None:
    form = Form(size=(16, 12), gray=True, channels_first=True, scaled=True)
    source = source_of(video(tmp_path / "a.mkv", 5), form=form, cycle=True)
    frames = [source.frame(number) for number in (0, 4, 5, 13)]
    assert [frame.inputs[0].shape for frame in frames if frame] == [(1, 12, 16)] * 4
    assert frames[0] is not None
    assert frames[2] is not None
    assert frames[0].digest == frames[2].digest


def test_every_picture_is_sent_or_counted_as_late(tmp_path: Path) -> None:
    requests: list[InferenceRequest] = []
    told = run(
        source_of(video(tmp_path / "a.avi", 30)), ASKING, 3_000.0, None, requests.append, bool
    )
    assert told.sent == len(requests) > 0
    assert told.sent + told.late == 30
    assert {request.source_kind for request in requests} == {"video"}


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nonsense" * 100)
    (tmp_path / "list.ts").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    whole = video(tmp_path / "whole.mp4", 12).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("a.mp4", "cut.mp4", "none.mp4", "list.ts"):
        with pytest.raises(UnusableSource, match=name.replace(".", r"\.")):
            source_of(tmp_path / name).frame(0)


def test_damaged_pictures_are_passed_over(tmp_path: Path) -> None:
    content = video(tmp_path / "a.avi", 20, "mjpeg", "yuvj420p").read_bytes()
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", content)]
    assert len(starts) == 20
    damaged = bytearray(content)
    for number in (0, 7, 8, 19):
        damaged[starts[number] : starts[number] + 600] = bytes(600)
    (tmp_path / "bad.avi").write_bytes(damaged)
    source, found = source_of(tmp_path / "bad.avi"), 0
    while source.frame(found) is not None:
        found += 1
    assert found == 16


def test_a_video_of_damaged_pictures_alone_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BAD", 5)
    content = bytearray(video(tmp_path / "a.avi", 20, "mjpeg", "yuvj420p").read_bytes())
    for found in list(re.finditer(b"\xff\xd8\xff", content))[3:]:
        content[found.start() : found.start() + 600] = bytes(600)
    (tmp_path / "bad.avi").write_bytes(content)
    source = source_of(tmp_path / "bad.avi")
    assert [source.frame(number) is not None for number in range(3)] == [True] * 3
    with pytest.raises(UnusableSource, match=r"bad\.avi: .*, 6 times in a row"):
        source.frame(3)

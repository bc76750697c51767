"""Cameras as sources: the newest picture counts; what is lost is found again, or told as lost."""

import time

import pytest

from schemas.inference import InferenceRequest
from tests.unit.workers.rtsp_camera import Play, camera
from workers.sources import camera as module
from workers.sources.camera import Camera, shown
from workers.sources.errors import SourceLost
from workers.sources.forms import Form
from workers.sources.sending import Asking, relay

FORM = Form(size=(16, 12), gray=True)
ASKING = Asking(app="gate", name="gate-1")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.02)


def watched(source: Camera, most: int, patience_s: float = 10.0) -> list[InferenceRequest]:
    end, requests = time.monotonic() + patience_s, list[InferenceRequest]()
    relay(source, ASKING, 1_000.0, most, requests.append, lambda: time.monotonic() > end)
    return requests


def test_pictures_of_a_camera_become_requests(capfd: pytest.CaptureFixture[str]) -> None:
    with camera(Play(500, 200)) as world, Camera(world.url, FORM) as source:
        requests = watched(source, 10)
    assert len(requests) == 10
    assert {request.source_kind for request in requests} == {"rtsp"}
    assert {request.inputs[0].shape for request in requests} == {(12, 16)}
    assert len({request.frame_digest for request in requests}) > 1
    assert world.asked[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
    told = capfd.readouterr()
    assert "secret" not in told.out + told.err


def test_a_slow_reader_gets_the_newest_and_counts_the_others() -> None:
    with camera(Play(2_000, 400)) as world, Camera(world.url, FORM) as source:
        requests = list[InferenceRequest]()
        told = relay(source, ASKING, 20.0, 8, requests.append, lambda: False)
    assert told.sent == 8
    assert source.left_out >= told.late > 20
    assert requests[-1].created_at - requests[0].created_at >= 250


def test_a_camera_that_hangs_up_is_called_again() -> None:
    script = (Play(20, 200), Play(0, refuse="503 Busy"), Play(20, 200), Play(2_000, 200))
    with camera(*script) as world, Camera(world.url, FORM) as source:
        watched(source, 60)
        assert source.connections == 3
    assert world.asked.count("DESCRIBE") == 4


def test_a_camera_that_falls_silent_is_called_again() -> None:
    with (
        camera(Play(30, 200, silent=True), Play(2_000, 200)) as world,
        Camera(world.url, FORM, silence_s=0.3) as source,
    ):
        end = time.monotonic() + 10
        while source.connections < 2 and time.monotonic() < end:
            watched(source, 1, 0.5)
        assert len(watched(source, 5)) == 5


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ((), "404"),
        ((Play(0, refuse="401 Unauthorized"),) * 50, "401 Unauthorized"),
    ],
)
def test_a_camera_that_gives_nothing_for_too_long_is_lost(
    script: tuple[Play, ...], why: str
) -> None:
    with (
        camera(*script) as world,
        Camera(world.url, FORM, patience_s=0.3) as source,
        pytest.raises(SourceLost, match=why) as told,
    ):
        watched(source, 1)
    assert "secret" not in str(told.value)
    assert world.asked.count("DESCRIBE") > 1


def test_a_camera_that_is_not_there_is_lost_too() -> None:
    with (
        Camera("rtsp://127.0.0.1:9/cam", FORM, patience_s=0.2) as source,
        pytest.raises(SourceLost, match="Connection refused"),
    ):
        watched(source, 1)


def test_urls_are_shown_without_what_is_secret() -> None:
    assert shown("rtsp://me:secret@host:554/a?token=secret") == "rtsp://host:554/a"

"""`weir source` as a user calls it: what each kind of source sends stands on Kafka."""

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.error import URLError

import pytest

from schemas.inference import InferenceRequest
from streams.embedded.stack import Stack
from tests.commanding import command
from tests.unit.workers.rtsp_camera import Play, camera, video
from workers.inference.tensors import digest_of
from workers.kafka.reading import read_all
from workers.registry import Registry
from workers.settings import Settings

pytestmark = pytest.mark.faults
Weir = Callable[..., "subprocess.CompletedProcess[str]"]
BODY = b'{"inputs": [{"name": "t", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("stack")), apps=()) as started:
        yield started


@pytest.fixture
def weir(stack: Stack) -> Weir:
    return partial(command, environ=stack.settings.environment())


def sent(stack: Stack, weir: Weir, name: str, *arguments: str) -> list[InferenceRequest]:
    """Send from a source, and return its requests as they stand on Kafka."""
    done = weir("source", *arguments, "--app", "plant", "--name", name, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    registry = Registry(stack.settings.registry)
    decode = registry.codec().decode
    messages = read_all(stack.settings.kafka, ["weir.requests"])
    events = [decode(message.value() or b"", InferenceRequest) for message in messages]
    found = [event for event in events if event.request_id.startswith(f"{name}/")]
    registry.close()
    assert (told["sent"], told["undelivered"]) == (len(found), 0)
    assert {event.source_kind for event in found} == {told["kind"]}
    assert all(event.frame_digest == digest_of(event.inputs) for event in found)
    return found


def test_rows_and_pictures_are_sent(stack: Stack, weir: Weir, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,p\n1,2\n3,4\n")
    table = (str(tmp_path / "a.csv"), "--cycle", "--frames", "10", "--rate", "50")
    assert {event.inputs[0].shape for event in sent(stack, weir, "belt", *table)} == {(2,)}
    film = (str(video(tmp_path / "a.mp4", 12)), "--rate", "100", "--size", "32x24", "--scaled")
    shapes = {
        (event.inputs[0].dtype, event.inputs[0].shape) for event in sent(stack, weir, "film", *film)
    }
    assert shapes == {("float32", (24, 32, 3))}


def test_a_camera_is_watched(stack: Stack, weir: Weir) -> None:
    with camera(Play(3000, 100)) as world:
        taken = sent(stack, weir, "gate", world.url, "--frames", "5", "--rate", "20", "--gray")
    assert {event.inputs[0].shape for event in taken} == {(48, 64)}


def test_frames_are_taken_over_http(stack: Stack, weir: Weir) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    promised: list[str] = []

    def post() -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/frames", BODY, {"Content-Type": "application/json"}
        )
        while len(promised) < 3:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    promised.append(json.load(answer)["request_id"])
            except URLError:
                time.sleep(0.05)

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    taken = sent(stack, weir, "door", "--listen", f"127.0.0.1:{port}", "--frames", "3")
    thread.join(60)
    assert [event.request_id for event in taken] == promised


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("none.csv",), 4, "none.csv: No such file"),
        (("none.mp4",), 4, "none.mp4: No such file"),
        (("rtsp://127.0.0.1:9/cam", "--patience-s", "0.2"), 3, "Connection refused"),
        (("--listen", "0.0.0.0:0"), 3, "WEIR_SOURCE__TOKEN"),
        (("--listen", "here"), 2, "no HOST:PORT"),
        (("a.csv", "--listen", "127.0.0.1:0"), 2, "not both"),
        ((), 2, "give a place"),
        (("a.csv", "--size", "big"), 4, "write WIDTHxHEIGHT"),
    ],
)
def test_what_cannot_be_sent_says_why(
    weir: Weir, arguments: tuple[str, ...], code: int, why: str
) -> None:
    wrong = weir("source", *arguments, "--app", "plant")
    assert (wrong.returncode, why in wrong.stderr) == (code, True), wrong.stderr

"""Sources: every frame in its turn, late ones left out and counted, bad files told by place."""

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from schemas import checks
from schemas.inference import InferenceRequest
from schemas.records import KeyValue
from workers.inference.tensors import digest_of
from workers.sources.errors import UnusableSource
from workers.sources.forms import Array, Form, Frame, size_of
from workers.sources.frames import Source, source_of
from workers.sources.pacing import Pacer
from workers.sources.sending import Asking, run

SHIFT = (KeyValue(key="shift", value="late"),)
ASKING = Asking(app="plant", name="belt", consumer="desk", deadline_ms=700, conditions=SHIFT)


@given(
    st.floats(0.1, 1000.0),
    st.floats(0, 1e6),
    st.lists(st.floats(0, 2.0), max_size=30),
)
def test_frames_keep_their_order_and_none_is_sent_before_it_is_due(
    rate_hz: float, start: float, steps: list[float]
) -> None:
    pacer, now, last = Pacer(rate_hz, start), start, -1
    for step in steps:
        now += step
        number, wait_s = pacer.turn(now)
        assert number > last
        if wait_s > 0:
            assert number == last + 1
            continue
        assert number / rate_hz <= now - start + 1e-6
        assert (number + 2) / rate_hz > now - start - 1e-6
        last = number


def test_a_late_frame_is_passed_over() -> None:
    pacer = Pacer(10.0, 100.0)
    assert pacer.turn(100.0) == (0, 0.0)
    number, wait_s = pacer.turn(100.04)
    assert (number, round(wait_s, 6)) == (1, 0.06)
    assert pacer.turn(100.35) == (3, 0.0)
    assert pacer.turn(100.40001) == (4, 0.0)


def array(source: Source, number: int) -> Array:
    frame = source.frame(number)
    assert frame is not None
    (tensor,) = frame.inputs
    return np.frombuffer(tensor.data or b"", tensor.dtype).reshape(tensor.shape)


def sent(path: Path, most: int | None, **options: object) -> tuple[list[InferenceRequest], object]:
    requests: list[InferenceRequest] = []
    source = source_of(path, **options)  # type: ignore[arg-type]
    told = run(source, ASKING, 2_000.0, most, requests.append, lambda: False)
    assert told.sent == len(requests)
    return requests, told


def test_rows_of_a_table_become_requests(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufefftime,t,p\n1,20.5,3\n2,21,4\n\n3,22,5\n", "utf-8")
    source = source_of(path, ("p", "t"))
    assert source.length == 3
    assert [array(source, n).tolist() for n in range(3)] == [[3, 20.5], [4, 21], [5, 22]]
    assert source.frame(3) is None
    assert source_of(path, cycle=True).length is None
    requests, told = sent(path, None)
    assert len(requests) + told.late == 3  # type: ignore[attr-defined]
    one = requests[0]
    checks.check(one, one.created_at)
    assert one.deadline - one.created_at == 700
    assert {request.conditions for request in requests} == {SHIFT}
    (tensor,) = one.inputs
    assert (tensor.name, tensor.dtype) == ("x", "float32")
    assert (one.source_kind, one.frame_digest) == ("csv", digest_of(one.inputs))
    assert one.frame_digest == hashlib.sha256(tensor.data or b"").hexdigest()
    assert len({request.request_id for request in requests}) == len(requests)
    assert {request.request_id.rpartition("/")[0] for request in requests} == {"belt"}


def test_a_folder_is_sorted_and_cycled(tmp_path: Path) -> None:
    for number, name in enumerate(("b.npy", "a.npy", "c.NPY")):
        with (tmp_path / name).open("wb") as file:
            np.save(file, np.full((2, 2), number, np.uint8))
    (tmp_path / "notes.txt").write_text("no frame")
    once, cycled = source_of(tmp_path), source_of(tmp_path, cycle=True)
    assert [array(once, n)[0, 0] for n in range(3)] == [1, 0, 2]
    assert once.frame(3) is None
    assert (once.length, cycled.length) == (3, None)
    assert [array(cycled, n)[0, 0] for n in range(3, 6)] == [1, 0, 2]
    requests, told = sent(tmp_path, 7, cycle=True)
    assert len(requests) + told.late == 7  # type: ignore[attr-defined]
    assert requests[0].source_kind == "folder"


PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_an_image_is_sent_as_it_is_stored_or_as_a_form_wants_it(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[:, :, 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(array(source_of(tmp_path / "a.png"), 5), PIXELS)
    np.testing.assert_array_equal(array(source_of(tmp_path / "grey.png"), 0), PIXELS[:, :, 0])
    form = Form(tensor="image", size=(8, 6), gray=True, scaled=True, channels_first=True)
    frame = source_of(tmp_path / "a.png", form=form).frame(0)
    assert frame is not None
    assert [(one.name, one.shape, one.dtype) for one in frame.inputs] == [
        ("image", (1, 6, 8), "float32")
    ]


def test_forms_make_of_pixels_what_models_want() -> None:
    scaled = Form(scaled=True, channels_first=True).picture(PIXELS, "here").inputs[0]
    assert (scaled.shape, scaled.dtype) == ((3, 2, 4), "float32")
    wanted = np.moveaxis(PIXELS, -1, 0) / np.float32(255)
    np.testing.assert_allclose(np.frombuffer(scaled.data or b"", "<f4"), wanted.ravel())
    with pytest.raises(UnusableSource, match=r"here: input x has 65537 bytes.*--size"):
        Form(most_bytes=65_536).frame(np.zeros(65_537, np.uint8), "here")
    assert size_of("160x120") == (160, 120)
    for text in ("160", "0x5", "-1x5", "160X120", "99999x99999", "1x1x1", ""):
        with pytest.raises(UnusableSource, match="write WIDTHxHEIGHT"):
            size_of(text)


def test_what_a_slow_source_misses_is_counted() -> None:
    class Slow:
        kind, length = "slow", 20

        def frame(self, number: int) -> Frame | None:
            if number >= 20:
                return None
            time.sleep(0.01)
            return Form().frame(np.array([number]), "slow")

    numbers: list[int] = []

    def send(request: InferenceRequest) -> None:
        numbers.append(int.from_bytes(request.inputs[0].data or b"", "little"))

    told = run(Slow(), ASKING, 1_000.0, None, send, lambda: False)
    assert numbers == sorted(set(numbers))
    assert told.late == 20 - told.sent
    assert told.late > 5
    assert run(Slow(), ASKING, 1_000.0, None, send, lambda: True).sent == 0


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", "t,p\n1,2\n3\n", r"a\.csv, row 3: 1 values where the header has 2"),
        ("a.csv", "t,p\n1,warm\n", r"a\.csv, row 2, column p: could not convert"),
        ("a.csv", "t,p\n1,nan\n", r"a\.csv, row 2: a value is not finite"),
        ("a.csv", "t,p\n1,1e39\n", r"a\.csv, row 2: a value is not finite"),
        ("a.csv", "t,p\n", r"a\.csv: it has no row"),
        ("a.csv", "", r"a\.csv: it has no row"),
        ("a.npy", "nonsense", r"a\.npy: "),
        ("a.png", "nonsense", r"a\.png: "),
        ("a.txt", "text", r"a\.txt: files of \.bmp"),
    ],
)
def test_files_that_cannot_be_read_say_where(
    tmp_path: Path, name: str, content: str, why: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UnusableSource, match=why):
        source_of(tmp_path / name)


def test_folders_and_columns_that_are_not_there_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,p\n1,2\n")
    with pytest.raises(UnusableSource, match="no column q; its header has t, p"):
        source_of(tmp_path / "a.csv", ("q",))
    with pytest.raises(UnusableSource, match=r"holds no file of \.bmp"):
        source_of(tmp_path)
    with pytest.raises(UnusableSource, match=r"none\.npy: No such file"):
        source_of(tmp_path / "none.npy")
    with pytest.raises(UnusableSource, match="none: No such file or directory; name one"):
        source_of(tmp_path / "none")
    np.save(tmp_path / "words.npy", np.array(["a"]))
    with pytest.raises(UnusableSource, match="it holds <U1, not numbers"):
        source_of(tmp_path / "words.npy")

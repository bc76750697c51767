"""Sources: every frame in its turn, late ones left out and counted, bad files told by place."""

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import checks
from schemas.inference import InferenceRequest
from workers.sources.errors import UnusableSource
from workers.sources.frames import Frame, source_of
from workers.sources.pacing import Pacer
from workers.sources.sending import Asking, run

ASKING = Asking(app="plant", consumer="desk", deadline_ms=700)


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
    assert [source.frame(n).array.tolist() for n in range(3)] == [[3, 20.5], [4, 21], [5, 22]]
    assert source_of(path, cycle=True).length is None
    requests, told = sent(path, None)
    assert len(requests) + told.late == 3  # type: ignore[attr-defined]
    one = requests[0]
    checks.check(one, one.created_at)
    assert one.deadline - one.created_at == 700
    (tensor,) = one.inputs
    assert (tensor.name, tensor.dtype) == ("x", "float32")
    kind, digest, unique = one.request_id.split("-")
    told_bytes = b"<f4 (3,) " + (tensor.data or b"")
    assert (kind, digest) == ("csv", hashlib.sha256(told_bytes).hexdigest()[:16])
    assert len({request.request_id for request in requests}) == len(requests)
    assert len(unique) == 32


def test_a_folder_is_sorted_and_cycled(tmp_path: Path) -> None:
    for number, name in enumerate(("b.npy", "a.npy", "c.NPY")):
        with (tmp_path / name).open("wb") as file:
            np.save(file, np.full((2, 2), number, np.uint8))
    (tmp_path / "notes.txt").write_text("no frame")
    once, cycled = source_of(tmp_path), source_of(tmp_path, cycle=True)
    assert [int(once.frame(n).array[0, 0]) for n in range(3)] == [1, 0, 2]
    assert (once.length, cycled.length) == (3, None)
    assert [int(cycled.frame(n).array[0, 0]) for n in range(3, 6)] == [1, 0, 2]
    requests, told = sent(tmp_path, 7, cycle=True)
    assert len(requests) + told.late == 7  # type: ignore[attr-defined]
    assert requests[0].request_id.startswith("folder-")


def test_an_image_is_sent_as_it_is_stored(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="images need Pillow")
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image.fromarray(pixels).save(tmp_path / "a.png")
    image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(source_of(tmp_path / "a.png").frame(5).array, pixels)
    grey = source_of(tmp_path / "grey.png").frame(0).array
    np.testing.assert_array_equal(grey, pixels[:, :, 0])


def test_what_a_slow_source_misses_is_counted() -> None:
    class Slow:
        kind, length = "slow", 20

        def frame(self, number: int) -> Frame:
            time.sleep(0.01)
            return Frame(np.array([number]), "0" * 64)

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
    np.save(tmp_path / "words.npy", np.array(["a"]))
    with pytest.raises(UnusableSource, match="it holds <U1, not numbers"):
        source_of(tmp_path / "words.npy")

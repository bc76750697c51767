"""On a real GPU: ONNX Runtime's CUDA and TensorRT providers, and TensorRT itself.

Nothing here plays a GPU: what is not there is left out, with the reason. `make gpu-smoke` runs it.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from tests.unit.workers.runtime_laws import LAWS, Case
from tests.unit.workers.tiny_models import classifier, endless
from workers.runtimes.base import Load
from workers.runtimes.cudart import devices, gpu
from workers.runtimes.errors import BrokenModel
from workers.runtimes.known import known_runtimes
from workers.runtimes.onnx import OnnxRuntime

ROWS = np.array([[1, 5, 2], [9, 0, 1], [3, 3, 4]], np.float32)
PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def need_gpu() -> None:
    if not devices():
        pytest.skip("CUDA's runtime library finds no GPU here")


def need_provider(device: str) -> None:
    need_gpu()
    if PROVIDERS[device] not in ort.get_available_providers():
        pytest.skip(f"this build of ONNX Runtime has no {PROVIDERS[device]}: try onnxruntime-gpu")


def need_tensorrt() -> None:
    if find_spec("tensorrt") is None:
        pytest.skip("TensorRT is not installed: pip install weir[tensorrt]")
    need_gpu()


@pytest.fixture(params=["cuda", "cuda bound", "tensorrt", "native"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    kind = str(request.param)
    device = kind.partition(" ")[0]
    need_tensorrt() if kind == "native" else need_provider(device)
    bad = tmp_path / "bad.onnx"
    bad.write_text("nonsense")
    good = classifier(tmp_path / "good.onnx")
    if kind == "native":
        return Case(known_runtimes()["tensorrt"], good, bad, ROWS, {})
    options = {"bind": "1"} if kind.endswith("bound") else {}
    return Case(OnnxRuntime(), good, bad, ROWS, options, device)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_law_of_runtimes_on_a_gpu(law: Callable[[Case], None], case: Case) -> None:
    law(case)


def test_a_gpu_gives_what_the_cpu_gives(case: Case) -> None:
    there = case.runtime.load(case.good, case.terms).run([ROWS])
    here = OnnxRuntime().load(case.good).run([ROWS])
    for one, other in zip(there, here, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)


def test_an_engine_is_kept_for_this_gpu_and_loads_as_a_prebuilt_one(tmp_path: Path) -> None:
    need_tensorrt()
    assert gpu()
    model = classifier(tmp_path / "a.onnx")
    made = tmp_path / "made"
    runtimes = known_runtimes()
    first = runtimes["tensorrt"].load(model, Load(made=made)).run([ROWS])
    (engine,) = made.iterdir()
    written = engine.stat().st_mtime_ns
    runtimes["tensorrt"].load(model, Load(made=made))
    assert len(list(made.iterdir())) == 1
    assert engine.stat().st_mtime_ns >= written
    prebuilt = runtimes["tensorrt-engine"].load(engine).run([ROWS])
    for one, other in zip(prebuilt, first, strict=True):
        np.testing.assert_array_equal(one, other)
    engine.write_bytes(b"of another GPU")
    with pytest.raises(BrokenModel, match="another GPU or version"):
        runtimes["tensorrt-engine"].load(engine)


def test_an_execution_on_a_gpu_is_stopped_too(tmp_path: Path) -> None:
    need_provider("cuda")
    session = OnnxRuntime().load(endless(tmp_path / "e.onnx"), Load(device="cuda", deadline_ms=500))
    with pytest.raises(Exception, match="it was stopped after 500 ms"):
        session.run([np.array([0], np.float32)])

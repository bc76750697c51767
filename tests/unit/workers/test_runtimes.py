"""Loading models: what can be served is, what cannot says why."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from schemas.registrations import ServiceRegistered
from schemas.resources import Variant
from tests.unit.workers.inference_world import service
from tests.unit.workers.tiny_models import classifier
from workers.artifacts.locations import parsed
from workers.artifacts.obtaining import artifacts_of
from workers.inference.answers import read
from workers.inference.replicas import CPU, variant_of
from workers.runtimes.artifacts import load
from workers.runtimes.base import Runtime
from workers.runtimes.errors import (
    ArtifactMissing,
    BrokenModel,
    DigestMismatch,
    ExecutionFailed,
    ProviderMissing,
    RuntimeFailure,
)
from workers.runtimes.onnx import OnnxRuntime
from workers.settings import Settings

RUNTIMES: dict[str, Runtime] = {"onnx": OnnxRuntime()}
ARTIFACTS = artifacts_of(Settings(data_dir=Path("/nowhere")))


@pytest.fixture
def registered(tmp_path: Path) -> ServiceRegistered:
    path = classifier(tmp_path / "a model.onnx", 3.0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return service(artifact=path.as_uri(), digest=digest)


def test_a_model_is_loaded_verified_and_run(registered: ServiceRegistered) -> None:
    session, digest = load(RUNTIMES, ARTIFACTS, registered, CPU)
    assert digest == registered.digest
    assert session.provider == "CPUExecutionProvider"
    assert session.signature.batches
    assert session.signature.inputs[0].shape == (None, 3)
    outputs = session.run([np.array([[0, 1, 0]], np.float32)])
    answer = read(outputs, session.signature)
    assert (answer.label, answer.classes) == ("1", ("0", "1", "2"))
    assert answer.confidence == pytest.approx(np.exp(3) / (np.exp(3) + 2), rel=1e-5)
    with pytest.raises(ExecutionFailed, match="Got invalid dimensions"):
        session.run([np.zeros((1, 4), np.float32)])


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        ({"digest": "0" * 64}, DigestMismatch, "registered is 000000000000"),
        ({"artifact": "file:///nowhere.onnx"}, ArtifactMissing, "No such file"),
        ({"artifact": "ftp://host/a.onnx"}, ArtifactMissing, "give a file, http, https or s3"),
        ({"format": "plan"}, BrokenModel, "'plan' has no runtime here; known: onnx"),
    ],
)
def test_unusable_registrations_say_why(
    registered: ServiceRegistered, change: dict[str, str], error: type[RuntimeFailure], why: str
) -> None:
    with pytest.raises(error, match=why):
        load(RUNTIMES, ARTIFACTS, replace(registered, **change), CPU)  # type: ignore[arg-type]


def test_devices_that_are_not_here_say_so(registered: ServiceRegistered) -> None:
    for device, why in (("tpu", "is unknown"), ("tensorrt", "TensorrtExecutionProvider is not")):
        wanted = Variant(name="v", precision="fp16", device=device)
        if device == "tensorrt" and _has_tensorrt():
            pytest.skip("this machine has TensorRT")
        with pytest.raises(ProviderMissing, match=why):
            load(RUNTIMES, ARTIFACTS, registered, wanted)


def _has_tensorrt() -> bool:
    import onnxruntime as ort

    return "TensorrtExecutionProvider" in ort.get_available_providers()


def test_damaged_files_are_broken_models(tmp_path: Path, registered: ServiceRegistered) -> None:
    good = Path(parsed(registered.artifact).path).read_bytes()
    for number, content in enumerate((b"", b"nonsense", good[: len(good) // 2])):
        path = tmp_path / f"bad-{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(BrokenModel, match=rf"bad-{number}\.onnx"):
            OnnxRuntime().load(path)


def test_outputs_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    graph = helper.make_graph([node], "sequence", [given], [sequence])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "sequence.onnx"
    onnx.save(model, str(path))
    with pytest.raises(BrokenModel, match="only plain tensors"):
        OnnxRuntime().load(path)


def test_the_variant_of_a_placement() -> None:
    fast = Variant(name="fast", precision="int8", device="cpu")
    slow = Variant(name="slow", precision="fp32", device="cpu")
    assert variant_of(service(variants=(fast, slow)), "slow") == slow
    assert variant_of(service(variants=(fast, slow)), "unheard-of") == fast
    assert variant_of(service(variants=()), "x") == CPU

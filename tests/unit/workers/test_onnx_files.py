"""ONNX files that keep weights in other files are refused: no checksum covers those."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.unit.workers.tiny_models import classifier, endless
from workers.runtimes.errors import BrokenModel
from workers.runtimes.onnx import OnnxRuntime
from workers.runtimes.onnx_files import refuse_weights_elsewhere

WEIGHTS = numpy_helper.from_array(np.arange(300, dtype=np.float32).reshape(1, 300), "w")
IN = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 300])
OUT = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 300])


def as_initializer(weights: TensorProto) -> onnx.GraphProto:
    return helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", [IN], [OUT], [weights]
    )


def as_constant(weights: TensorProto) -> onnx.GraphProto:
    constant = helper.make_node("Constant", [], ["w"], value=weights)
    return helper.make_graph(
        [constant, helper.make_node("Add", ["x", "w"], ["y"])], "g", [IN], [OUT]
    )


def in_a_branch(weights: TensorProto) -> onnx.GraphProto:
    constant = helper.make_node("Constant", [], ["b"], value=weights)
    branch = helper.make_graph(
        [constant], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("If", ["yes"], ["w"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    return helper.make_graph(nodes, "g", [IN], [OUT], [yes])


def written(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"location": "none of this concern"})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("graph", [as_initializer, as_constant, in_a_branch])
def test_weights_elsewhere_are_refused_wherever_they_are_named(
    tmp_path: Path, graph: Callable[[TensorProto], onnx.GraphProto]
) -> None:
    OnnxRuntime().load(written(tmp_path / "whole.onnx", graph(WEIGHTS)))
    outside = TensorProto()
    outside.CopyFrom(WEIGHTS)
    (tmp_path / "w.bin").write_bytes(outside.raw_data)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="w.bin")
    with pytest.raises(BrokenModel, match=r"split\.onnx: it keeps weights in other files"):
        OnnxRuntime().load(written(tmp_path / "split.onnx", graph(outside)))


def test_whole_files_pass_and_missing_ones_say_so(tmp_path: Path) -> None:
    refuse_weights_elsewhere(classifier(tmp_path / "a.onnx"))
    refuse_weights_elsewhere(endless(tmp_path / "b.onnx"))
    with pytest.raises(BrokenModel, match=r"none\.onnx: No such file"):
        refuse_weights_elsewhere(tmp_path / "none.onnx")


@settings(max_examples=30)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_damaged_files_are_left_to_who_reads_them(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.onnx"
    whole = classifier(path).read_bytes()
    for content in (noise, whole[:place] + noise, whole[:place] + noise + whole[place:]):
        path.write_bytes(content)
        with contextlib.suppress(BrokenModel):  # noise may name a file
            refuse_weights_elsewhere(path)

"""ONNX models of a few nodes, written to files."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

CLASSES = '["0", "1", "2"]'


def classifier(path: Path, scale: float = 1.0) -> Path:
    """Write a model that picks the largest of three numbers, after scaling them."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("Softmax", ["scaled"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3]),
        ],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"classes": CLASSES})
    onnx.save(model, str(path))
    return path


def repeated(path: Path, times: int) -> Path:
    """Write a model that gives three numbers so many times over, as `wide`."""
    graph = helper.make_graph(
        [helper.make_node("Tile", ["x", "times"], ["wide"])],
        "repeated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("wide", TensorProto.FLOAT, [None, 3 * times])],
        [helper.make_tensor("times", TensorProto.INT64, [2], [1, times])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def of_repeated(path: Path, times: int) -> Path:
    """Write a model that picks the largest of three numbers from what `repeated` gives."""
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["wide", "form"], ["each"]),
            helper.make_node("ReduceMean", ["each"], ["x"], axes=[1], keepdims=0),
            helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "of_repeated",
        [helper.make_tensor_value_info("wide", TensorProto.FLOAT, [None, 3 * times])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3]),
        ],
        [helper.make_tensor("form", TensorProto.INT64, [3], [-1, times, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def endless(path: Path, turns: int = 2**62) -> Path:
    """Write a model that goes round a loop as often as its input says, `turns` times for 0."""
    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["before", "one"], ["after"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])],
    )
    nodes = [
        helper.make_node("Cast", ["x"], ["wanted"], to=TensorProto.INT64),
        helper.make_node("Equal", ["wanted", "none"], ["asked_for_none"]),
        helper.make_node("Where", ["asked_for_none", "most", "wanted"], ["turns"]),
        helper.make_node("Loop", ["turns", "", "start"], ["y"], body=turn),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [
            helper.make_tensor("none", TensorProto.INT64, [1], [0]),
            helper.make_tensor("most", TensorProto.INT64, [1], [turns]),
            helper.make_tensor("start", TensorProto.FLOAT, [1], [0.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path

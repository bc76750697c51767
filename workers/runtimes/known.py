"""The runtimes of a worker, by the format of artifact that each takes."""

from importlib import import_module
from importlib.util import find_spec

from workers.runtimes.base import Runtime
from workers.runtimes.http_services import OpenInference, PlainJson
from workers.runtimes.onnx import OnnxRuntime
from workers.runtimes.options import OPEN_INFERENCE, PLAIN_JSON
from workers.runtimes.plugins import installed_runtimes


def known_runtimes() -> dict[str, Runtime]:
    """Return the runtimes that can be used here: Weir's own, then those of plug-ins."""
    own: dict[str, Runtime] = {
        "onnx": OnnxRuntime(),
        OPEN_INFERENCE: OpenInference(),
        PLAIN_JSON: PlainJson(),
    }
    own |= _native_tensorrt()
    return own | installed_runtimes(frozenset(own))


def _native_tensorrt() -> dict[str, Runtime]:
    """Return the experimental runtimes of TensorRT itself, where it is installed."""
    if find_spec("tensorrt") is None:
        return {}
    native = import_module("workers.runtimes.tensorrt")
    return {"tensorrt": native.TensorRt(), "tensorrt-engine": native.TensorRtEngine()}

"""The runtimes of a worker, by the format of artifact that each takes."""

from workers.runtimes.base import Runtime
from workers.runtimes.http_services import OpenInference, PlainJson
from workers.runtimes.onnx import OnnxRuntime


def known_runtimes() -> dict[str, Runtime]:
    """Return the runtimes that can be used here."""
    return {"onnx": OnnxRuntime(), "open-inference": OpenInference(), "plain-json": PlainJson()}

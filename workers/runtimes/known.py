"""The runtimes of a worker, by the format of artifact that each takes."""

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
    return own | installed_runtimes(frozenset(own))

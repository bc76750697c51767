"""The two models as files."""

from pathlib import Path

from workers.smoke.models import convolution, dense
from workers.smoke.onnx_writing import model_bytes


def write_models(folder: Path) -> dict[str, Path]:
    """Write the two models to files, and return these by name. Raises OSError."""
    found = {}
    for sample in (dense(), convolution()):
        path = folder / f"{sample.graph.name}.onnx"
        path.write_bytes(model_bytes(sample.graph))
        found[sample.graph.name] = path
    return found

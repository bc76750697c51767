"""Builds TensorRT engines from ONNX files and keeps them. EXPERIMENTAL, as `tensorrt` says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt as trt  # type: ignore[import-not-found, import-untyped, unused-ignore]  # untyped

from workers.artifacts.store import sha256
from workers.runtimes.base import Array, Port
from workers.runtimes.cudart import Buffer, Stream, gpu
from workers.runtimes.errors import BrokenModel
from workers.runtimes.kept_engines import keep, kept
from workers.runtimes.onnx_files import refuse_weights_elsewhere
from workers.runtimes.tensorrt_options import EngineOptions, Shapes, engine_key, shapes_of


def plan_of(model: Path, own: EngineOptions, folder: Path | None, logger: Any) -> bytes:
    """Return the engine of an ONNX file, built unless it is kept already. Raises BrokenModel."""
    if folder is None:
        return _built(model, own, logger)
    calibration = sha256(Path(own.calibration)) if own.calibration else ""
    key = engine_key(sha256(model), gpu(), trt.__version__, calibration, own)
    plan = kept(folder, key)
    if plan is None:
        plan = _built(model, own, logger)
        keep(folder, key, plan)
    return plan


def _built(model: Path, own: EngineOptions, logger: Any) -> bytes:
    refuse_weights_elsewhere(model)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model)):
        told = parser.get_error(0).desc() if parser.num_errors else "it is no ONNX file"
        raise BrokenModel(f"{model}: {told}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, own.workspace_mib << 20)
    profile = builder.create_optimization_profile()
    inputs = [_port(network.get_input(number)) for number in range(network.num_inputs)]
    shapes = {port.name: found for port in inputs if (found := shapes_of(port, own)) is not None}
    for name, each in shapes.items():
        profile.set_shape(name, each.smallest, each.usual, each.largest)
    config.add_optimization_profile(profile)
    calibrator = _set_precision(config, profile, own, inputs, shapes)
    plan = builder.build_serialized_network(network, config)
    del calibrator  # TensorRT does not hold it itself while it builds
    if plan is None:
        raise BrokenModel(f"{model}: TensorRT could not build an engine; see its log")
    return bytes(plan)


def _set_precision(
    config: Any,
    profile: Any,
    own: EngineOptions,
    inputs: list[Port],
    shapes: dict[str, Shapes],
) -> object:
    """Ask for lower precision, and return the calibrator, which must live while it is built."""
    if own.precision == "model":
        return None
    flag = getattr(trt.BuilderFlag, own.precision.upper(), None)
    if flag is None:
        raise BrokenModel(
            f"TensorRT {trt.__version__} builds with the types of the model alone: convert the "
            f"model to {own.precision} and leave out runtime.precision"
        )
    config.set_flag(flag)
    if own.precision != "int8":
        return None
    if not own.calibration:
        raise BrokenModel("int8 needs runtime.calibration, an npz file of arrays by input")
    calibrator = _calibrator(own.calibration, inputs, shapes)
    config.int8_calibrator = calibrator
    config.set_calibration_profile(profile)
    return calibrator


def _calibrator(path: str, inputs: list[Port], shapes: dict[str, Shapes]) -> object:
    """Return a calibrator that gives batches of the usual size from a file. Raises BrokenModel."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rows = {port.name: arrays[port.name].astype(port.dtype) for port in inputs}
    except (OSError, KeyError, ValueError) as error:
        raise BrokenModel(f"runtime.calibration {path}: {error}") from error
    first = inputs[0]
    size = shapes[first.name].usual[0] if first.name in shapes else int(first.shape[0] or 1)

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]  # an untyped base
        """Gives TensorRT the rows of the file, on the GPU, a batch at a time."""

        def __init__(self) -> None:
            super().__init__()
            self._batches = _batches(rows, size)
            self._stream = Stream()
            self._buffers: dict[str, Buffer] = {}

        def get_batch_size(self) -> int:
            """Return how many rows a batch has."""
            return size

        def get_batch(self, names: list[str]) -> list[int] | None:
            """Return the addresses of the next batch; None when there is no more."""
            batch = next(self._batches, None)
            if batch is None:
                return None
            for name in names:
                if name not in self._buffers:
                    self._buffers[name] = Buffer(batch[name].nbytes)
                self._buffers[name].send(batch[name], self._stream)
            self._stream.wait()
            return [self._buffers[name].device for name in names]

        def read_calibration_cache(self) -> bytes | None:
            """Return nothing: whole engines are kept."""
            return None

        def write_calibration_cache(self, cache: bytes) -> None:
            """Keep nothing: whole engines are kept."""

    return Calibrator()


def _batches(rows: dict[str, Array], size: int) -> Iterator[dict[str, Array]]:
    """Yield whole batches; rows that fill none are left out."""
    length = min(len(array) for array in rows.values())
    for start in range(0, length - size + 1, size):
        yield {name: array[start : start + size] for name, array in rows.items()}


def _port(tensor: Any) -> Port:
    sizes = (int(size) for size in tensor.shape)
    shape = tuple(None if size < 0 else size for size in sizes)
    return Port(tensor.name, np.dtype(trt.nptype(tensor.dtype)), shape)

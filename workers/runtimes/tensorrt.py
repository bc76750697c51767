"""TensorRT itself: engines built here from ONNX, or built before. EXPERIMENTAL.

It has not been run on a GPU yet: `make gpu-smoke` does that where there is one, and until it has,
ONNX Runtime's CUDA and TensorRT providers are the way to a GPU. This module can be imported only
where `tensorrt` is installed. An execution cannot be interrupted: let a model that may hang have
`runtime.isolated`.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt as trt  # type: ignore[import-not-found, import-untyped, unused-ignore]  # untyped

from workers.runtimes import tensorrt_engines as engines
from workers.runtimes.base import DEFAULT, Array, Load, Port, Signature
from workers.runtimes.cudart import Buffer, Stream, devices
from workers.runtimes.errors import BrokenModel, ExecutionFailed, ProviderMissing
from workers.runtimes.options import checked
from workers.runtimes.tensorrt_options import EngineOptions

LOGGER = trt.Logger(trt.Logger.ERROR)


class TensorRt:
    """Builds an engine from an ONNX file once for each GPU, version and options, and keeps it."""

    name = "tensorrt"
    fetches = True

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "TensorRtSession":
        """Load a model, which can take minutes the first time.

        Raises BrokenModel, ProviderMissing.
        """
        _need_gpu()
        own = checked(EngineOptions, terms.options)
        return TensorRtSession(engines.plan_of(Path(artifact), own, terms.made, LOGGER))


class TensorRtEngine:
    """Loads engines that were built before, for this GPU and this version of TensorRT."""

    name = "tensorrt"
    fetches = True

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "TensorRtSession":
        """Load an engine. Raises BrokenModel, ProviderMissing."""
        _need_gpu()
        if terms.options:
            raise BrokenModel(f"an engine takes no options: {', '.join(terms.options)}")
        return TensorRtSession(Path(artifact).read_bytes())


class TensorRtSession:
    """An engine, its execution context, one stream, and pinned memory that grows as needed."""

    provider = "TensorRT"

    def __init__(self, plan: bytes) -> None:
        self._runtime = trt.Runtime(LOGGER)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise BrokenModel("TensorRT cannot read the engine: it is of another GPU or version")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BrokenModel("the GPU has too little memory left for this engine")
        self.signature = _signature(self._engine)
        self._stream = Stream()
        self._buffers: dict[str, Buffer] = {}
        self._turn = threading.Lock()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed.
        """
        with self._turn:
            for port, array in zip(self.signature.inputs, inputs, strict=True):
                self._send(port, array)
            shapes = [self._prepared(port) for port in self.signature.outputs]
            if not self._context.execute_async_v3(self._stream.handle):
                raise ExecutionFailed("TensorRT could not begin the execution; see its log")
            pairs = list(zip(self.signature.outputs, shapes, strict=True))
            for port, shape in pairs:
                self._buffers[port.name].fetch(_bytes(port, shape), self._stream)
            self._stream.wait()
            return [self._buffers[port.name].array(port.dtype, shape) for port, shape in pairs]

    def _send(self, port: Port, array: Array) -> None:
        if array.ndim != len(port.shape) or not self._context.set_input_shape(
            port.name, array.shape
        ):
            raise ExecutionFailed(f"input {port.name}: {array.shape} is outside of the profile")
        self._buffer(port, array.nbytes).send(array, self._stream)

    def _prepared(self, port: Port) -> tuple[int, ...]:
        """Make room for an output, and return its shape for the inputs that are set."""
        shape = tuple(int(size) for size in self._context.get_tensor_shape(port.name))
        if min(shape, default=0) < 0:
            raise ExecutionFailed(f"output {port.name} has a shape that depends on data: {shape}")
        self._buffer(port, _bytes(port, shape))
        return shape

    def _buffer(self, port: Port, size: int) -> Buffer:
        known = self._buffers.get(port.name)
        if known is None or known.size < size:
            known = self._buffers[port.name] = Buffer(max(1, size))
        if not self._context.set_tensor_address(port.name, known.device):
            raise ExecutionFailed(f"TensorRT takes no address for {port.name}")
        return known


def _need_gpu() -> None:
    if not devices():
        raise ProviderMissing("TensorRT needs a GPU, and there is none")


def _bytes(port: Port, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * port.dtype.itemsize


def _signature(engine: Any) -> Signature:
    inputs: list[Port] = []
    outputs: list[Port] = []
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        try:
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        except TypeError as error:
            raise BrokenModel(f"tensor {name} has a type that numpy lacks: {error}") from error
        sizes = (int(size) for size in engine.get_tensor_shape(name))
        port = Port(name, dtype, tuple(None if size < 0 else size for size in sizes))
        mode = engine.get_tensor_mode(name)
        (inputs if mode == trt.TensorIOMode.INPUT else outputs).append(port)
    return Signature(tuple(inputs), tuple(outputs))

"""ONNX Runtime: the one door to it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # it ships no types
from onnxruntime.capi import (  # type: ignore[import-untyped]  # it ships no types
    onnxruntime_pybind11_state as state,
)

from workers.runtimes.base import Array, Port, Signature
from workers.runtimes.errors import BrokenModel, ExecutionFailed, ProviderMissing

_PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": (
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ),
}
"""Providers per device, the wanted one first; the others take operators that it lacks."""

_DTYPES: Mapping[str, str] = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "bool": "bool",
    "string": "str",
}
_FAILURES = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
    state.EPFail,
    state.RuntimeException,
    RuntimeError,
    ValueError,
)


class OnnxRuntime:
    """Loads ONNX files; `threads` is how many one execution may use on the CPU."""

    name = "onnxruntime"

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def load(self, artifact: Path, device: str = "cpu") -> "OnnxSession":
        """Load a model for a device: cpu, cuda or tensorrt.

        Raises BrokenModel when the file is none that can be served, ProviderMissing when this
        machine or this build of ONNX Runtime lacks the device.
        """
        providers = _providers(device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(str(artifact), options, providers=list(providers))
        except _FAILURES as error:
            raise BrokenModel(f"{artifact}: {_first_line(error)}") from error
        if session.get_providers()[0] != providers[0]:
            raise ProviderMissing(
                f"{artifact}: {providers[0]} could not be started here; see ONNX Runtime's log"
            )
        return OnnxSession(session, _signature(session, artifact))


class OnnxSession:
    """A model that ONNX Runtime has loaded."""

    def __init__(self, session: ort.InferenceSession, signature: Signature) -> None:
        self._session = session
        self._signature = signature
        self._names = [port.name for port in signature.inputs]

    @property
    def signature(self) -> Signature:
        """Return what it takes and gives."""
        return self._signature

    @property
    def provider(self) -> str:
        """Return the execution provider in force."""
        return str(self._session.get_providers()[0])

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed.
        """
        feed = dict(zip(self._names, inputs, strict=True))
        try:
            outputs = self._session.run(None, feed)
        except _FAILURES as error:
            raise ExecutionFailed(_first_line(error)) from error
        return [np.asarray(output) for output in outputs]


def _providers(device: str) -> tuple[str, ...]:
    wanted = _PROVIDERS.get(device)
    if wanted is None:
        raise ProviderMissing(f"device {device!r} is unknown; known: {', '.join(_PROVIDERS)}")
    available = ort.get_available_providers()
    if wanted[0] not in available:
        raise ProviderMissing(
            f"{wanted[0]} is not in this build of ONNX Runtime; available: {', '.join(available)}"
        )
    return tuple(provider for provider in wanted if provider in available)


def _signature(session: ort.InferenceSession, artifact: Path) -> Signature:
    properties = {str(k): str(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    return Signature(
        inputs=tuple(_port(port, artifact) for port in session.get_inputs()),
        outputs=tuple(_port(port, artifact) for port in session.get_outputs()),
        properties=properties,
    )


def _port(port: Any, artifact: Path) -> Port:
    kind = str(port.type)
    inner = kind.removeprefix("tensor(").removesuffix(")")
    if not kind.startswith("tensor(") or inner not in _DTYPES:
        raise BrokenModel(
            f"{artifact}: {port.name} is a {kind}; only plain tensors can be served "
            "(scikit-learn models: export with zipmap=False)"
        )
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in port.shape)
    return Port(str(port.name), np.dtype(_DTYPES[inner]), shape)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__

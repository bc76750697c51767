"""ONNX Runtime: the one door to it.

An execution that takes too long is told to end, which ONNX Runtime looks at between two operators
and two turns of a loop; an operator that hangs itself ends only with its process. A model that had
to be stopped rests before it is tried again, so that it does not hold up the others for long.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]  # it ships no types
from onnxruntime.capi import (  # type: ignore[import-untyped]  # it ships no types
    onnxruntime_pybind11_state as state,
)
from pydantic import Field

from workers.runtimes.base import DEFAULT, Array, Load, Port, Signature
from workers.runtimes.errors import BrokenModel, ExecutionFailed, ProviderMissing
from workers.runtimes.onnx_files import refuse_weights_elsewhere
from workers.runtimes.options import checked
from workers.runtimes.resting import Resting
from workers.runtimes.watchdog import Watchdog
from workers.settings_section import Section

LONGEST_REST_S = 600.0
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
_DEVICES: Mapping[str, str] = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
}
"""Where a provider's tensors are; the others' are in the machine's memory."""
_FAILURES: tuple[type[Exception], ...] = (
    *(
        kind
        for kind in vars(state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    RuntimeError,
    ValueError,
    MemoryError,
)


_LEVELS: Mapping[str, Any] = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def available() -> tuple[str, ...]:
    """Return the execution providers of this build of ONNX Runtime."""
    return tuple(ort.get_available_providers())


def provider_of(device: str) -> str:
    """Return the execution provider of a device: cpu, cuda or tensorrt."""
    return _PROVIDERS[device][0]


class OnnxOptions(Section):
    """Options of one model.

    `provider` goes to the device's execution provider as it stands, such as
    `runtime.provider.gpu_mem_limit` for CUDA or `runtime.provider.trt_fp16_enable` for TensorRT.
    """

    threads: int = Field(default=1, ge=1, le=1024, description="threads of one operator")
    parallel: int = Field(default=1, ge=1, le=1024, description="operators at the same time")
    spin: bool = Field(default=True, description="idle threads wait busily")
    arena: bool = Field(default=True, description="memory is kept for the next execution")
    shrink: bool = Field(default=False, description="but given back after each one")
    pattern: bool = Field(default=True, description="memory is planned for inputs of a shape")
    optimization: Literal["none", "basic", "extended", "all"] = "all"
    bind: bool = Field(default=False, description="inputs and outputs are bound, not copied")
    provider: dict[str, str] = Field(default={})


class OnnxRuntime:
    """Loads ONNX files."""

    name = "onnxruntime"
    fetches = True

    def __init__(self) -> None:
        self._watchdog = Watchdog()

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> "OnnxSession":
        """Load a model for a device: cpu, cuda or tensorrt.

        Raises BrokenModel when the file is none that can be served, keeps weights in other files,
        or an option cannot be used, ProviderMissing when this machine or this build of ONNX
        Runtime lacks the device.
        """
        own = checked(OnnxOptions, terms.options)
        providers = _providers(terms.device)
        options = _session_options(own)
        named = [(providers[0], own.provider), *((name, {}) for name in providers[1:])]
        late = terms.load_ms / 1000
        refuse_weights_elsewhere(Path(artifact))
        try:
            with self._watchdog.over(late, lambda: options.set_load_cancellation_flag(True)):
                session = ort.InferenceSession(str(artifact), options, providers=named)
        except _FAILURES as error:
            raise BrokenModel(f"{artifact}: {_first_line(error)}") from error
        if session.get_providers()[0] != providers[0]:
            raise ProviderMissing(
                f"{artifact}: {providers[0]} could not be started here; see ONNX Runtime's log"
            )
        signature = _signature(session, artifact)
        return OnnxSession(session, signature, own, terms.deadline_ms, self._watchdog)


class OnnxSession:
    """A model that ONNX Runtime has loaded."""

    def __init__(
        self,
        session: ort.InferenceSession,
        signature: Signature,
        options: OnnxOptions,
        deadline_ms: float,
        watchdog: Watchdog,
    ) -> None:
        self._session = session
        self._provider = str(session.get_providers()[0])
        self._signature = signature
        self._names = [port.name for port in signature.inputs]
        self._deadline_ms = deadline_ms
        self._watchdog = watchdog
        self._resting = Resting(deadline_ms / 1000, max(LONGEST_REST_S, deadline_ms / 1000))
        self._place = _DEVICES.get(self.provider, "cpu")
        self._shrinks = f"{self._place}:0" if options.shrink and options.arena else ""
        self._binds = options.bind

    @property
    def signature(self) -> Signature:
        """Return what it takes and gives."""
        return self._signature

    @property
    def provider(self) -> str:
        """Return the execution provider of the latest execution; one that fails is replaced."""
        return self._provider

    @property
    def trouble(self) -> str | None:
        """Return why it rests; None when it can be executed."""
        return self._resting.why if self._resting.left(time.monotonic()) else None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on one array per input, in the signature's order; returns one per output.

        Raises ExecutionFailed, also for an execution that was stopped because it took too long,
        and while the model rests after that.
        """
        if (left := self._resting.left(time.monotonic())) > 0:
            raise ExecutionFailed(f"it rests for {left:.1f} s more: {self._resting.why}")
        feed = dict(zip(self._names, inputs, strict=True))
        options = ort.RunOptions()
        if self._shrinks:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", self._shrinks)
        try:
            with self._watchdog.over(self._deadline_ms / 1000, lambda: _terminate(options)):
                if self._binds:
                    outputs = self._bound(feed, options)
                else:
                    outputs = self._session.run(None, feed, options)
        except _FAILURES as error:
            if not options.terminate:
                raise ExecutionFailed(_first_line(error)) from error
            why = f"it was stopped after {self._deadline_ms:g} ms; see runtime.deadline_ms"
            self._resting.failed(why, time.monotonic())
            raise ExecutionFailed(why) from error
        self._resting.succeeded()
        self._provider = str(self._session.get_providers()[0])
        return [np.asarray(output) for output in outputs]

    def _bound(self, feed: Mapping[str, Array], options: ort.RunOptions) -> Any:
        """Execute on bound inputs and outputs: outputs stay on the device until the end.

        On the CPU this costs some microseconds and brings nothing.
        """
        binding = self._session.io_binding()
        for name, array in feed.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for port in self._signature.outputs:
            binding.bind_output(port.name, self._place)
        self._session.run_with_iobinding(binding, options)
        return binding.copy_outputs_to_cpu()


def _session_options(own: OnnxOptions) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = own.threads
    options.inter_op_num_threads = own.parallel
    if own.parallel > 1:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = own.arena
    options.enable_mem_pattern = own.pattern
    options.graph_optimization_level = _LEVELS[own.optimization]
    options.log_severity_level = 4
    for scope in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{scope}.allow_spinning", str(int(own.spin)))
    return options


def _terminate(options: ort.RunOptions) -> None:
    options.terminate = True


def _providers(device: str) -> tuple[str, ...]:
    wanted = _PROVIDERS.get(device)
    if wanted is None:
        raise ProviderMissing(f"device {device!r} is unknown; known: {', '.join(_PROVIDERS)}")
    found = available()
    if wanted[0] not in found:
        raise ProviderMissing(
            f"{wanted[0]} is not in this build of ONNX Runtime; available: {', '.join(found)}"
        )
    return tuple(provider for provider in wanted if provider in found)


def _signature(session: ort.InferenceSession, artifact: Path | str) -> Signature:
    properties = {str(k): str(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    return Signature(
        inputs=tuple(_port(port, artifact) for port in session.get_inputs()),
        outputs=tuple(_port(port, artifact) for port in session.get_outputs()),
        properties=properties,
    )


def _port(port: Any, artifact: Path | str) -> Port:
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

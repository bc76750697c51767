"""What is there and works, what is there and fails, and what is not there."""

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from workers.agent.machine import SHORTEST_S, Machine
from workers.agent.nvml import nvidia
from workers.agent.readings import Reading
from workers.agent.tegra_process import PROGRAM, Tegra, command
from workers.errors import WorkerError
from workers.runtimes.base import Load, Runtime
from workers.smoke.models import Sample, convolution, dense
from workers.standalone.versions import version_of

OK, FAILED, ABSENT = "ok", "failed", "absent"
NAMES = (
    *("worker", "resources", "nvml", "tegrastats", "onnxruntime-cpu", "onnxruntime-cuda"),
    *("onnxruntime-tensorrt", "tensorrt", "contention"),
)
TEGRASTATS_S = 5.0
_TOLERANCE = 2e-2
"""GPUs multiply with ten bits of precision by default."""
_NVIDIA = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/nvhost-gpu"))
_JETSON = (Path("/etc/nv_tegra_release"),)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what was seen."""

    name: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class Device:
    """What this machine is, by what its system shows."""

    nvidia: bool
    jetson: bool


def device() -> Device:
    """Look whether this machine has a GPU of NVIDIA, and whether it is a Jetson."""
    return Device(
        nvidia=any(path.exists() for path in _NVIDIA),
        jetson=any(path.exists() for path in _JETSON),
    )


def serving() -> Check:
    """Load everything that a worker on Kafka needs."""
    try:
        importlib.import_module("workers.inference.loop")
    except (ImportError, OSError) as error:
        return Check("worker", FAILED, f"{error}; pip install 'weir[worker]'")
    return Check("worker", OK, f"confluent-kafka {version_of('confluent-kafka')}")


def resources() -> Check:
    """Read processors and memory."""
    machine = Machine(per_core=False)
    time.sleep(SHORTEST_S)
    found = {reading.metric: reading.value for reading in machine.read()}
    wanted = ("cpu.used", "memory.available", "memory.total")
    missing = [name for name in wanted if name not in found]
    if missing:
        return Check("resources", FAILED, f"psutil does not tell {', '.join(missing)}")
    hottest = max((v for name, v in found.items() if name.startswith("temperature.")), default=None)
    heat = "no temperatures" if hottest is None else f"hottest {hottest:.0f} C"
    told = (
        f"processors {found['cpu.used']:.0f} % busy, {found['memory.available']:.0f} of "
        f"{found['memory.total']:.0f} MiB free, {heat}"
    )
    return Check("resources", OK, told)


def nvml(here: Device) -> Check:
    """Read the GPUs of NVIDIA."""
    states = nvidia().states()
    if states:
        told = (
            f"{gpu.model}, {gpu.memory_used >> 20} of {gpu.memory_total >> 20} MiB used"
            for gpu in states
        )
        return Check("nvml", OK, "; ".join(told))
    if not here.nvidia or here.jetson:
        return Check("nvml", ABSENT, "no GPU that NVML could tell of")
    library = "" if find_spec("pynvml") else "; pip install 'weir[nvml]'"
    return Check("nvml", FAILED, f"there is a GPU, and NVML tells of none{library}")


def tegrastats(here: Device) -> Check:
    """Read a Jetson."""
    wanted = command(0.1)
    if wanted is None:
        if here.jetson:
            return Check("tegrastats", FAILED, f"this is a Jetson without {PROGRAM}")
        return Check("tegrastats", ABSENT, "this is no Jetson")
    found = _first_readings(Tegra(wanted))
    if not found:
        return Check("tegrastats", FAILED, f"{wanted[0]} has told nothing for {TEGRASTATS_S:g} s")
    return Check("tegrastats", OK, f"{len(found)} readings, such as {_shown(found[0])}")


def onnx_runtime(here: Device, folder: Path) -> Iterator[Check]:
    """Have ONNX Runtime compute on everything that it can: processors, CUDA, TensorRT."""
    try:
        onnx = importlib.import_module("workers.runtimes.onnx")
    except (ImportError, OSError) as error:
        yield Check("onnxruntime-cpu", FAILED, f"{error}; pip install 'weir[worker]'")
        return
    version = version_of("onnxruntime") or version_of("onnxruntime-gpu") or "of unknown version"
    available = onnx.available()
    yield _computed("onnxruntime-cpu", onnx.OnnxRuntime(), "cpu", folder, f"{version}, ")
    for place in ("cuda", "tensorrt"):
        name, provider = f"onnxruntime-{place}", onnx.provider_of(place)
        if provider not in available:
            yield Check(name, ABSENT, f"{provider} is not in this build of ONNX Runtime")
        elif not here.nvidia:
            yield Check(name, ABSENT, f"{provider} is in this build; no GPU of NVIDIA is there")
        else:
            yield _computed(name, onnx.OnnxRuntime(), place, folder, f"{version}, ")


def tensorrt(here: Device, folder: Path) -> Check:
    """Have TensorRT itself compute, where it is installed."""
    if find_spec("tensorrt") is None:
        return Check("tensorrt", ABSENT, "TensorRT's library for Python is not installed")
    if not here.nvidia:
        return Check("tensorrt", ABSENT, "TensorRT is installed; no GPU of NVIDIA is there")
    try:
        native = importlib.import_module("workers.runtimes.tensorrt")
    except (ImportError, OSError) as error:
        return Check("tensorrt", FAILED, str(error))
    return _computed("tensorrt", native.TensorRt(), "cuda", folder, "experimental, ")


def _computed(name: str, runtime: Runtime, place: str, folder: Path, told: str) -> Check:
    """Have both models compute, and compare what they answer with what they must."""
    try:
        offs = [_off(sample, runtime, place, folder) for sample in (dense(), convolution())]
    except WorkerError as error:
        return Check(name, FAILED, str(error))
    if not max(offs) <= _TOLERANCE:
        return Check(name, FAILED, f"{told}answers are off by {max(offs):.2%} of the largest")
    return Check(name, OK, f"{told}two models answer right, within {max(offs):.1e}")


def _off(sample: Sample, runtime: Runtime, place: str, folder: Path) -> float:
    """Return by how much an answer is off, as a share of the largest number in it."""
    session = runtime.load(folder / f"{sample.graph.name}.onnx", Load(device=place, made=folder))
    (given,) = session.run([sample.example])
    wanted = sample.answer(sample.example)
    if given.shape != wanted.shape:
        return float("inf")
    return float(np.abs(given - wanted).max() / np.abs(wanted).max())


def _first_readings(tegra: Tegra) -> list[Reading]:
    until = time.monotonic() + TEGRASTATS_S
    try:
        while time.monotonic() < until:
            if found := list(tegra.read()):
                return found
            time.sleep(0.05)
    finally:
        tegra.close()
    return []


def _shown(reading: Reading) -> str:
    return f"{reading.metric} {reading.value:g} {reading.unit}".strip()

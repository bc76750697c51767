"""The door to NVML: NVIDIA's GPUs by its own library, where library and driver are there.

The module `pynvml` of nvidia-ml-py is loaded when it is first asked for. What a GPU does not
support is left out; a GPU that fails is left out until it answers again.
"""

import importlib
from collections.abc import Callable
from typing import Any

from workers.agent.gpus import Gpus, GpuState, NoGpus
from workers.telemetry import logger

MODULE = "pynvml"

log = logger(__name__)


def nvidia(load: Callable[[str], Any] = importlib.import_module) -> Gpus:
    """Return the GPUs that NVML tells of; none where library or driver is not there."""
    try:
        library = load(MODULE)
    except ImportError:
        return NoGpus()
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        log.info("agent.no_gpus", reason=str(error))
        return NoGpus()
    return Nvml(library)


class Nvml:
    """The GPUs of an initialised library."""

    def __init__(self, library: Any) -> None:
        self._nvml = library

    def states(self) -> list[GpuState]:
        """Return the GPUs that answer."""
        count = self._or_none(self._nvml.nvmlDeviceGetCount) or 0
        found = (self._state(index) for index in range(int(count)))
        return [state for state in found if state is not None]

    def _state(self, index: int) -> GpuState | None:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            name = nvml.nvmlDeviceGetName(handle)
        except nvml.NVMLError:
            return None
        use = self._or_none(nvml.nvmlDeviceGetUtilizationRates, handle)
        return GpuState(
            index=index,
            model=name.decode() if isinstance(name, bytes) else str(name),
            memory_total=int(memory.total),
            memory_used=int(memory.used),
            used=None if use is None else float(use.gpu),
            memory_busy=None if use is None else float(use.memory),
            temperature=self._or_none(
                nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU
            ),
            power_mw=self._or_none(nvml.nvmlDeviceGetPowerUsage, handle),
            clock_mhz=self._or_none(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        )

    def _or_none(self, ask: Callable[..., Any], *args: Any) -> Any:
        try:
            return ask(*args)
        except self._nvml.NVMLError:
            return None

"""What a benchmark ran on: it stands beside every figure."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, system, Python and Weir, and how busy it was before."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "weir": version("weir"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    if not _CPUINFO.exists():
        return platform.processor() or platform.machine()
    names = (
        line.partition(":")[2].strip()
        for line in _CPUINFO.read_text("utf-8").splitlines()
        if line.startswith("model name")
    )
    return next(names, platform.machine())

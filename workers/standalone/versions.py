"""Which software a run or a check was made with."""

import platform
from importlib import metadata

LIBRARIES = (
    *("weir", "numpy", "onnxruntime", "onnxruntime-gpu", "tensorrt", "confluent-kafka"),
    *("fastavro", "psutil", "nvidia-ml-py", "pydantic"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, the system and the libraries that are installed."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
    }
    for name in LIBRARIES:
        version = version_of(name)
        if version is not None:
            found[name] = version
    return found


def version_of(library: str) -> str | None:
    """Return the version of an installed distribution; None where there is none."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None

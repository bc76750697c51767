"""Detectors of drift of others: what installed distributions name under `weir.drift_detectors`.

An entry is a function or class that, called without arguments, gives a
`processors.drifting.detectors.DriftDetector`; its name is what policies call it by. The names of
Weir's own detectors, and `off`, stay theirs.
"""

from importlib.metadata import EntryPoint

from processors.drifting.detectors import GROUP, OFF, PARAMETERS, DriftDetector
from processors.drifting.kernels import Floats
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable

MOST_WIDTH = 600
"""Most numbers that a detector of others may remember of a series: more would not fit."""


class Guarded:
    """A detector of others; it raises nothing but processors.errors.PluginError."""

    def __init__(self, detector: DriftDetector, width: int) -> None:
        self._detector = detector
        self.width = width

    def update(self, memory: Floats, value: float) -> bool:
        """Return what the detector says."""
        said: bool = attempted(lambda: bool(self._detector.update(memory, value)))
        return said


def installed() -> dict[str, DriftDetector]:
    """Return detectors of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why a detector of others cannot have a name; empty when it can."""
    return "it has the name of one of Weir's own" if name in (OFF, *PARAMETERS) else ""


def made(point: EntryPoint) -> DriftDetector:
    """Return a detector, guarded. Raises Unusable, and whatever its maker raises."""
    detector: object = point.load()()
    if not isinstance(detector, DriftDetector):
        kind = type(detector).__name__
        raise Unusable(f"{point.value} makes a {kind}, which is no DriftDetector")
    if not isinstance(detector.width, int) or not 0 <= detector.width <= MOST_WIDTH:
        raise Unusable(f"its width is {detector.width}; it must be within 0 and {MOST_WIDTH}")
    return Guarded(detector, detector.width)

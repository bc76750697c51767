"""Detectors of others: what installed distributions name under `weir.detectors`.

An entry is a function or class that, called without arguments, gives a
`processors.anomalies.detectors.Detector`; its name is what policies call it by. The names of Weir's
own detectors, and `off`, stay theirs.
"""

from importlib.metadata import EntryPoint

from processors.anomalies.detectors import GROUP, WEIR, Detector
from processors.anomalies.kernels import Floats
from processors.anomalies.multivariate import VECTOR_DETECTORS
from processors.anomalies.policies import OFF
from processors.anomalies.univariate import DETECTORS
from streams.plugins.attempts import attempted
from workers import plugin_points
from workers.plugin_points import Unusable

MOST_WIDTH = 700
"""Most numbers that a detector of others may remember of a series: more would not fit."""


class Guarded:
    """A detector of others; it raises nothing but processors.errors.PluginError."""

    def __init__(self, detector: Detector, width: int) -> None:
        self._detector = detector
        self.width = width

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:
        """Return what the detector says."""
        said: float = attempted(lambda: float(self._detector.strangeness(memory, time_ms, value)))
        return said

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:
        """Let the detector learn."""
        attempted(self._detector.learn, memory, time_ms, value)


def installed() -> dict[str, Detector]:
    """Return detectors of others by name; those that cannot be had are logged and left out."""
    return plugin_points.installed(GROUP, objection, made)


def objection(name: str) -> str:
    """Return why a detector of others cannot have a name; empty when it can."""
    return (
        "it has the name of one of Weir's own"
        if name in (WEIR, OFF, *DETECTORS, *VECTOR_DETECTORS)
        else ""
    )


def made(point: EntryPoint) -> Detector:
    """Return a detector, guarded. Raises Unusable, and whatever its maker raises."""
    detector: object = point.load()()
    if not isinstance(detector, Detector):
        raise Unusable(f"{point.value} makes a {type(detector).__name__}, which is no Detector")
    if not isinstance(detector.width, int) or not 0 <= detector.width <= MOST_WIDTH:
        raise Unusable(f"its width is {detector.width}; it must be within 0 and {MOST_WIDTH}")
    return Guarded(detector, detector.width)

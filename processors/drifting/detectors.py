"""Detectors of drift by name, their parameters, and what those of others are.

An installed distribution names further ones under the entry point group `weir.drift_detectors`: a
function without arguments that returns a `DriftDetector`. Its alarms are confirmed by Weir, which
looks whether the mean stays away; after an alarm it begins anew with a memory of zeros.

    class Cusum:
        width = 3                                   # numbers it remembers, all 0 at first

        def update(self, memory, value):
            memory[0] += 1.0                        # values, their mean, the sum of what is above
            memory[1] += (value - memory[1]) / memory[0]
            memory[2] = max(0.0, memory[2] + value - memory[1] - 0.05)
            return memory[0] > 30 and memory[2] > 10.0
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from processors.drifting.kernels import Floats
from processors.scoped import Scoped
from schemas.registrations import PolicySelected

GROUP = "weir.drift_detectors"
SCOPE, OFF = "drift", "off"
ADWIN, KS, PSI, KSWIN = "adwin", "ks", "psi", "kswin"
PAGE_HINKLEY, DDM, HDDM_A, HDDM_W = "page-hinkley", "ddm", "hddm-a", "hddm-w"
TWO_SAMPLES = (KS, PSI, KSWIN)
"""Detectors that compare distributions, not means, and confirm what they found by themselves."""


@runtime_checkable
class DriftDetector(Protocol):
    """Says when the mean of a series has changed. All it remembers of one is its memory."""

    @property
    def width(self) -> int:
        """How many numbers it remembers of a series; all are 0 at first."""
        ...

    def update(self, memory: Floats, value: float) -> bool:
        """Take a finite value; return whether there is an alarm."""
        ...


@dataclass(frozen=True, slots=True)
class Range:
    """A parameter: what it is unless said otherwise, and between which bounds it lies."""

    default: float
    low: float
    high: float


PARAMETERS: Mapping[str, Mapping[str, Range]] = {
    ADWIN: {"delta": Range(0.002, 1e-12, 0.5)},
    PAGE_HINKLEY: {
        "delta": Range(0.005, 0.0, 1e6),
        "threshold": Range(30.0, 1e-9, 1e9),
        "forgetting": Range(0.9999, 0.5, 1.0),
        "least": Range(30.0, 1.0, 1e6),
    },
    DDM: {"errors": Range(3.0, 0.1, 100.0), "least": Range(30.0, 1.0, 1e6)},
    HDDM_A: {"significance": Range(0.001, 1e-12, 0.5)},
    HDDM_W: {"significance": Range(0.001, 1e-12, 0.5), "weight": Range(0.05, 1e-4, 1.0)},
    KS: {"significance": Range(0.001, 1e-12, 0.5), "window": Range(200.0, 20.0, 300.0)},
    PSI: {"threshold": Range(0.25, 0.01, 10.0), "window": Range(200.0, 50.0, 300.0)},
    KSWIN: {"significance": Range(0.001, 1e-12, 0.5), "window": Range(200.0, 30.0, 400.0)},
}
"""Weir's own detectors, and what policies may set of each.

Two windows of ks or psi must be within the past that is kept, and a thousand series of them fit
into a snapshot.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A detector and its parameters, in the order of `PARAMETERS`."""

    detector: str
    given: tuple[float, ...] = ()


def default(detector: str) -> Choice:
    """Return a detector with the parameters that it has unless somebody sets them."""
    own = PARAMETERS.get(detector, {})
    return Choice(detector=detector, given=tuple(one.default for one in own.values()))


def policies_of(
    policies: Mapping[str, PolicySelected], known: Collection[str], elsewhere: Collection[str]
) -> Scoped[Choice]:
    """Return what policies of the scope `drift` choose, but for the metrics judged `elsewhere`.

    `known` are the names of the detectors of others.
    """
    own = {name: one for name, one in policies.items() if metric_of(name) not in elsewhere}
    return Scoped(own, SCOPE, lambda policy: chosen(policy, known))


def metric_of(scope: str) -> str:
    """Return the metric that a scope names; empty when it names none."""
    return [*scope.split("/", 2), "", ""][2]


def chosen(policy: PolicySelected, known: Collection[str]) -> Choice | str:
    """Return what a policy chooses, or why it cannot be heeded."""
    name = policy.algorithm
    if name != OFF and name not in PARAMETERS and name not in known:
        names = ", ".join(sorted({*PARAMETERS, *known, OFF}))
        return f"detector {name!r} is unknown; known: {names}"
    own = PARAMETERS.get(name, {})
    given = {key: one.default for key, one in own.items()}
    for parameter in policy.parameters:
        if parameter.key not in own:
            return f"{name} has no parameter {parameter.key!r}; it has: {', '.join(own) or 'none'}"
        span = own[parameter.key]
        value = number(parameter.value)
        if not span.low <= value <= span.high:
            return f"{parameter.key} must be within {span.low:g} and {span.high:g}"
        given[parameter.key] = value
    return Choice(detector=name, given=tuple(given.values()))


def number(text: str) -> float:
    """Return the number that a text is; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan

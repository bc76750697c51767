"""Which detector judges which series, at which rate: what policies of the scope `detect` say.

The policy of `detect/APP/METRIC` is heeded before that of `detect/APP`, and that before `detect`;
`algorithm` names the detector, or is `off`. Parameters: `statistic` of a window that is judged,
and `false_alarms_per_week` that are accepted of one series. A METRIC of several, two to five with
`+` between them, is judged as vectors (`processors.anomalies.joining`).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from processors.anomalies.joining import PLUS, Joint
from processors.anomalies.kernels import Floats, Ints
from processors.anomalies.multivariate import DIMS, VECTOR_DETECTORS
from processors.measures import STATISTICS
from processors.scoped import Scoped
from schemas.registrations import PolicySelected

SCOPE, OFF = "detect", "off"
WEEK_MS = 7 * 86_400_000
LEAST_RATE, MOST_RATE = 1e-6, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a series is judged."""

    detector: str
    statistic: str = "mean"
    weekly: float = 2.0


def rates(weekly: Floats, lengths_ms: Ints) -> Floats:
    """Return the shares of windows of some lengths that may be flagged without a reason.

    Within `LEAST_RATE` and `MOST_RATE`: others could not be told by the past of a series.
    """
    found: Floats = np.clip(weekly * lengths_ms / WEEK_MS, LEAST_RATE, MOST_RATE)
    return found


def policies_of(
    policies: Mapping[str, PolicySelected], known: Collection[str], default: Choice
) -> Scoped[Choice]:
    """Return what policies choose; `known` are the names of detectors."""
    return Scoped(policies, SCOPE, lambda policy: chosen(policy, known, default))


def chosen(policy: PolicySelected, known: Collection[str], default: Choice) -> Choice | str:
    """Return what a policy chooses, or why it cannot be heeded."""
    if why := _against(policy, known):
        return why
    statistic, weekly = default.statistic, default.weekly
    for parameter in policy.parameters:
        if parameter.key == "statistic":
            statistic = parameter.value
        elif parameter.key == "false_alarms_per_week":
            weekly = _number(parameter.value)
        else:
            return (
                f"parameter {parameter.key!r} is unknown; known: statistic, false_alarms_per_week"
            )
    if statistic not in STATISTICS:
        return f"statistic {statistic!r} is unknown; known: {', '.join(STATISTICS)}"
    if not 0.0 < weekly < math.inf:
        return "false_alarms_per_week must be a number above 0"
    return Choice(detector=policy.algorithm, statistic=statistic, weekly=weekly)


def joints_of(
    policies: Mapping[str, PolicySelected], found: Scoped[Choice]
) -> dict[str, tuple[Joint, ...]]:
    """Return which metrics are judged together, by application, as the heeded policies say."""
    joints: dict[str, tuple[Joint, ...]] = {}
    for scope in sorted(policies):
        metric = _metric(policies[scope])
        if scope.startswith(f"{SCOPE}/") and PLUS in metric:
            app = scope.split("/")[1]
            choice = found.alone(app, metric)
            if choice is not None and choice.detector != OFF:
                joint = Joint(metrics=tuple(metric.split(PLUS)), statistic=choice.statistic)
                joints[app] = (*joints.get(app, ()), joint)
    return joints


def _against(policy: PolicySelected, known: Collection[str]) -> str:
    """Return what is against the detector of a policy; empty for nothing."""
    if policy.algorithm != OFF and policy.algorithm not in known:
        return f"detector {policy.algorithm!r} is unknown; known: {', '.join(sorted(known))}"
    names = _metric(policy).split(PLUS)
    if len(names) == 1:
        return ""
    if not all(names) or len(names) > min(DIMS, len(set(names))):
        return f"{PLUS.join(names)!r} must be two to {DIMS} different metrics"
    if policy.algorithm in (OFF, *VECTOR_DETECTORS):
        return ""
    judging = ", ".join(VECTOR_DETECTORS)
    return f"detector {policy.algorithm!r} judges no vectors; those that do: {judging}"


def _metric(policy: PolicySelected) -> str:
    """Return the metric of `SCOPE/APP/METRIC`, empty where the scope names none."""
    return "".join(policy.scope.split("/", 2)[2:])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

"""Which detector judges which series, at which rate: what policies of the scope `detect` say.

The policy of `detect/APP/METRIC` is heeded before that of `detect/APP`, and that before `detect`;
`algorithm` names the detector, or is `off`. Parameters: `statistic` of a window that is judged,
and `false_alarms_per_week` that are accepted of one series.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from processors.measures import STATISTICS
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.registrations import PolicySelected

SCOPE, OFF = "detect", "off"
WEEK_MS = 7 * 86_400_000
LEAST_RATE, MOST_RATE = 1e-6, 1e-3
_MOST_KEPT = 10_000
"""Metrics whose choices are kept: their names may never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a series is judged."""

    detector: str
    statistic: str = "mean"
    weekly: float = 2.0

    def rate(self, window_ms: int) -> float:
        """Return the share of windows of a length that may be flagged without a reason.

        Within `LEAST_RATE` and `MOST_RATE`: others could not be told by the past of a series.
        """
        return min(MOST_RATE, max(LEAST_RATE, self.weekly * window_ms / WEEK_MS))


class Policies:
    """The choices by application and metric, out of one state of the catalogue."""

    def __init__(
        self, policies: Mapping[str, PolicySelected], known: Collection[str], default: Choice
    ) -> None:
        self._default = default
        self._read = {
            scope: chosen(policy, known, default)
            for scope, policy in policies.items()
            if scope.split("/")[0] == SCOPE
        }
        self._found: dict[tuple[str, str], Choice] = {}
        self.refused = {
            policies[scope].event_id: (scope, said)
            for scope, said in sorted(self._read.items())
            if isinstance(said, str)
        }
        """Why policies are not heeded, with their scopes, by their event ids."""

    def of(self, app: str, metric: str) -> Choice:
        """Return how a metric of an application is judged."""
        found = self._found.get((app, metric))
        if found is None:
            scopes = (f"{SCOPE}/{app}/{metric}", f"{SCOPE}/{app}", SCOPE)
            said = (self._read.get(scope) for scope in scopes)
            found = next((one for one in said if isinstance(one, Choice)), self._default)
            if len(self._found) >= _MOST_KEPT:
                self._found.clear()
            self._found[app, metric] = found
        return found


def chosen(policy: PolicySelected, known: Collection[str], default: Choice) -> Choice | str:
    """Return what a policy chooses, or why it cannot be heeded."""
    if policy.algorithm != OFF and policy.algorithm not in known:
        return f"detector {policy.algorithm!r} is unknown; known: {', '.join(sorted(known))}"
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


def refusal(event_id: str, scope: str, reason: str, now_ms: int) -> ActionTaken:
    """Return the action that says why a policy is not heeded; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id("anomaly", "policy.refused", event_id),
        target=scope,
        kind="policy.refused",
        status="refused",
        policy=scope,
        reason=f"policy {scope}: {reason}",
        taken_at=now_ms,
    )


def failed(detector: str, reason: str, now_ms: int) -> ActionTaken:
    """Return the action that says that a detector of others fails; of one id whenever it does."""
    return ActionTaken(
        event_id=stable_id("anomaly", "detector.failed", detector),
        target=detector,
        kind="detector.failed",
        status="refused",
        policy="",
        reason=f"detector {detector}: {reason}",
        taken_at=now_ms,
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

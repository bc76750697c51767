"""What tier 2 saves of a partition, and how it is shared out."""

from collections.abc import Sequence
from dataclasses import dataclass

from processors.anomalies.joining import JointState
from processors.anomalies.series import SeriesState
from schemas.processing import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyState:
    """All series, the longest unused first, the policies refused and the detectors that failed.

    `looked` is when silences were looked at last, ms; `joints` the subjects of which several
    metrics are judged together.
    """

    series: tuple[SeriesState, ...]
    refused: tuple[str, ...]
    failed: tuple[str, ...]
    looked: int = 0
    joints: tuple[JointState, ...] = ()


def share(states: Sequence[AnomalyState], partition: int, home: Home) -> AnomalyState:
    """Return what a partition has of states, after their topics grew: what its home says."""
    every = (one for state in states for one in state.series)
    return AnomalyState(
        series=tuple(one for one in every if home(one.key[0]) == partition),
        refused=tuple(dict.fromkeys(name for state in states for name in state.refused)),
        failed=tuple(dict.fromkeys(name for state in states for name in state.failed)),
        looked=max(state.looked for state in states),
        joints=tuple(
            one for state in states for one in state.joints if home(one.key[0]) == partition
        ),
    )

"""What became of the frames of one service, or of all. Pure."""

from collections import Counter
from typing import Any

from workers.scheduling import causes
from workers.scheduling.jobs import Cause, Ended
from workers.simulation.quantiles import Quantiles

LEFT = Cause("dropped", (), "{service} was left waiting at the end")
REASONS = {
    **dict.fromkeys(causes.FULL.values(), "queue-full"),
    causes.WORKER_FULL: "worker-full",
    causes.REPLACED: "replaced",
    causes.EXPIRED: "deadline-passed",
    causes.AGED: "too-old",
    causes.HOPELESS: "no-time-left",
    causes.LATE: "late-if-admitted",
    causes.OUTBID: "outbid",
    causes.UNSERVED: "not-served",
    LEFT: "left-waiting",
}
"""What reports call the causes for which frames end without execution."""
OTHER = "other"


class Tally:
    """Counts, values and times (ms); memory does not grow with the number of frames."""

    def __init__(self) -> None:
        self.arrived = 0
        self.in_time = 0
        self.late = 0
        self.value = 0.0
        self.value_in_time = 0.0
        self.batches = 0
        self.longest_gap_ms = 0.0
        self._ended: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], Ended] = {}
        self._queue = Quantiles()
        self._execution = Quantiles()
        self._end_to_end = Quantiles()

    def came(self, value: float) -> None:
        """Count a frame that arrived."""
        self.arrived += 1
        self.value += value

    def ended(self, one: Ended) -> None:
        """Count a frame that ended without execution."""
        key = (one.status, REASONS.get(one.cause, OTHER))
        self._ended[key] += 1
        self._examples.setdefault(key, one)

    def executed(self, waited: float, took: float, end_to_end: float, value: float | None) -> None:
        """Count a frame that was executed; its value is None when it was late. Times in ms."""
        self._queue.add(waited)
        self._execution.add(took)
        self._end_to_end.add(end_to_end)
        if value is None:
            self.late += 1
        else:
            self.in_time += 1
            self.value_in_time += value

    def gap(self, lasted: float) -> None:
        """Take a time (ms) that work waited without service."""
        self.longest_gap_ms = max(self.longest_gap_ms, lasted)

    @property
    def value_share(self) -> float:
        """Return the share of the value of all frames that was answered in time."""
        return self.value_in_time / self.value if self.value else 1.0

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        by_status: dict[str, dict[str, int]] = {"dropped": {}, "expired": {}, "rejected": {}}
        for (status, reason), count in sorted(self._ended.items()):
            by_status[status][reason] = count
        executed = self.in_time + self.late
        return {
            "arrived": self.arrived,
            "executed": executed,
            "in_time": self.in_time,
            "late": self.late,
            **{status: sum(counts.values()) for status, counts in by_status.items()},
            "reasons": by_status,
            "examples": {reason: one.reason for (_, reason), one in self._examples.items()},
            "deadline_hit_ratio": self.in_time / self.arrived if self.arrived else 1.0,
            "value_share": self.value_share,
            "batches": self.batches,
            "mean_batch": executed / self.batches if self.batches else None,
            "queue_ms": self._queue.summary(),
            "execution_ms": self._execution.summary(),
            "end_to_end_ms": self._end_to_end.summary(),
            "longest_gap_ms": round(self.longest_gap_ms, 3),
        }

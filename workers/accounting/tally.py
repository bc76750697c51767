"""What became of the jobs of one service, or of all. Pure."""

from collections import Counter
from typing import Any, NamedTuple

from workers.accounting.quantiles import Quantiles
from workers.scheduling import causes
from workers.scheduling.jobs import Cause, Ended

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
    causes.SHED: "shed",
    causes.SPARED: "machine-short",
    causes.UNSERVED: "not-served",
    LEFT: "left-waiting",
}
"""What reports call the causes for which jobs end without execution."""
OTHER = "other"
STATUSES = ("dropped", "expired", "rejected")


class Spent(NamedTuple):
    """Times (ms) of an executed job: in the queue, in execution, from arrival to answer."""

    waited: float
    took: float
    end_to_end: float


class Tally:
    """Counts, values and times (ms); memory does not grow with the number of jobs."""

    def __init__(self) -> None:
        self.arrived = 0
        self.in_time = 0
        self.late = 0
        self.failed = 0
        self.value = 0.0
        self.value_in_time = 0.0
        self.batches = 0
        self.longest_gap_ms = 0.0
        self._ended: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, str] = {}
        self._failures: str | None = None
        self._queue = Quantiles()
        self._execution = Quantiles()
        self._end_to_end = Quantiles()

    def came(self, value: float) -> None:
        """Count a job that arrived."""
        self.arrived += 1
        self.value += value

    def ended(self, one: Ended) -> None:
        """Count a job that ended without execution."""
        kind = REASONS.get(one.cause, OTHER)
        self._ended[(one.status, kind)] += 1
        if kind not in self._examples:
            self._examples[kind] = one.reason

    def executed(self, spent: Spent, value: float | None) -> None:
        """Count a job that was executed; its value is None when it was late."""
        self._queue.add(spent.waited)
        self._execution.add(spent.took)
        self._end_to_end.add(spent.end_to_end)
        if value is None:
            self.late += 1
        else:
            self.in_time += 1
            self.value_in_time += value

    def broke(self, reason: str) -> None:
        """Count a job without a usable answer: its input or its execution failed."""
        self.failed += 1
        if self._failures is None:
            self._failures = reason

    def gap(self, lasted: float) -> None:
        """Take a time (ms) that work waited without service."""
        self.longest_gap_ms = max(self.longest_gap_ms, lasted)

    @property
    def executions(self) -> int:
        """Return how many jobs were executed, in time or late."""
        return self.in_time + self.late

    @property
    def deadline_hit_ratio(self) -> float:
        """Return the share of jobs answered in time, of all that wait no more; 1 without any."""
        over = self.executions + self.failed + self._ended.total()
        return self.in_time / over if over else 1.0

    @property
    def value_share(self) -> float:
        """Return the share of the value of all jobs that was answered in time."""
        return self.value_in_time / self.value if self.value else 1.0

    def reasons(self) -> dict[str, dict[str, int]]:
        """Return how many jobs ended without execution, by status and kind of reason."""
        by_status: dict[str, dict[str, int]] = {status: {} for status in STATUSES}
        for (status, kind), count in sorted(self._ended.items()):
            by_status[status][kind] = count
        return by_status

    def times(self) -> dict[str, dict[str, float | None]]:
        """Return the percentiles of times in the queue, in execution and end to end, ms."""
        return {
            "queue_ms": self._queue.summary(),
            "execution_ms": self._execution.summary(),
            "end_to_end_ms": self._end_to_end.summary(),
        }

    @property
    def mean_execution_ms(self) -> float | None:
        """Return the mean time of an execution of executed jobs, ms."""
        mean = self._execution.mean
        return None if mean is None else round(mean, 3)

    def summary(self) -> dict[str, Any]:
        """Return everything, as JSON can hold it."""
        by_status = self.reasons()
        examples = dict(self._examples)
        if self._failures is not None:
            examples["failed"] = self._failures
        return {
            "arrived": self.arrived,
            "executed": self.executions,
            "in_time": self.in_time,
            "late": self.late,
            "failed": self.failed,
            **{status: sum(counts.values()) for status, counts in by_status.items()},
            "reasons": by_status,
            "examples": examples,
            "deadline_hit_ratio": self.deadline_hit_ratio,
            "value_share": self.value_share,
            "batches": self.batches,
            "mean_batch": self.executions / self.batches if self.batches else None,
            "mean_execution_ms": self.mean_execution_ms,
            **self.times(),
            "longest_gap_ms": round(self.longest_gap_ms, 3),
        }

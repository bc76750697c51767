"""Whether a new version of a service does as well as the old one, and what share it gets. Pure.

Both serve side by side. Errors are compared by Newcombe's hybrid score interval for the difference
of two proportions (Statistics in Medicine 17, 1998, method 10), latency by Welch's for that of two
means. Worse is what lies above the margin with its whole interval, as good what lies below it with
its whole interval; in between more samples are waited for. It is judged when there are
`min_samples`, twice, four times ... as many, so that looking often does not make chance a verdict.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

_WEEK_MS = 604_800_000


class Verdict(Enum):
    """What the samples say of the new version."""

    AS_GOOD = "as good"
    WORSE = "worse"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class CanaryPolicy:
    """Parameters `canary.<name>` of a policy `canary/<service>`; `variant` names the new version.

    - `first` (share of the copies, 0.01 to 1, default 0.1): what the new version begins with
    - `growth` (factor, 1.1 to 100, default 2): by what its share grows when it is as good
    - `min_samples` (results of each, 10 to 1e6, default 100): before that nothing is judged
    - `confidence` (0.5 to 0.9999, default 0.99): of the intervals, both sides
    - `error_margin` (difference of shares, 0 to 1, default 0.01): errors that may be added
    - `latency_margin` (share of the old mean, 0 to 10, default 0.1): latency that may be added
    - `settle_ms` (ms, 0 to a week, default 5000): what begins sooner after a change is not counted
    - `patience_ms` (ms, 1000 to a week, default 600000): a step that is open for so long is the end
    """

    first: float = 0.1
    growth: float = 2.0
    min_samples: int = 100
    confidence: float = 0.99
    error_margin: float = 0.01
    latency_margin: float = 0.1
    settle_ms: int = 5_000
    patience_ms: int = 600_000

    PREFIX: ClassVar[str] = "canary"
    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "first": (0.01, 1.0),
        "growth": (1.1, 100.0),
        "min_samples": (10, 1_000_000),
        "confidence": (0.5, 0.9999),
        "error_margin": (0.0, 1.0),
        "latency_margin": (0.0, 10.0),
        "settle_ms": (0, _WEEK_MS),
        "patience_ms": (1_000, _WEEK_MS),
    }

    def following(self, share: float) -> float:
        """Return the share of the next step; the whole at most."""
        return min(1.0, share * self.growth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Results of one version: how many, how many failed; their latencies: number, mean, squares.

    `squares` is the sum of squared differences from the mean, ms².
    """

    results: int = 0
    failed: float = 0.0
    timed: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_failures(self, count: int, share: float) -> "Sample":
        """Return the sample with a window of results."""
        failed = self.failed + count * min(max(share, 0.0), 1.0)
        return Sample(
            results=self.results + count,
            failed=failed,
            timed=self.timed,
            mean=self.mean,
            squares=self.squares,
        )

    def with_latencies(self, count: int, mean: float, std: float) -> "Sample":
        """Return the sample with a window of latencies, by Chan's formula, if it is finite."""
        if not (math.isfinite(mean) and math.isfinite(std)):
            return self
        total, apart = self.timed + count, mean - self.mean
        return Sample(
            results=self.results,
            failed=self.failed,
            timed=total,
            mean=self.mean + apart * count / total,
            squares=self.squares + std * std * count + apart * apart * self.timed * count / total,
        )


def judge(old: Sample, new: Sample, policy: CanaryPolicy, z: float) -> tuple[Verdict, str]:
    """Return what the samples say, and in words why; `z` is the quantile of the confidence."""
    if min(old.results, new.results) < policy.min_samples:
        return Verdict.OPEN, f"{new.results} results of the new, {old.results} of the old version"
    errors = _errors(old, new, z)
    verdicts = [_against(errors, policy.error_margin)]
    words = [f"errors {_share(new):.4f} against {_share(old):.4f}, difference {_told(errors)}"]
    if min(old.timed, new.timed) >= policy.min_samples:
        times = _latencies(old, new, z)
        verdicts.append(_against(times, policy.latency_margin * old.mean))
        words.append(f"latency {new.mean:.2f} ms against {old.mean:.2f}, difference {_told(times)}")
    elif new.results > new.failed:
        verdicts.append(Verdict.OPEN)
    why = "; ".join(words)
    for verdict in (Verdict.WORSE, Verdict.OPEN):
        if verdict in verdicts:
            return verdict, why
    return Verdict.AS_GOOD, why


def copies_of_new(replicas: int, share: float) -> int:
    """Return how many copies the new version has: of both at least one, while both are to serve."""
    if share <= 0.0:
        return 0
    if share >= 1.0:
        return replicas
    return min(max(1, round(replicas * share)), max(replicas - 1, 0))


def _share(sample: Sample) -> float:
    return sample.failed / sample.results


def _against(interval: tuple[float, float], margin: float) -> Verdict:
    low, high = interval
    if low > margin:
        return Verdict.WORSE
    return Verdict.AS_GOOD if high <= margin else Verdict.OPEN


def _errors(old: Sample, new: Sample, z: float) -> tuple[float, float]:
    """Return the interval of the difference of error shares, new less old."""
    (low_old, high_old), (low_new, high_new) = wilson(old, z), wilson(new, z)
    p_old, p_new = _share(old), _share(new)
    apart = p_new - p_old
    below = math.hypot(p_new - low_new, high_old - p_old)
    above = math.hypot(high_new - p_new, p_old - low_old)
    return apart - below, apart + above


def wilson(sample: Sample, z: float) -> tuple[float, float]:
    """Return Wilson's score interval of the share that failed."""
    count, share = sample.results, _share(sample)
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = share * (1 - share) / count + z * z / (4 * count * count)
    reach = z * math.sqrt(max(0.0, spread)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _latencies(old: Sample, new: Sample, z: float) -> tuple[float, float]:
    """Return the interval of the difference of mean latencies, new less old, ms."""
    spread = sum(s.squares / max(1, s.timed - 1) / s.timed for s in (old, new))
    reach, apart = z * math.sqrt(max(0.0, spread)), new.mean - old.mean
    return apart - reach, apart + reach


def _told(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"

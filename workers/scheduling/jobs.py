"""A job, what becomes of it, and what a worker is told to do next. Pure.

All times are milliseconds as float on one axis; where it begins is the caller's choice.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One piece of work that waits for a service.

    `value` is what an answer in time is worth; `load` is what the execution needs, and is never
    looked at. Jobs of one service and `group` may share a batch. Under replace-by-key the newest
    job of a `key` takes the place of older ones; an empty key replaces nothing.

    Raises ValueError for numbers that cannot be ordered: NaN, or a value below 0.
    """

    id: str
    service: str
    arrived: float
    deadline: float
    priority: int = 0
    value: float = 1.0
    group: Hashable = ""
    key: str = ""
    load: object = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.arrived) and self.deadline == self.deadline):
            raise ValueError(
                f"job {self.id}: arrived {self.arrived} and deadline {self.deadline} must be times"
            )
        if not 0.0 <= self.value < math.inf:
            raise ValueError(f"job {self.id}: value {self.value} must be finite and not below 0")


class Cause(NamedTuple):
    """Why jobs end without execution: a status, the names of the numbers, and a sentence."""

    status: str
    names: tuple[str, ...]
    sentence: str


class Ended(NamedTuple):
    """A job that ends without execution; the sentence is made when it is asked for."""

    job: Job
    cause: Cause
    facts: tuple[float, ...]

    @property
    def status(self) -> str:
        """Return "dropped", "expired" or "rejected"."""
        return self.cause.status

    @property
    def numbers(self) -> Mapping[str, float]:
        """Return the numbers that led to it, by name."""
        return dict(zip(self.cause.names, self.facts, strict=True))

    @property
    def reason(self) -> str:
        """Return why, as one sentence with the numbers."""
        return self.cause.sentence.format(service=self.job.service, **self.numbers)


class Batch(NamedTuple):
    """Jobs of one service and group that are to be executed together, and how long that takes."""

    service: str
    jobs: tuple[Job, ...]
    predicted_ms: float


class Decision(NamedTuple):
    """What to do now: these jobs have ended, this batch is to be executed, and why.

    Without a batch, `wake_at` says when to ask again though nothing happens; None when only an
    offer can change anything.
    """

    ended: Sequence[Ended]
    batch: Batch | None
    wake_at: float | None
    why: str

"""DREAM's MapScore on one accelerator (Kim et al., ASPLOS 2023, section 4). Pure."""

from dataclasses import dataclass

from workers.scheduling.jobs import Job
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.waiting import Rank, Waiting

_TINY_MS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScoreParams:
    """Weights of starvation and energy, 0 to 2, and the time (ms) that another model costs.

    Raises ValueError outside these.
    """

    alpha: float = 1.0
    beta: float = 1.0
    switch_ms: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.alpha <= 2.0 and 0.0 <= self.beta <= 2.0 and self.switch_ms >= 0.0):
            raise ValueError(
                f"alpha {self.alpha} and beta {self.beta} must lie between 0 and 2, switch_ms "
                f"{self.switch_ms} must not be below 0"
            )


class MapScore(Order):
    """Largest Urgency * LatPref + alpha * Starv + beta * Energy of all heads first.

    Urgency is time to go over slack, Starv the time since the job was ready over the time that
    it takes, and Energy the preference for the accelerator less the share that switching models
    costs. On one accelerator LatPref and the preference are 1, and energy is in proportion to
    time. What the paper leaves open: without slack a job cannot be in time, so its urgency counts
    0 and it blocks nobody; ties go to the earlier deadline, then arrival. The score of each head
    moves by itself, so a decision looks at all services with work: it is linear in those.
    """

    name = "mapscore"

    def __init__(self, params: MapScoreParams | None = None) -> None:
        self._params = params or MapScoreParams()
        self._busy: dict[str, tuple[Lane, Waiting]] = {}
        self._last = ""

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return the deadline."""
        return waiting.job.deadline

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        self._busy.pop(lane.name, None)

    def changed(self, lane: Lane, /) -> None:
        """Remember a service's next job."""
        head = lane.head()
        if head is None:
            self._busy.pop(lane.name, None)
        else:
            self._busy[lane.name] = (lane, head)

    def executed(self, lane: Lane, /) -> None:
        """Remember whose model is in place."""
        self._last = lane.name

    def pick(self, now: float, /) -> Pick | None:
        """Return the head with the largest score."""
        if not self._busy:
            return None
        lane, head = max(
            self._busy.values(), key=lambda entry: self._place(entry[0], entry[1], now)
        )
        return Pick(lane, head, "largest MapScore")

    def _place(self, lane: Lane, head: Waiting, now: float) -> tuple[float, float, int]:
        return (self.score(lane, head.job, now), -head.job.deadline, -head.seq)

    def score(self, lane: Lane, job: Job, now: float) -> float:
        """Return a job's MapScore."""
        takes = max(lane.profile.typical(), _TINY_MS)
        slack = job.deadline - now
        urgency = takes / slack if slack > 0.0 else 0.0
        starved = max(0.0, now - job.arrived) / takes
        switch = 0.0 if lane.name == self._last else self._params.switch_ms / takes
        return urgency + self._params.alpha * starved + self._params.beta * (1.0 - switch)

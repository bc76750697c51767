"""DREAM's MapScore on one accelerator (Kim et al., ASPLOS 2023, section 4). Pure."""

from collections import deque
from dataclasses import dataclass

from workers.scheduling.jobs import Job
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import GivenUp, Order, Pick
from workers.scheduling.orders.tuning import Tuner
from workers.scheduling.waiting import Rank, Waiting

_TINY_MS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScoreParams:
    """Weights of starvation and energy, 0 to 2, and the time (ms) that another model costs.

    With `window` frames per trial the weights are searched while it runs; 0 keeps them. No more
    than `drop_share` of a service's latest `drop_window` frames is dropped.

    Raises ValueError outside these.
    """

    alpha: float = 1.0
    beta: float = 1.0
    switch_ms: float = 0.0
    window: int = 100
    drop_share: float = 0.5
    drop_window: int = 20

    def __post_init__(self) -> None:
        if not (0.0 <= self.alpha <= 2.0 and 0.0 <= self.beta <= 2.0 and self.switch_ms >= 0.0):
            raise ValueError(
                f"alpha {self.alpha} and beta {self.beta} must lie between 0 and 2, switch_ms "
                f"{self.switch_ms} must not be below 0"
            )
        if self.window < 0 or self.drop_window < 1 or not 0.0 <= self.drop_share <= 1.0:
            raise ValueError(
                f"window {self.window} must not be below 0, drop_window {self.drop_window} must "
                f"be at least 1, drop_share {self.drop_share} must lie between 0 and 1"
            )


class MapScore(Order):
    """Largest Urgency * LatPref + alpha * Starv + beta * Energy of all heads first.

    Urgency is time to go over slack, Starv the time since the job was ready over the time that
    it takes, and Energy the preference for the accelerator less the share that switching models
    costs. On one accelerator LatPref and the preference are 1, and energy is in proportion to
    time. When more than one service is expected to miss, the frame with the most time to go over
    slack is dropped, one per decision. What the paper leaves open: without slack a job cannot be
    in time, so its urgency counts 0 and it blocks nobody; ties go to the earlier deadline, then
    arrival. The score of each head moves by itself, so a decision looks at all services with
    work: it is linear in those.
    """

    name = "mapscore"

    def __init__(self, params: MapScoreParams | None = None) -> None:
        self._params = params or MapScoreParams()
        self._tuner = Tuner((self._params.alpha, self._params.beta), self._params.window)
        self._busy: dict[str, tuple[Lane, Waiting]] = {}
        self._drops: dict[str, deque[bool]] = {}
        self._dropping = ""
        self._last = ""

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return the deadline."""
        return waiting.job.deadline

    def left(self, lane: Lane, /) -> None:
        """Take note that a service is gone."""
        self._busy.pop(lane.name, None)
        self._drops.pop(lane.name, None)

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

    def outcome(self, service: str, took_ms: float, /, *, in_time: bool) -> None:
        """Count drops, and let the weights be searched."""
        latest = self._drops.setdefault(service, deque(maxlen=self._params.drop_window))
        latest.append(service == self._dropping)
        if service == self._dropping:
            self._dropping = ""
        if self._params.window:
            self._tuner.outcome(service, took_ms, in_time=in_time)

    def give_up(self, now: float, /) -> GivenUp | None:
        """Return the frame to drop when more than one service is expected to miss."""
        late = [
            (lane.profile.typical() / max(head.job.deadline - now, _TINY_MS), lane, head)
            for lane, head in self._busy.values()
            if lane.profile.typical() > head.job.deadline - now
        ]
        if len(late) < 2:
            return None
        _, lane, head = max(late, key=lambda entry: (entry[0], -entry[2].seq))
        latest = self._drops.get(lane.name, ())
        dropped = (sum(latest) + 1) / self._params.drop_window
        if dropped > self._params.drop_share:
            return None
        self._dropping = lane.name
        left = head.job.deadline - now
        return GivenUp(lane, head, (lane.profile.typical(), left, len(late), dropped))

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
        alpha, beta = self._tuner.weights
        return urgency + alpha * starved + beta * (1.0 - switch)

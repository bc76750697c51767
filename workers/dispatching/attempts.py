"""One task under way to other workers: timeouts, retries, a hedge, and a record of it all. Pure.

Time is an argument, ms since the epoch. Whoever carries it out sends what `due` returns, tells
what came of it, and looks again at `wake_at`.
"""

import zlib
from dataclasses import dataclass, field
from typing import Any

from workers.dispatching.choosing import Choice, Errand, Evaluation

ANSWERED, FAILED, EXPIRED, REJECTED, OPEN = "answered", "failed", "expired", "rejected", "open"
FIRST, RETRY, HEDGE = "first", "retry", "hedge"
TIMEOUT, ABANDONED = "timeout", "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an attempt may take, how many there are, and when another is begun beside it.

    Times in ms. A retry waits `backoff_ms`, doubled each time up to `backoff_most_ms`, give or
    take a quarter; without `hedge_ms` nobody is asked while another may still answer.

    Raises ValueError for bounds under which nothing could be asked.
    """

    timeout_ms: float = 500.0
    attempts: int = 3
    backoff_ms: float = 10.0
    backoff_most_ms: float = 1_000.0
    hedge_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_ms", "attempts", "backoff_ms", "backoff_most_ms"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if self.hedge_ms is not None and not 0 < self.hedge_ms < float("inf"):
            raise ValueError(f"hedge_ms is {self.hedge_ms}; it must be above 0 and finite")


@dataclass(slots=True)
class Attempt:
    """One question to one worker, open until it has an outcome; instants in ms."""

    number: int
    kind: str
    asked: Evaluation
    at: float
    until: float
    outcome: str = OPEN
    ended: float | None = None
    why: str = ""


@dataclass(slots=True)
class Dispatch:
    """A task until it is over, and everything that was done for it."""

    errand: Errand
    choice: Choice
    patience: Patience
    began: float
    status: str = OPEN
    why: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    _next_at: float | None = None

    def __post_init__(self) -> None:
        self._next_at = self.began
        if not self.choice.order:
            self._over(REJECTED, self.choice.why)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done."""
        return self.status != OPEN

    def due(self, now: float) -> list[Attempt]:
        """End what took too long, and return what is to be asked now."""
        for attempt in self._open():
            if attempt.until <= now:
                self._end(attempt, TIMEOUT, now, f"no answer in {now - attempt.at:.1f} ms")
        if not self.over and now >= self.errand.deadline:
            self._over(EXPIRED, f"its deadline passed after {len(self.attempts)} attempts", now)
        asked: list[Attempt] = []
        if not self.over and self._next_at is not None and self._next_at <= now:
            self._next_at = None
            asked.append(self._ask(RETRY if self.attempts else FIRST, now))
        if not self.over and (hedge := self._hedge_at()) is not None and hedge <= now:
            asked.append(self._ask(HEDGE, now))
        return asked

    def wake_at(self) -> float | None:
        """Return when to look again though nothing comes; None when it is over."""
        if self.over:
            return None
        times = [self.errand.deadline, *(attempt.until for attempt in self._open())]
        times += [at for at in (self._next_at, self._hedge_at()) if at is not None]
        return min(times)

    def answered(self, number: int, now: float) -> bool:
        """Take an answer; True for the one that counts, which may be that of a slow attempt."""
        attempt = self.attempts[number]
        if self.over:
            return False
        attempt.outcome, attempt.ended, attempt.why = ANSWERED, now, ""
        self._over(ANSWERED, f"{attempt.asked.peer.worker} answered", now)
        return True

    def failed(self, number: int, why: str, now: float) -> None:
        """Take a failure: a refusal, a broken connection, an answer that cannot be used."""
        attempt = self.attempts[number]
        if not self.over and attempt.outcome == OPEN:
            self._end(attempt, FAILED, now, why)

    def record(self) -> dict[str, Any]:
        """Return everything that was thought and done, as JSON can hold it."""
        return {
            "task": self.errand.task,
            "service": self.errand.service,
            "status": self.status,
            "reason": self.why,
            "began_at": round(self.began, 3),
            "deadline": round(self.errand.deadline, 3),
            "order": [one.peer.worker for one in self.choice.order],
            "evaluations": [
                {
                    "worker": one.peer.worker,
                    "instance": one.peer.instance,
                    "node": one.peer.node,
                    "eligible": one.eligible,
                    "predicted_ms": round(one.predicted_ms, 3),
                    "reason": one.why,
                }
                for one in self.choice.evaluations
            ],
            "attempts": [self._told(attempt) for attempt in self.attempts],
        }

    def _told(self, attempt: Attempt) -> dict[str, Any]:
        ended = attempt.ended
        return {
            "worker": attempt.asked.peer.worker,
            "kind": attempt.kind,
            "at_ms": round(attempt.at - self.began, 3),
            "until_ms": round(attempt.until - self.began, 3),
            "ended_ms": None if ended is None else round(ended - self.began, 3),
            "outcome": attempt.outcome,
            "reason": attempt.why,
        }

    def _open(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.outcome == OPEN]

    def _ask(self, kind: str, now: float) -> Attempt:
        until = min(now + self.patience.timeout_ms, self.errand.deadline)
        attempt = Attempt(len(self.attempts), kind, self._whom(), now, until)
        self.attempts.append(attempt)
        return attempt

    def _whom(self) -> Evaluation:
        """Return the best of those that were asked least."""
        asked = [attempt.asked.peer for attempt in self.attempts]
        return min(self.choice.order, key=lambda one: asked.count(one.peer))

    def _hedge_at(self) -> float | None:
        """Return when to ask another beside the only one that is asked; None when never."""
        waits, hedge = self._open(), self.patience.hedge_ms
        fresh = len(self.choice.order) > len(self.attempts)
        hedged = any(attempt.kind == HEDGE for attempt in self.attempts)
        if hedge is None or hedged or len(waits) != 1 or not (fresh and self._may_ask()):
            return None
        return waits[0].at + hedge

    def _may_ask(self) -> bool:
        return len(self.attempts) < self.patience.attempts

    def _end(self, attempt: Attempt, outcome: str, now: float, why: str) -> None:
        attempt.outcome, attempt.ended, attempt.why = outcome, now, why
        if self._open() or self._next_at is not None:
            return
        if not self._may_ask():
            self._over(FAILED, f"{len(self.attempts)} attempts; the last: {why}", now)
            return
        at = now + self._backoff_ms()
        if at + self._whom().peer.expected_ms > self.errand.deadline:
            left = self.errand.deadline - now
            self._over(FAILED, f"{left:.1f} ms are left, too few to try again; {why}", now)
            return
        self._next_at = at

    def _backoff_ms(self) -> float:
        """Return how long to wait; tasks that failed together do not come back together."""
        patience, made = self.patience, len(self.attempts)
        rest = min(patience.backoff_most_ms, patience.backoff_ms * 2.0 ** min(made - 1, 60))
        chance = zlib.crc32(f"{self.errand.task}/{made}".encode()) / 0xFFFFFFFF
        return rest * (0.75 + chance / 2)

    def _over(self, status: str, why: str, now: float | None = None) -> None:
        self.status, self.why, self._next_at = status, why, None
        for attempt in self._open():
            attempt.outcome, attempt.ended, attempt.why = ABANDONED, now, f"it was {status}"


def rehearsed(dispatch: Dispatch) -> Dispatch:
    """Return a dispatch carried through as if nobody answered: all that could be tried, and when.

    The plan is made by what carries it out.
    """
    now = dispatch.began
    while not dispatch.over:
        dispatch.due(now)
        wake = dispatch.wake_at()
        if wake is None:
            break
        now = max(now, wake)
    return dispatch

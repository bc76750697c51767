"""Carries dispatches out: asks in threads, waits, and rests workers that fail."""

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from workers.dispatching.attempts import ANSWERED, FAILED, TIMEOUT, Attempt, Dispatch
from workers.dispatching.errors import NotDispatched
from workers.dispatching.peers import Peer
from workers.errors import WorkerError
from workers.runtimes.resting import Resting

T = TypeVar("T")
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
THREADS = 16

Ask = Callable[[Peer, float], T]
"""Asks a worker within so many ms; raises WorkerError, OSError or ValueError without an answer."""


class Carrier(Generic[T]):
    """Sends tasks, from any thread; `clock` gives ms since the epoch.

    A worker that fails rests, twice as long each time, until it answers again.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dispatch")
        self._rests: dict[str, Resting] = {}

    def resting(self) -> dict[str, float]:
        """Return until when (ms) workers that failed are not to be asked."""
        now = self._clock()
        found = {name: rest.left(now / 1000) for name, rest in list(self._rests.items())}
        return {name: now + left * 1000 for name, left in found.items() if left > 0.0}

    def carry(self, dispatch: Dispatch, ask: Ask[T]) -> T:
        """Return the first good answer of `ask`; what was done stands in `dispatch` in any case.

        Raises NotDispatched, which says why there is none.
        """
        came: queue.SimpleQueue[tuple[int, T | None, str]] = queue.SimpleQueue()
        while not dispatch.over:
            for attempt in dispatch.due(self._clock()):
                self._pool.submit(_asked, attempt, ask, came)
            wake = dispatch.wake_at()
            if wake is None:
                break
            try:
                number, answer, why = came.get(timeout=max(0.0, (wake - self._clock()) / 1000))
            except queue.Empty:
                continue
            if answer is None:
                dispatch.failed(number, why, self._clock())
            elif dispatch.answered(number, self._clock()):
                self._learn(dispatch)
                return answer
        self._learn(dispatch)
        raise NotDispatched(f"task {dispatch.errand.task}: {dispatch.status}: {dispatch.why}")

    def close(self) -> None:
        """Ask nobody any more; questions under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _learn(self, dispatch: Dispatch) -> None:
        """Rest who failed in this dispatch, and trust who answered again."""
        now_s = self._clock() / 1000
        for attempt in dispatch.attempts:
            worker = attempt.asked.peer.worker
            if attempt.outcome in (FAILED, TIMEOUT):
                rest = self._rests.setdefault(worker, Resting(FIRST_REST_S, LONGEST_REST_S))
                rest.failed(attempt.why, now_s)
            elif attempt.outcome == ANSWERED:
                self._rests.pop(worker, None)


def _asked(
    attempt: Attempt, ask: Ask[T], came: "queue.SimpleQueue[tuple[int, T | None, str]]"
) -> None:
    try:
        found = ask(attempt.asked.peer, attempt.until - attempt.at)
    except (WorkerError, OSError, ValueError) as error:
        came.put((attempt.number, None, str(error) or type(error).__name__))
    else:
        came.put((attempt.number, found, "" if found is not None else "it answered nothing"))

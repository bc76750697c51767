"""The queue: bounded in tasks and in predicted work, most important and most urgent first. Pure."""

import heapq
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.inference import InferenceTask
from workers.inference.replicas import Hosted
from workers.inference.tensors import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A task that waits, with everything that its execution needs; times in ms."""

    task: InferenceTask
    hosted: Hosted
    prepared: Prepared
    expected_ms: float
    received_at: float
    offset: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what jobs that may be executed together have in common."""
        hosted = self.hosted
        alone = "" if hosted.session.signature.batches else self.task.task_id
        return (hosted.loaded_as, self.prepared.shape, alone)


class Backlog:
    """Waiting jobs, by priority (larger first), then deadline, then arrival."""

    def __init__(self, most_tasks: int, most_ms: float) -> None:
        self._most_tasks = most_tasks
        self._most_ms = most_ms
        self._order: list[tuple[int, int, int]] = []
        self._jobs: dict[int, Job] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._arrivals = 0
        self._work_ms = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return (self._jobs[arrival] for _, _, arrival in self._order)

    @property
    def work_ms(self) -> float:
        """Return the predicted time to work everything off."""
        return self._work_ms

    def offer(self, job: Job) -> list[Job]:
        """Take a job, and return those that must go for it: the last in order, itself perhaps.

        One job is kept however long it is.
        """
        place = (-job.task.priority, job.task.deadline, self._arrivals)
        self._arrivals += 1
        insort(self._order, place)
        self._jobs[place[2]] = job
        self._work_ms += job.expected_ms
        self._push_deadline(job.task.deadline, place[2])
        gone = []
        while len(self._jobs) > self._most_tasks or (
            self._work_ms > self._most_ms and len(self._jobs) > 1
        ):
            gone.append(self._remove(self._order.pop()))
        return gone

    def take_expired(self, now_ms: float) -> list[Job]:
        """Remove and return the jobs whose deadline is over, earliest first."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            arrival = heapq.heappop(self._deadlines)[1]
            job = self._jobs.get(arrival)
            if job is not None:
                place = (-job.task.priority, job.task.deadline, arrival)
                self._order.remove(place)
                expired.append(self._remove(place))
        return expired

    def take(self, jobs: list[Job]) -> None:
        """Remove these jobs."""
        wanted = {id(job) for job in jobs}
        for place in [p for p in self._order if id(self._jobs[p[2]]) in wanted]:
            self._order.remove(place)
            self._remove(place)

    def _push_deadline(self, deadline: int, arrival: int) -> None:
        if len(self._deadlines) > 2 * len(self._jobs) + 100:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._jobs]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, arrival))

    def _remove(self, place: tuple[int, int, int]) -> Job:
        job = self._jobs.pop(place[2])
        self._work_ms = self._work_ms - job.expected_ms if self._jobs else 0.0
        return job

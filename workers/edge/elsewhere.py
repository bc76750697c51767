"""Local calls that this worker has no time for, sent to another one.

Between them stands the router for everything that comes over Kafka: it knows all instances and
asks another one itself. A local caller has no router; this worker asks for it, once: what was sent
here by another worker is not sent on.
"""

import queue
from dataclasses import replace

from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.inference import InferenceResult, InferenceTask
from workers.clock import fine_ms
from workers.dispatching.asking import asking
from workers.dispatching.attempts import Dispatch, Patience
from workers.dispatching.carrying import Carrier
from workers.dispatching.choosing import Errand, choose
from workers.dispatching.errors import NotDispatched
from workers.dispatching.peers import peers_of
from workers.dispatching.records import action
from workers.inference.replicas import Hosted
from workers.runtimes.base import Array

SHED = ("dropped", "expired")
"""What became of tasks that were not executed for lack of time."""
PATIENCE = Patience(timeout_ms=1_000.0, attempts=3, backoff_ms=5.0, hedge_ms=100.0)
WAY_MS = 2.0
MOST_RECORDS = 1_000


class Elsewhere:
    """Asks other workers for callers' threads; the loop gives it the catalogue and takes records.

    Records that nobody takes are bounded: the oldest go.
    """

    def __init__(self, worker: str, patience: Patience = PATIENCE) -> None:
        self.catalogue = Catalogue()
        """What is known of other workers; the loop replaces it, others read it."""
        self._worker = worker
        self._patience = patience
        self._carrier: Carrier[list[Array]] = Carrier(fine_ms)
        self._records: queue.SimpleQueue[ActionTaken] = queue.SimpleQueue()

    def serve(
        self, task: InferenceTask, hosted: Hosted, shed: InferenceResult
    ) -> tuple[InferenceResult, list[Array]]:
        """Return another worker's answer in place of a result that tells that there was no time.

        The result as it was, without outputs, when nobody answers; why stands in its reason.
        """
        errand = Errand(
            task=task.task_id,
            service=task.service,
            deadline=float(task.deadline),
            priority=task.priority,
        )
        now = fine_ms()
        peers = peers_of(self.catalogue, task.service, self._worker)
        choice = choose(errand, peers, now, way_ms=WAY_MS, resting=self._carrier.resting())
        dispatch = Dispatch(errand, choice, self._patience, now)
        ports = hosted.session.signature.outputs
        ask = asking(task.service, task.inputs, ports, task.priority)
        try:
            outputs = self._carrier.carry(dispatch, ask)
        except NotDispatched as error:
            return replace(shed, reason=f"{shed.reason}; {error}"), []
        finally:
            self._note(action(dispatch, self._worker, fine_ms()))
        ended = int(fine_ms())
        late = ended > task.deadline
        return replace(
            shed, status="ok", reason=None, finished_at=ended, deadline_missed=late, batch_size=1
        ), outputs

    def records(self) -> list[ActionTaken]:
        """Return what became of tasks since the last call."""
        found: list[ActionTaken] = []
        while not self._records.empty():
            found.append(self._records.get())
        return found

    def close(self) -> None:
        """Ask nobody any more."""
        self._carrier.close()

    def _note(self, record: ActionTaken) -> None:
        while self._records.qsize() >= MOST_RECORDS:
            self._records.get()
        self._records.put(record)

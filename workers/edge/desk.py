"""Where local callers and the worker's loop meet: calls go one way, answers the other.

Callers stand in threads of their own and wait; the loop never waits for one of them.
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.inference import InferenceResult, InferenceTask
from workers.edge.errors import LocalRefusal
from workers.inference.replicas import Hosted
from workers.runtimes.base import Array

NOTHING: Mapping[str, Hosted] = {}


@dataclass(eq=False, slots=True)
class Call:
    """A task that a local caller waits for; once `ended`, what became of it."""

    task: InferenceTask
    result: InferenceResult | None = None
    outputs: Sequence[Array] = ()
    ended: threading.Event = field(default_factory=threading.Event)


class Desk:
    """Calls that wait to be taken, calls under way, and which models are served now."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._under_way: dict[str, Call] = {}
        self._closed = False
        self.served = NOTHING
        """The instances that take tasks, by service; the loop replaces it, others read it."""

    def ask(self, task: InferenceTask, patience_s: float) -> Call:
        """Hand a task over, wait for its end, and return it; for callers' threads.

        Raises LocalRefusal when nothing is taken any more, or no end comes within `patience_s`.
        """
        call = Call(task)
        if self._closed:
            raise LocalRefusal(503, "the worker stops")
        self._waiting.put(call)
        if not call.ended.wait(patience_s):
            raise LocalRefusal(504, f"no answer within {patience_s:.0f} s")
        if call.result is None:
            raise LocalRefusal(503, "the worker stops")
        return call

    @property
    def waited_for(self) -> bool:
        """Whether calls wait to be taken; for the loop, like all that follows."""
        return not self._waiting.empty()

    def take(self, wait_s: float = 0.0) -> list[InferenceTask]:
        """Return the tasks that were handed over since, after waiting for a first one."""
        taken: list[InferenceTask] = []
        try:
            call = self._waiting.get(timeout=wait_s) if wait_s > 0 else self._waiting.get_nowait()
            while True:
                if call is not None:
                    self._under_way[call.task.task_id] = call
                    taken.append(call.task)
                call = self._waiting.get_nowait()
        except queue.Empty:
            return taken

    def executed(self, task_id: str, outputs: Sequence[Array] | str) -> None:
        """Note what a model gave for a task; none of our business for tasks of others."""
        call = self._under_way.get(task_id)
        if call is not None and not isinstance(outputs, str):
            call.outputs = outputs

    def answer(self, result: InferenceResult) -> bool:
        """Tell the caller what became of a task; False when no caller waits for it."""
        call = self._under_way.pop(result.task_id, None)
        if call is None:
            return False
        call.result = result
        call.ended.set()
        return True

    def close(self) -> None:
        """Take nothing more, and let nobody wait in vain."""
        self._closed = True
        self.served = NOTHING
        self.take()
        for call in self._under_way.values():
            call.ended.set()
        self._under_way.clear()

"""Local calls that a worker has no time for: another one answers, and a record says so."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
import pytest

from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.registrations import InstanceReported
from streams.embedded.processes import free_port
from tests.unit.workers.inference_world import FakeSession, hosted
from workers.clock import fine_ms
from workers.edge.desk import Desk
from workers.edge.elsewhere import Elsewhere
from workers.edge.listening import Local, listening
from workers.inference.replicas import Wanted
from workers.inference.reporting import READY, Condition, Reporter, report
from workers.inference.results import Home, unserved
from workers.runtimes.errors import ExecutionFailed
from workers.runtimes.http_services import OpenInference, OpenInferenceSession
from workers.settings import LocalCallSettings

MODEL = hosted(session=FakeSession())


class Edge:
    """A worker's desk and port; it drops every task, or doubles its input."""

    def __init__(self, name: str, *, drops: bool) -> None:
        self.name, self.drops = name, drops
        self.elsewhere = Elsewhere(name)
        self.came = 0
        self.port = free_port()
        self.desk = Desk()
        self.desk.served = {"double": MODEL}
        self._stop = threading.Event()

    def report(self) -> InstanceReported:
        address = f"http://127.0.0.1:{self.port}"
        reporter = Reporter(Home("n", self.name), "", "", 1, 60_000, address)
        wanted = Wanted(f"double.{self.name}", "double", "yard", MODEL.variant, MODEL.service)
        return report(reporter, wanted, MODEL, Condition(READY, None, 0, 0.0), int(fine_ms()))

    @contextmanager
    def serving(self) -> Iterator[None]:
        settings = LocalCallSettings(port=self.port, deadline_ms=5_000)
        local = Local(self.desk, settings, self.name, lambda: True, lambda: True, self.elsewhere)
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            with listening(local):
                yield
        finally:
            self._stop.set()
            thread.join()
            self.elsewhere.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            for task in self.desk.take(0.01):
                self.came += 1
                ended = unserved(task, MODEL, Home("n", self.name), fine_ms())
                if self.drops:
                    self.desk.answer(replace(ended, status="dropped", reason="no time"))
                    continue
                given = task.inputs[0]
                rows = np.frombuffer(given.data or b"", "<f4").reshape(given.shape)
                self.desk.executed(task.task_id, [rows * 2])
                self.desk.answer(replace(ended, status="ok", batch_size=1))


@contextmanager
def edges(*workers: Edge) -> Iterator[OpenInferenceSession]:
    """Let workers know of each other, and yield a caller of the first."""
    told = [one.report() for one in workers]
    known = Catalogue({InstanceReported: {one.instance: one for one in told}})
    with ExitStack() as stack:
        for worker in workers:
            worker.elsewhere.catalogue = known
            stack.enter_context(worker.serving())
        yield OpenInference().load(f"http://127.0.0.1:{workers[0].port}/v2/models/double")


def records(worker: Edge) -> list[ActionTaken]:
    return worker.elsewhere.records()


def test_another_worker_answers_what_this_one_dropped() -> None:
    full, free = Edge("w1", drops=True), Edge("w2", drops=False)
    with edges(full, free) as caller:
        (found,) = caller.run([np.array([[1.0, 2.0]], np.float32)])
    assert found.tolist() == [[2.0, 4.0]]
    (record,) = records(full)
    assert (record.kind, record.status, record.helped) == ("task.dispatched", "done", True)
    assert record.reason == "w2 answered"
    assert records(full) == []


def test_what_was_sent_on_is_not_sent_on_again() -> None:
    full, other = Edge("w1", drops=True), Edge("w2", drops=True)
    with (
        edges(full, other) as caller,
        pytest.raises(ExecutionFailed, match=r"503.*no time; task .*failed: 3 attempts"),
    ):
        caller.run([np.array([[1.0, 2.0]], np.float32)])
    assert (full.came, records(other)) == (1, [])
    assert [record.status for record in records(full)] == ["failed"]


def test_without_others_the_caller_hears_why() -> None:
    alone = Edge("w1", drops=True)
    with edges(alone) as caller, pytest.raises(ExecutionFailed, match="no other worker hosts it"):
        caller.run([np.array([[1.0, 2.0]], np.float32)])
    assert [record.status for record in records(alone)] == ["refused"]

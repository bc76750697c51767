"""The worker's loop: how long it waits for tasks, and that it asks again when it said it would."""

import time
from collections.abc import Iterable

import pytest

from schemas.catalogue import Catalogue
from schemas.inference import InferenceResult
from tests.unit.workers.inference_world import hosted, task
from workers.clock import fine_ms
from workers.inference.loop import IDLE_S, Worker
from workers.scheduling.orders.base import Pick
from workers.scheduling.orders.ranked import Fifo
from workers.settings import Settings, WorkerSettings


class Quiet:
    """Contact to a broker on which nothing comes: waits are noted, results kept."""

    connected = True

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.sent: list[object] = []

    def read(self, _most: int, wait_s: float) -> list[object]:
        self.waited.append(wait_s)
        time.sleep(wait_s)
        return []

    def send(self, events: Iterable[tuple[object, int | None]], **_: object) -> None:
        self.sent += [event for event, _ in events]

    def tend(self) -> None:
        """Nothing is under way."""

    def tell(self, _event: object) -> None:
        """Nobody listens."""

    def catalogue(self) -> Catalogue:
        return Catalogue()


class Patient(Fifo):
    """Waits until an instant before it begins anything."""

    until = 0.0

    def pick(self, now: float, /) -> Pick | None:
        found = super().pick(now)
        if found is None or now >= self.until:
            return found
        return Pick(None, None, "waits for company", until=self.until)


def worker(order: Fifo) -> tuple[Worker, Quiet]:
    made, quiet = Worker(Settings(worker=WorkerSettings(node="n", worker="w")), order), Quiet()
    made._contact = quiet  # type: ignore[assignment]  # what the loop needs of one
    made._engine.host(hosted(latency_ms=1.0), (1.0,))
    return made, quiet


def test_it_waits_as_long_as_it_said_and_then_asks_again() -> None:
    order = Patient()
    made, quiet = worker(order)
    now = fine_ms()
    order.until = now + 300.0
    made._engine.receive(task(deadline=int(now) + 10_000), None, now)
    made._turn()
    made._turn()
    assert quiet.waited[0] == 0.0
    assert 0.0 < quiet.waited[1] <= 0.3
    while not quiet.sent:
        made._turn()
    (result,) = quiet.sent
    assert isinstance(result, InferenceResult)
    assert result.status == "ok"
    assert fine_ms() >= order.until


def test_it_waits_for_tasks_while_nothing_is_to_do() -> None:
    made, quiet = worker(Fifo())
    made._turn()
    made._turn()
    assert quiet.waited == pytest.approx([IDLE_S] * 2, abs=0.002)

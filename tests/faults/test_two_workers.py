"""Two whole workers of one service: what the full one has no time for, the other one answers."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.decisions import ActionTaken
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port
from tests.embedded.worker_world import Surroundings, placement, until
from tests.faults.test_cut_off import ask, results_of, served, surroundings
from tests.unit.workers.tiny_models import classifier
from workers.kafka.reading import read_all

Told = tuple[int, dict[str, Any]]
AT_ONCE = 8
SLOW = {
    "WEIR_WORKER__SPEED": "0.002",
    "WEIR_WORKER__SERVICE_QUEUE_TASKS": "1",
    "WEIR_WORKER__DROP": "newest",
    "WEIR_WORKER__SPARE": "false",
    "WEIR_LOCAL_CALLS__ELSEWHERE": "true",
    "WEIR_LOCAL_CALLS__DEADLINE_MS": "60000",
}
"""A device so slow that of several callers all but two find its queue full."""


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_what_a_full_worker_drops_another_one_answers(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker.log") as broker:
        model = classifier(tmp_path / "sharp.onnx", 2.0)
        (world, registry), port = surroundings(broker.bootstrap, tmp_path, model)
        try:
            _handed_over(world, port)
        finally:
            world.close()
            registry.stop()


def _handed_over(world: Surroundings, port: int) -> None:
    world.send(placement("sharp", "edge", "yard", generation=2))
    world.worker("edge", "edge-1", WEIR_LOCAL_CALLS__PORT=str(port), **SLOW)
    beside = free_port()
    other = world.worker(
        "yard",
        "yard-1",
        WEIR_LOCAL_CALLS__PORT=str(beside),
        WEIR_LOCAL_CALLS__ADVERTISE=f"http://127.0.0.1:{beside}",
    )
    until(lambda: world.health("sharp.edge", "edge-1") == "ready")
    until(lambda: world.health("sharp.yard", "yard-1") == "ready")
    until(lambda: served(port))
    until(lambda: bool(_answered(world, "edge-1")))
    before = len(_answered(world, "edge-1"))
    told: list[Told] = []
    until(lambda: told.extend(_asked(port)) or len(_answered(world, "yard-1")) >= AT_ONCE)
    _every_call_has_its_record(world, told, before)

    other.kill()
    other.wait()
    alone: list[Told] = []
    until(lambda: alone.extend(_asked(port)) or any(status == 503 for status, _ in alone))
    _every_call_has_its_record(world, told + alone, before)


def _asked(port: int) -> list[Told]:
    """Ask as several callers at once; whoever is answered is answered rightly."""
    with ThreadPoolExecutor(AT_ONCE) as callers:
        return list(callers.map(lambda n: ask(port, n % 3), range(AT_ONCE)))


def _answered(world: Surroundings, worker: str) -> set[str]:
    return {one.event_id for one in results_of(world, worker) if one.status == "ok"}


def _every_call_has_its_record(world: Surroundings, told: Sequence[Told], before: int) -> None:
    """Check that each call is an execution here, or a record of what another worker made of it."""
    refused = [answer["error"] for status, answer in told if status != 200]
    assert all("queue of sharp.edge full" in why for why in refused)

    def found() -> list[ActionTaken]:
        values = [m.value() or b"" for m in read_all(world.settings.kafka, ["weir.actions"])]
        known = [world.codec.decode(value, ActionTaken) for value in values]
        return [one for one in known if one.kind == "task.dispatched"]

    until(lambda: len(_answered(world, "edge-1")) - before + len(found()) == len(told))
    assert sum(one.status != "done" for one in found()) == len(refused)
    assert {one.reason for one in found() if one.status == "done"} == {"yard-1 answered"}

"""Members that do nothing, as a process: `python -m streams.bench.ensemble_members NODE [NAME=MS]`.

It plays the worker of a node with an instance of each service that the bench of routing knows,
reports them as workers do, and answers every task at once, with the first class; a NAMEd service
after so many ms. Settings come from WEIR_.
"""

import heapq
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas.codec import Codec
from schemas.inference import InferenceResult, InferenceTask
from schemas.registrations import InstanceReported
from schemas.topics import key_of, task_topic, topic_of
from streams.settings import load
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.registry import Registry

APP, STAGE = "bench-route", "classify"
SERVICES = ("one", "two", "three")
CLASSES = ("yes", "no")
BEAT_S, EXPIRY_MS = 0.5, 2_500
_MOST = 500


def instances(node: str, now_ms: int) -> Iterator[InstanceReported]:
    """Yield the heartbeats of a node's instances."""
    for service in SERVICES:
        yield InstanceReported(
            instance=f"{service}.{node}",
            service=service,
            app=APP,
            stage=STAGE,
            node=node,
            worker=node,
            task_topic=task_topic(node),
            model_version="bench",
            run="bench",
            user="bench",
            method="",
            role="worker",
            health="ready",
            heartbeat=now_ms,
            expires_at=now_ms + EXPIRY_MS,
        )


def result_of(task: InferenceTask, node: str, now_ms: int) -> InferenceResult:
    """Return the answer of a member that took no time."""
    return InferenceResult(
        event_id=f"result-{task.task_id}",
        task_id=task.task_id,
        request_id=task.request_id,
        app=task.app,
        stage=task.stage,
        service=task.service,
        instance=task.instance,
        node=node,
        worker=node,
        attempt=task.attempt,
        status="ok",
        label=CLASSES[0],
        confidence=0.9,
        scores=(0.9, 0.1),
        classes=CLASSES,
        queue_ms=0.0,
        execution_ms=0.0,
        received_at=now_ms,
        finished_at=now_ms,
        runtime="none",
        provider="none",
        variant="none",
        batch_size=1,
        model_version="bench",
        input_digest="",
        deadline_missed=False,
        generation=task.generation,
        shadow=task.shadow,
        purpose=task.purpose,
    )


class _Members:
    """The worker of one node; `slow` says by how many ms which service's answers are late."""

    def __init__(self, node: str, slow: Mapping[str, float]) -> None:
        settings = load()
        self._node, self._slow = node, slow
        self._codec: Codec = Registry(settings.registry).codec()
        self._producer = kafka.producer(settings.kafka, linger_ms=1)
        self._reader = kafka.reader(settings.kafka)
        kafka.assign_all(self._reader, settings.kafka, [task_topic(node)])
        self._later: list[tuple[float, int, InferenceTask]] = []
        self._number = 0

    def work(self) -> None:
        """Answer until killed."""
        beat = 0.0
        while True:
            now = time.monotonic()
            if now >= beat:
                beat = now + BEAT_S
                for event in instances(self._node, wall_ms()):
                    self._send(event)
            wait_s = 0.05 if not self._later else max(0.0, min(0.05, self._later[0][0] - now))
            for message in kafka.drain(self._reader, _MOST, wait_s):
                if message.error() is None:
                    self._take(self._codec.decode(message.value() or b"", InferenceTask))
            while self._later and self._later[0][0] <= time.monotonic():
                self._answer(heapq.heappop(self._later)[2])
            self._producer.poll(0)

    def _take(self, task: InferenceTask) -> None:
        late_ms = self._slow.get(task.service, 0.0)
        if not late_ms:
            self._answer(task)
            return
        self._number += 1
        heapq.heappush(self._later, (time.monotonic() + late_ms / 1000, self._number, task))

    def _answer(self, task: InferenceTask) -> None:
        self._send(result_of(task, self._node, wall_ms()))

    def _send(self, event: Any) -> None:
        value = self._codec.encode(event)
        while True:
            try:
                self._producer.produce(topic_of(event), value, key=key_of(event))
            except BufferError:
                self._producer.poll(0.01)
            else:
                return


def main(arguments: Sequence[str]) -> None:
    """Play the worker of a node until killed."""
    node, *slow = arguments
    pairs = (each.partition("=") for each in slow)
    _Members(node, {name: float(late_ms) for name, _, late_ms in pairs}).work()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Route: requests of all kinds, instances that fail and come back, results in any order."""

import random

from processors.routing.params import RouteParams
from processors.routing.route import REQUESTS, RESPONSES, RESULTS, spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.conditions import spelled
from schemas.graphs import Condition, Split, Stage
from schemas.inference import InferenceRequest, InferenceResponse, InferenceTask
from schemas.processing import Batch, Columns, Directed, Output, Processor, Record
from schemas.topics import topic_of
from tests.unit.processors import routing_world as w

PARAMS = RouteParams(partitions=2, check_ms=70, max_pending=12, max_answers=30, window_ms=2_000)
SPEC = spec(PARAMS)
BOUND = 65_536
GRAPH = "graph"
STATUSES = ("ok", "ok", "ok", "failed", "dropped", "expired")


def batches(seed: int) -> list[Batch | Columns]:
    """Play the workers: results answer the tasks of a router that is fed the same batches."""
    dice = random.Random(seed)
    router: Processor[Batch] = SPEC.build(0)  # type: ignore[assignment]  # route takes rows
    flow = _Flow(dice)
    made: list[Batch | Columns] = []
    for number in range(36):
        flow.now += dice.choice((5, 20, 60, 200))
        batch = Batch(flow.records(number), flow.now, flow.known)
        _fire(router, flow, batch)
        flow.take(router.process(batch))
        made.append(batch)
    return made


def _fire(router: Processor[Batch], flow: "_Flow", batch: Batch) -> None:
    while (wake := router.wake_at()) is not None and wake <= batch.now_ms:
        flow.take(router.process(Batch((), wake, batch.catalogue)))


def graph() -> Event:
    """Return an application with a stage of each kind, on the services that there are."""
    stages = (
        Stage(stage="clean", stage_id="1", services=("b",), kind="preprocess"),
        Stage(
            stage="quick",
            stage_id="2",
            services=("a", "c"),
            inputs=("clean",),
            kind="cascade",
            escalate_below=0.8,
        ),
        Stage(
            stage="trial",
            stage_id="3",
            services=("a", "b", "c"),
            kind="split",
            splits=(
                Split(service="a", weight=0.7),
                Split(service="b", weight=0.3, role="canary"),
                Split(service="c", weight=0.5, role="shadow"),
            ),
            optional=True,
        ),
        Stage(
            stage="sure",
            stage_id="4",
            services=("a", "b", "c"),
            inputs=("quick",),
            conditions=(Condition(stage="quick", on="confidence", operator="<", threshold=0.95),),
            deadline_share=0.4,
        ),
    )
    return w.application(GRAPH, stages=stages, quorum=2)


class _Flow:
    """What comes in next: new requests, repeated ones, results of tasks, answers read back."""

    def __init__(self, dice: random.Random) -> None:
        self.now = w.T0
        self.known: Catalogue = w.usual(
            w.consumer(rate_per_s=8.0, priority=1),
            w.instance("a", "n9"),
            w.service("d"),
            graph(),
        )
        self._dice = dice
        self._requests: list[InferenceRequest] = []
        self._coming: list[Event] = []
        self._offsets = {REQUESTS: 3, RESULTS: 40, RESPONSES: 700}

    def take(self, outputs: object) -> None:
        for output in outputs:  # type: ignore[attr-defined]  # a sequence of outputs
            self._answer(output)

    def records(self, number: int) -> tuple[Record, ...]:
        self._change(number)
        events: list[Event] = [
            self._request(number * 10 + i) for i in range(self._dice.choice((0, 1, 3)))
        ]
        if self._requests and self._dice.random() < 0.3:
            events.append(self._dice.choice(self._requests))
        self._dice.shuffle(self._coming)
        share = self._dice.randint(0, len(self._coming))
        events += self._coming[:share]
        self._coming = self._coming[share:]
        return tuple(self._record(event) for event in events)

    def _record(self, event: Event) -> Record:
        topic = topic_of(event)
        self._offsets[topic] += 1
        return Record(event, topic, 0, self._offsets[topic], self.now)

    def _request(self, number: int) -> InferenceRequest:
        made = w.request(
            number,
            app=self._dice.choice((w.APP, w.APP, w.APP, GRAPH, GRAPH, "nobody")),
            consumer=self._dice.choice(("", "kim")),
            priority=self._dice.randint(0, 3),
            created_at=self.now,
            deadline=self.now + self._dice.choice((15, 90, 300, 800)),
            reply_to_topic=self._dice.choice((None, "mine", "weir.control")),
            idempotency_key=self._dice.choice(("", "", "k")),
            conditions=spelled([("light", "night")] * self._dice.randint(0, 1)),
        )
        self._requests.append(made)
        return made

    def _answer(self, output: Output) -> None:
        event = output.event if isinstance(output, Directed) else output
        if isinstance(event, InferenceTask) and self._dice.random() < 0.9:
            status = self._dice.choice(STATUSES)
            good = status == "ok"
            self._coming.append(
                w.result(
                    event,
                    self._dice.choice("123"),
                    status=status,
                    reason=None if good else "as drawn",
                    confidence=self._dice.choice((0.7, 0.9, 0.99, float("nan"))),
                    execution_ms=self._dice.random() * 30,
                )
            )
        elif isinstance(event, InferenceResponse) and not isinstance(output, Directed):
            self._coming.append(event)

    def _change(self, number: int) -> None:
        if number % 6 == 3:
            nodes = {"a": "n0", "b": "n1", "c": "n2"}
            news = [
                w.instance(
                    name,
                    node,
                    health=self._dice.choice(("ready", "ready", "draining")),
                    queue_ms=self._dice.random() * 40,
                    heartbeat=self.now,
                    lives_ms=self._dice.choice((100, 2_500)),
                )
                for name, node in nodes.items()
            ]
            chosen = w.ensemble({"a": 2.0, "b": 1.0}, ["c", "d"] if number % 4 else [])
            self.known = w.catalogue(*news, chosen, base=self.known)

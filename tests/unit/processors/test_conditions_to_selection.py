"""From requests that say when they were taken to an ensemble that is right then, event by event.

Route asks, derive judges, observe sums up and select chooses, each fed what the one before it says.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from processors.deriving.derive import DeriveParams
from processors.deriving.derive import spec as derive
from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas.base import Event
from schemas.columns import metrics
from schemas.conditions import spelled
from schemas.decisions import EnsembleSelected
from schemas.inference import GroundTruth, InferenceResult
from schemas.introspect import to_plain
from schemas.observing import MetricReport, Observation
from schemas.processing import Batch, Columns, Record
from schemas.registrations import ContractRegistered, Weight
from schemas.topics import topic_of
from tests.unit.processors import routing_world as w
from tests.unit.processors import selecting_cases as c

RIGHT = {
    "tree": {"day": 0.95, "night": 0.55},
    "bayes": {"day": 0.90, "night": 0.60},
    "mlp": {"day": 0.70, "night": 0.95},
}
"""How often each service is right; over all, with three quarters of days, mlp is the worst."""
SERVICES = tuple(RIGHT)
TICK_MS = 20


def contract(consumer: str, objective: str, most: int) -> ContractRegistered:
    return ContractRegistered(
        contract=consumer or "all",
        consumer=consumer,
        app=c.APP,
        owner="",
        clauses=(),
        weights=(Weight(objective=objective, weight=1.0),),
        max_members=most,
        registered_at=c.T0,
        event_id=f"contract-{consumer}",
    )


class Log:
    """Route, derive, observe and select, each with what stands on its topics."""

    def __init__(self) -> None:
        services = [c.service(name, accuracy=0.8, cost=1.0) for name in SERVICES]
        self.app = c.application(SERVICES)
        self.select = c.World()
        self.select.register(self.app, *services, contract("", "accuracy", 3))
        instances = [w.instance(name, name, lives_ms=10**9) for name in SERVICES]
        self.route = w.World(w.catalogue(self.app, *services, *instances))
        self.derive: Any = derive(DeriveParams(availability_ms=0)).build(0)
        self.observe: Any = observe(ObserveParams(size_ms=1_000)).build(0)
        self.offsets = {"weir.metrics": 0}
        self.observations: list[Observation] = []
        self.said: list[Event] = []
        self.number = 0
        self.dice = random.Random(7)

    @property
    def now(self) -> int:
        return c.T0 + self.number * TICK_MS

    def selected(self, consumer: str = "") -> tuple[str, ...]:
        newest = [e for e in self.select.ensembles if e.consumer == consumer][-1]
        return tuple(m.service for m in newest.members if m.role == "member")

    def look(self) -> None:
        """Let select look at the catalogue, and route hear what it says."""
        before = len(self.select.ensembles)
        for _ in range(3):
            self.select.now = max(self.select.now, self.now) + 1_000
            self.select.feed()
        self.route.learn(*self.select.ensembles[before:])

    def ask(self, consumer: str = "") -> tuple[str, ...]:
        """Ask one request, let the truth be known, and return who was asked."""
        self.number += 1
        light = "night" if self.number % 4 == 0 else "day"
        name = f"r{self.number}"
        request = w.request(
            self.number,
            request_id=name,
            app=c.APP,
            consumer=consumer,
            created_at=self.now,
            deadline=self.now + 500,
            conditions=spelled([("light", light), ("site", "yard")]),
        )
        at = self.now - w.T0
        asked = w.tasks(self.route.step(at, request))
        results = [self._result(task, light) for task in asked]
        (answer,) = w.responses(self.route.step(at + 1, *results))
        truth = GroundTruth(request_id=name, app=c.APP, label="7", known_at=self.now + 2)
        self.said += [*results, answer, truth]
        return tuple(sorted(task.service for task in asked))

    def _result(self, task: Any, light: str) -> InferenceResult:
        right = self.dice.random() < RIGHT[task.service][light]
        return w.result(task, "7" if right else "1", received_at=self.now, finished_at=self.now)

    def judge(self) -> None:
        """Let derive judge what was said, observe sum it up, and select take note."""
        told = self.derive.process(Batch(tuple(self._records(self.said)), self.now))
        self.said = []
        plain = to_plain(MetricReport)
        rows = [plain(one) for one in told if isinstance(one, MetricReport)]
        first = self.offsets["weir.metrics"]
        self.offsets["weir.metrics"] += len(rows)
        offsets = pl.Series("_offset", range(first, first + len(rows)), dtype=pl.Int64)
        frame, series = metrics(pl.DataFrame(rows).with_columns(offsets))
        columns = Columns(frame, "weir.metrics", 0, self.now, self.select.catalogue, series)
        seen = [one for one in self.observe.process(columns) if isinstance(one, Observation)]
        self.observations += seen
        if seen:
            self.select.now = max(self.select.now, self.now)
            self.route.learn(*(e for e in self.select.feed(*seen) if type(e) is EnsembleSelected))

    def _records(self, events: Iterable[Event]) -> Iterator[Record]:
        for event in events:
            topic = topic_of(event)
            self.offsets[topic] = self.offsets.get(topic, -1) + 1
            yield Record(event, topic, 0, self.offsets[topic], self.now)


def test_a_consumer_who_asks_for_accuracy_at_night_gets_who_is_right_at_night() -> None:
    log = Log()
    log.look()
    assert log.selected() == tuple(sorted(SERVICES)), "alike by what they declare, all vote"
    for _ in range(8):
        for _ in range(50):
            log.ask()
        log.judge()
    log.select.register(
        contract("anybody", "accuracy", 1),
        contract("nightwatch", "accuracy.condition.light=night", 1),
        contract("dayshift", "accuracy.condition.light=day", 1),
        contract("nowhere", "accuracy.condition.light=fog", 1),
    )
    log.look()
    assert log.selected("nightwatch") == ("mlp",)
    assert log.selected("anybody") == log.selected("dayshift") == ("tree",)
    assert log.selected("nowhere") == ("tree",), "of what nobody has seen, that over all is known"
    assert log.ask("nightwatch") == ("mlp",)
    assert log.ask("anybody") == ("tree",)

    night = [one for one in log.observations if one.metric == "accuracy.condition.light=night"]
    answers = [one for one in night if not one.service]
    assert sum(one.count for one in answers) == sum(
        one.count for one in night if one.service == "mlp"
    )
    promised = next(
        part.value
        for part in [e for e in log.select.ensembles if e.consumer == "nightwatch"][-1].scores
    )
    assert 0.9 < promised < 1.0

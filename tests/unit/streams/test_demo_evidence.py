"""The demonstration goes on until what answers the corruption was judged, and no longer."""

import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np
import pytest

from schemas.inference import InferenceRequest
from streams.demo.evidence import judged, needed, watched
from streams.demo.models import Pool
from streams.demo.queries import ANSWERS, ENSEMBLES, Rows
from streams.demo.summary import served
from streams.demo.traffic import LONGEST, Plan, Traffic

PLAN = Plan("a", "c", "k", seed=1, rate=100.0, seconds=0.2, corruption="noise", corrupt_after=0.1)
POOL = Pool(np.zeros((3, 64), np.float32), np.arange(3))


class Broker:
    """Takes requests and labels as the demonstration's client does; calls `on_request` for each."""

    def __init__(self, on_request: Callable[[], None] = lambda: None) -> None:
        self.requests: list[InferenceRequest] = []
        self.labels: list[tuple[str, str, str]] = []
        self._on_request = on_request

    def send(self, request: InferenceRequest) -> None:
        self.requests.append(request)
        self._on_request()

    def label(self, app: str, request_id: str, label: str) -> None:
        self.labels.append((app, request_id, label))


class Database:
    """SQL that knows some ensembles and answers, and counts how often it was asked."""

    def __init__(self, ensembles: Rows, answers: Rows) -> None:
        self.rows = {ENSEMBLES: ensembles, ANSWERS: answers}
        self.asked = 0

    def __call__(self, sql: str, parameters: Mapping[str, Any]) -> Rows:
        assert parameters == {"app": "a"}
        self.asked += 1
        return self.rows[sql]


def ensemble(at: int, generation: int, voters: str, shadows: str = "") -> dict[str, Any]:
    own = {"voters": voters.split(), "shadows": shadows.split()}
    return {"at": at, "generation": generation, "reason": "", **own}


def answer(generation: int, status: str = "complete", *, labelled: bool = True) -> dict[str, Any]:
    return {"generation": generation, "status": status, "labelled": labelled}


FIRST = ensemble(10, 1, "x")
TRIAL = ensemble(110, 2, "x", "y")
SWITCH = ensemble(120, 3, "y")
GIVEN = [
    answer(1),
    answer(3, "failed"),
    answer(3, "partial"),
    answer(3),
    answer(3, labelled=False),
    answer(3, "partial"),
]


@pytest.mark.parametrize(
    ("ensembles", "expected"),
    [
        ([], 0),
        ([FIRST], 0),
        ([FIRST, TRIAL], 0),
        ([FIRST, TRIAL, SWITCH], 2),
        ([FIRST, TRIAL, ensemble(120, 3, "x")], 2),
        ([FIRST, TRIAL, SWITCH, ensemble(130, 4, "y", "x")], 0),
        ([FIRST, TRIAL, SWITCH, ensemble(130, 4, "z")], 0),
        ([FIRST, TRIAL, SWITCH, ensemble(130, 4, "y")], 2),
    ],
)
def test_answers_count_of_what_was_selected_after_the_trial(ensembles: Rows, expected: int) -> None:
    assert judged(Database(ensembles, GIVEN), "a", 100) == expected


def test_nothing_counts_before_the_corruption() -> None:
    database = Database([FIRST, TRIAL, SWITCH], GIVEN)
    assert judged(database, "a", None) == 0
    assert judged(database, "a", 121) == 0


def test_a_generation_serves_from_its_first_complete_answer_on() -> None:
    assert served(GIVEN, 3) == GIVEN[3:]
    assert served([*GIVEN, answer(4)], 3) == [*GIVEN[3:], answer(4)]
    assert served(GIVEN[:3], 3) == []


def test_traffic_that_is_enough_ends_in_time_and_every_request_gets_its_label() -> None:
    broker, enough = Broker(), threading.Event()
    enough.set()
    traffic = Traffic(PLAN, POOL, broker)
    traffic.run(enough, lambda _: None)
    assert {label[1] for label in broker.labels} == {r.request_id for r in broker.requests}
    assert traffic.sent == len(broker.requests)
    assert traffic.ended_at == broker.requests[-1].created_at
    assert (traffic.ended_at - traffic.started_at) / 1000 > PLAN.seconds / 2


def test_traffic_goes_on_until_it_is_enough() -> None:
    enough = threading.Event()
    planned = round(PLAN.rate * PLAN.seconds)
    counted = count(1)

    def request() -> None:
        if next(counted) > 2 * planned:
            enough.set()

    broker = Broker(request)
    Traffic(PLAN, POOL, broker).run(enough, lambda _: None)
    assert len(broker.requests) == 2 * planned + 1
    assert len(broker.labels) == len(broker.requests)


def test_traffic_ends_though_it_is_never_enough() -> None:
    broker = Broker()
    told: list[float] = []
    Traffic(PLAN, POOL, broker).run(threading.Event(), told.append)
    assert len(broker.requests) > 2 * PLAN.rate * PLAN.seconds
    assert told[-1] >= 0.8 * LONGEST * PLAN.seconds


def test_sql_is_asked_until_enough_is_judged() -> None:
    database = Database([FIRST, TRIAL], GIVEN * needed(PLAN))
    traffic = Traffic(PLAN, POOL, Broker())
    traffic.corrupted_at = 100
    with watched(PLAN, traffic, database) as enough:
        assert not enough.wait(0.3)
        database.rows[ENSEMBLES] = [FIRST, TRIAL, SWITCH]
        assert enough.wait(60)
    assert database.asked > 2


def test_without_a_corruption_nothing_is_waited_for() -> None:
    plan = Plan("a", "c", "k", 1, 100.0, 0.2, "noise", corrupt_after=None)
    database = Database([], [])
    with watched(plan, Traffic(plan, POOL, Broker()), database) as enough:
        assert enough.is_set()
    assert database.asked == 0

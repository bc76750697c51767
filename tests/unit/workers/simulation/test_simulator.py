"""What happens in simulated time, worked out by hand; and laws that hold for every order."""

from typing import Any

import pytest

from streams import scenario_files
from tests.unit.workers.simulation.scenarios_made import made, service
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Order, Pick
from workers.scheduling.orders.names import OWN
from workers.scheduling.waiting import Rank, Waiting
from workers.simulation.errors import ScenarioRefused
from workers.simulation.simulator import PLAIN, simulate

ORDERS = (PLAIN, *OWN)


def trace(*instants: float) -> dict[str, Any]:
    return {"kind": "trace", "at_ms": list(instants)}


def constant(ms: float) -> dict[str, Any]:
    return {"kind": "constant", "ms": ms}


def test_the_published_case_comes_out_exactly() -> None:
    found = simulate(scenario_files.read("peer"), PLAIN)
    detector = found.services["detector"].summary()
    assert detector["end_to_end_ms"]["p95"] == 782.0
    assert (detector["in_time"], detector["late"]) == (1, 19)
    assert found.ended_at_ms == 20 * (8 + 45)


def test_the_default_keeps_the_tight_task_of_the_published_case() -> None:
    found = simulate(scenario_files.read("peer"))
    detector, classifier = (found.services[name].summary() for name in ("detector", "classifier"))
    assert detector["in_time"] == detector["arrived"] == 20
    assert detector["end_to_end_ms"]["p95"] <= 20.0
    ended = classifier["dropped"] + classifier["expired"] + classifier["rejected"]
    assert classifier["in_time"] + ended == 20


def test_times_are_those_of_the_events() -> None:
    """At 0 a (10 ms) and b (4 ms) come, at 12 another a: a to 10, b to 14, a to 24."""
    scenario = made(
        service("a", arrivals=trace(0, 12), service_time=constant(10), budget_ms=11),
        service("b", arrivals=trace(0), service_time=constant(4), budget_ms=50),
    )
    found = simulate(scenario, PLAIN)
    a, b = (found.services[name].summary() for name in "ab")
    assert (a["in_time"], a["late"], b["in_time"]) == (1, 1, 1)
    assert a["end_to_end_ms"] == {"p50": 10.0, "p95": 12.0, "p99": 12.0}
    assert a["queue_ms"] == {"p50": 0.0, "p95": 2.0, "p99": 2.0}
    assert b["queue_ms"]["p50"] == b["longest_gap_ms"] == 10.0
    told = found.summary()
    assert told["ended_at_ms"] == 24.0
    assert told["busy_share"] == 1.0
    assert told["wasted_share"] == pytest.approx(10 / 24)


def test_an_execution_ends_before_what_arrives_at_that_instant_is_offered() -> None:
    """Were it not so, the frame at 4 would be refused: 50 ms to go, and 50 of its own."""
    scenario = made(service(arrivals=trace(0, 4), declared_ms=50, budget_ms=56))
    assert simulate(scenario, "fifo").total.in_time == 2


def test_a_full_queue_drops_with_its_reason() -> None:
    scenario = made(
        service(arrivals=trace(0, 1, 2, 3), queue={"tasks": 1, "drop": "newest"}, budget_ms=50)
    )
    found = simulate(scenario, "fifo").total.summary()
    assert found["in_time"] == 2
    assert found["reasons"]["dropped"] == {"queue-full": 2}
    assert "queue of one full" in found["examples"]["queue-full"]


def test_the_newest_of_a_key_replaces_what_waits() -> None:
    queue = {"tasks": 8, "drop": "replace-by-key"}
    scenario = made(
        service(arrivals=trace(0, 1, 2, 3, 3.5), keys=2, queue=queue, budget_ms=50),
    )
    found = simulate(scenario, "fifo").total.summary()
    assert found["reasons"]["dropped"] == {"replaced": 2}
    assert found["in_time"] == 3


def test_batches_pay_the_fixed_part_once_and_heat_slows_everything() -> None:
    told = service(
        arrivals=trace(0, 1, 2, 3),
        service_time={"kind": "batch", "fixed_ms": 6, "per_item_ms": 1},
        batch={"max": 4},
        budget_ms=90,
    )
    found = simulate(made(told), "fifo")
    assert found.total.batches == 2
    assert found.ended_at_ms == 7.0 + 9.0
    hot = made(told, heat={"points": [{"at_ms": 0, "factor": 2}]})
    assert simulate(hot, "fifo").ended_at_ms == 14.0 + 18.0


def test_frames_of_two_shapes_share_no_batch() -> None:
    told = service(
        arrivals=trace(0, 1, 2, 3, 4),
        service_time={"kind": "batch", "fixed_ms": 6, "per_item_ms": 1},
        batch={"max": 4, "groups": 2},
        budget_ms=90,
    )
    assert simulate(made(told), "fifo").total.batches == 3


def test_the_first_execution_is_cold() -> None:
    scenario = made(service(arrivals=trace(0, 60), cold_ms=15))
    assert simulate(scenario, "fifo").ended_at_ms == 64.0
    assert simulate(scenario, "fifo").busy_ms == 19.0


def test_an_answer_at_its_deadline_is_in_time_whatever_sums_are_rounded_to() -> None:
    tenth = constant(0.1)
    scenario = made(service(arrivals=trace(0, 0, 0), service_time=tenth, budget_ms=0.3))
    assert simulate(scenario, PLAIN).total.in_time == 3


@pytest.mark.parametrize("name", ["three-agents", "batching", "starvation"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_frame_has_one_end_and_equal_runs_are_equal(order: str, name: str) -> None:
    scenario = scenario_files.read(name).model_copy(update={"duration_ms": 1_200.0})
    found = simulate(scenario, order).summary()
    assert found == simulate(scenario, order).summary()
    for told in [found["total"], *found["services"].values()]:
        ended = told["dropped"] + told["expired"] + told["rejected"]
        assert told["arrived"] == told["in_time"] + told["late"] + ended
        assert told["reasons"].keys() == {"dropped", "expired", "rejected"}
        assert "other" not in {name for by in told["reasons"].values() for name in by}
    assert max(sample["total"] for sample in found["backlog"]["samples"]) > 0


@pytest.mark.parametrize("order", ORDERS)
def test_light_load_loses_nothing(order: str) -> None:
    assert simulate(scenario_files.read("light"), order).total.value_share == 1.0


def test_an_unknown_order_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ScenarioRefused, match=r"made: order 'best' is unknown; .*weir, plain-fifo"):
        simulate(made(service()), "best")


class _Waits(Order):
    """Serves nobody, and asks to be woken after a time while anybody waits, or never."""

    def __init__(self, ahead_ms: float | None) -> None:
        self._ahead_ms = ahead_ms
        self._waiting = 0

    def rank(self, waiting: Waiting, /) -> Rank:
        return waiting.seq

    def added(self, _lane: Lane, _waiting: Waiting, _now: float, /) -> None:
        self._waiting += 1

    def removed(self, _waiting: Waiting, /) -> None:
        self._waiting -= 1

    def pick(self, now: float, /) -> Pick | None:
        if self._ahead_ms is None or not self._waiting:
            return None
        return Pick(None, None, "waits", until=now + self._ahead_ms)


def test_what_an_order_leaves_waiting_is_told() -> None:
    scenario = made(service(arrivals=trace(0, 1), budget_ms=1_000), worker={"guard": False})
    found = simulate(scenario, "idle", {"idle": lambda: _Waits(None)}).total.summary()
    assert found["reasons"]["dropped"] == {"left-waiting": 2}
    assert found["longest_gap_ms"] == 1.0


class _WaitsForever(_Waits):
    """Asks to be woken though nobody waits."""

    def pick(self, now: float, /) -> Pick | None:
        return Pick(None, None, "waits", until=now + 7.0)


@pytest.mark.parametrize("order", [_Waits, _WaitsForever])
def test_what_an_order_waits_for_ends_by_expiry(order: type[_Waits]) -> None:
    scenario = made(service(arrivals=trace(0)), worker={"guard": False})
    found = simulate(scenario, "late", {"late": lambda: order(7.0)})
    assert found.total.summary()["expired"] == 1
    assert found.summary()["decisions"]["waited"]["waits"] <= 4

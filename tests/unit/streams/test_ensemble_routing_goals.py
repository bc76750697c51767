"""What `weir bench ensemble` says of routing that misses its goals, on each broker."""

from typing import Any

from streams.bench.ensemble_routing import missed


def figures(requests_per_s: int = 2_500, p50: float | None = 8.0) -> dict[str, Any]:
    return {"requests_per_s": requests_per_s, "added_p50_ms": p50, "added_p99_ms": 40.0}


def test_nothing_is_said_of_what_reaches_its_goals() -> None:
    deadline = {"answered": 1.0, "without_response": 0}
    assert not list(missed({"routing": {**figures(), "kafka": None}, "deadline": deadline}))
    assert not list(missed({"routing": {**figures(), "kafka": figures()}, "deadline": deadline}))


def test_each_miss_is_said_with_its_goal_and_broker() -> None:
    routing = {**figures(1_500, p50=12.0), "kafka": figures(p50=12.0)}
    words = list(
        missed({"routing": routing, "deadline": {"answered": 0.99, "without_response": 1}})
    )
    assert words == [
        "1500 requests a second of a core, 2000 asked for",
        "added_p50_ms on Kafka is 12.0, 10 may be",
        "99.0% answered in time with a slow member",
        "1 requests without a response, a node killed",
    ]
    routing = {**figures(p50=None), "kafka": None}
    found = missed({"routing": routing, "deadline": {"answered": 1.0, "without_response": 0}})
    assert list(found) == ["added_p50_ms is None, 15 may be"]

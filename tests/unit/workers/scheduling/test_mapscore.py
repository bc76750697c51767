"""DREAM's scheduler: its score, its frame drop, the search for its weights."""

import pytest

from tests.unit.workers.scheduling.scheduling_world import job, play, scheduler, terms
from workers.scheduling.jobs import Job
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.mapscore import MapScore, MapScoreParams
from workers.scheduling.orders.tuning import Tuner, Weights
from workers.scheduling.profiles import Profiles


def score(params: MapScoreParams, service: str, one: Job, now: float, last: str = "") -> float:
    made = MapScore(params)
    served = terms(service)
    lane = Lane(served, Profiles().of(served))
    if last:
        made.executed(Lane(terms(last), Profiles().of(terms(last))))
    return made.score(lane, one, now)


def test_mapscore_is_the_published_sum() -> None:
    weights = MapScoreParams(alpha=0.5, beta=2.0, switch_ms=5.0)
    one = job(0, arrived=10.0, deadline=100.0)
    # urgency 10 / 50, starvation 40 / 10, energy 1 - 5 / 10
    assert score(weights, "a", one, 50.0) == pytest.approx(0.2 + 0.5 * 4.0 + 2.0 * 0.5)
    assert score(weights, "a", one, 50.0, last="a") == pytest.approx(0.2 + 0.5 * 4.0 + 2.0)
    assert score(weights, "a", one, 100.0) == pytest.approx(0.5 * 9.0 + 2.0 * 0.5)


@pytest.mark.parametrize(
    "fields", [{"alpha": 2.1}, {"beta": -0.1}, {"switch_ms": -1.0}, {"drop_share": 1.1}]
)
def test_weights_outside_the_published_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        MapScoreParams(**fields)  # type: ignore[arg-type]  # wrong on purpose


def test_mapscore_prefers_who_waited_long_for_little() -> None:
    made = scheduler(terms("a", prior_ms=40.0), terms("b", prior_ms=5.0), by="mapscore")
    jobs = [job(0, "a", deadline=400.0), job(1, "b", arrived=10.0, deadline=400.0)]
    run = play(made, jobs, lambda *_: 30.0)
    assert run.done() == ["j0", "j1"]
    made = scheduler(terms("a", prior_ms=40.0), terms("b", prior_ms=5.0), by="mapscore")
    for one in jobs:
        made.offer(one, one.arrived)
    batch = made.decide(30.0).batch
    assert batch is not None
    assert batch.service == "b"


def late(served: tuple[str, ...]) -> list[str]:
    """Return what is dropped at a decision at 95 ms where services that take 10 ms have a head."""
    made = scheduler(*(terms(name) for name in served), by="mapscore")
    for place, name in enumerate(served):
        made.offer(job(place, name, deadline=100.0 + place), 0.0)
    ended = made.decide(95.0).ended
    return [entry.job.id for entry in ended if entry.status == "dropped"]


def test_one_frame_is_dropped_when_more_than_one_service_is_expected_to_miss() -> None:
    assert late(("a",)) == []
    assert late(("a", "b")) == ["j0"]


def test_no_service_loses_more_than_its_share_to_drops() -> None:
    params = MapScoreParams(drop_share=0.1, drop_window=10)
    made = scheduler(terms("a"), terms("b"), by=MapScore(params))
    for number in range(6):
        made.offer(job(number, "a", deadline=100.0), 0.0)
        made.offer(job(10 + number, "b", deadline=101.0), 0.0)
    ended = [entry for _ in range(3) for entry in made.decide(95.0).ended]
    assert [entry.job.id for entry in ended if entry.status == "dropped"] == ["j0"]
    (dropped,) = [entry for entry in ended if entry.status == "dropped"]
    assert dropped.numbers == {
        "to_go_ms": 10.0,
        "slack_ms": 5.0,
        "expected_late": 2.0,
        "drop_share": 0.1,
    }


def searched(best: Weights, rounds: int, start: Weights = (1.0, 1.0)) -> Tuner:
    """Let weights be searched where frames are missed the more the farther they are from best."""
    made = Tuner(start, 100)
    for _ in range(rounds):
        far = abs(made.weights[0] - best[0]) + abs(made.weights[1] - best[1])
        missed = round(min(99.0, 2.0 + 20.0 * far))
        for frame in range(100):
            made.outcome("a", 10.0, in_time=frame >= missed)
    return made


@pytest.mark.parametrize("best", [(1.0, 1.0), (0.0, 2.0), (1.5, 0.25), (2.0, 0.0)])
def test_weights_are_found_by_trying_neighbours(best: Weights) -> None:
    found = searched(best, 120).weights
    assert abs(found[0] - best[0]) + abs(found[1] - best[1]) <= 0.25


def test_the_search_rests_and_begins_again_when_the_work_changes() -> None:
    made = searched((1.5, 1.0), 120)
    before = made.weights
    tried = set()
    for _ in range(10):
        for frame in range(100):
            made.outcome("a", 10.0, in_time=frame >= 2)
        tried.add(made.weights)
    assert tried == {before}
    for _ in range(3):
        for frame in range(100):
            made.outcome("a", 10.0, in_time=frame >= 60)
        tried.add(made.weights)
    assert len(tried) > 1

"""Time that is short: the price of a ms, frames that newer ones replace, and the shortcut."""

import pytest

from tests.unit.workers.scheduling.scheduling_world import job, play, scheduler, terms
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Pick
from workers.scheduling.orders.crowding import Crowding
from workers.scheduling.orders.fluid import Fluid
from workers.scheduling.orders.weir import Weir
from workers.scheduling.profiles import Profile, ProfileParams
from workers.simulation.drawing import drawn
from workers.simulation.simulator import simulate


def lane_of(name: str, gap_ms: float, takes_ms: float, value: float) -> Lane:
    """Return a lane whose jobs came at even gaps."""
    lane = Lane(terms(name), Profile(ProfileParams(), {1: takes_ms}, None))
    for place in range(20):
        lane.rhythm.saw(place * gap_ms)
    lane.value = value
    return lane


def test_time_costs_nothing_where_all_fits() -> None:
    fluid = Fluid()
    fluid.ask([lane_of("dear", 10.0, 6.0, 8.0), lane_of("cheap", 10.0, 3.0, 1.0)], 190.0)
    assert (fluid.price, fluid.cheap) == (0.0, frozenset())


def test_whose_share_is_cut_sets_the_price_and_nothing_of_the_cheaper_fits() -> None:
    fluid = Fluid()
    lanes = [
        lane_of("cheap", 10.0, 3.0, 1.0),
        lane_of("dear", 10.0, 6.0, 12.0),
        lane_of("cut", 10.0, 5.0, 5.0),
    ]
    fluid.ask(lanes, 190.0)
    assert fluid.price == pytest.approx(1.0)
    assert fluid.cheap == {"cheap"}


def test_who_has_ceased_to_come_asks_for_less_and_less() -> None:
    fluid = Fluid()
    lanes = [lane_of("dear", 10.0, 12.0, 12.0), lane_of("cheap", 1_000.0, 3.0, 1.0)]
    fluid.ask(lanes, 190.0)
    assert fluid.cheap == {"cheap"}
    fluid.ask(lanes, 10_000.0)
    assert fluid.cheap == frozenset()


def test_a_frame_is_done_before_a_newer_one_of_its_key_replaces_it() -> None:
    """Every frame would be replaced before its deadline is the earliest, and most be lost."""
    made = scheduler(
        terms("camera", budget_ms=200.0, prior_ms=5.0, queue_tasks=16, drop="replace-by-key"),
        terms("bulk", budget_ms=60.0, prior_ms=10.0),
    )
    frames = [
        job(n, "camera", arrived=20.0 * n, deadline=20.0 * n + 200.0, value=5.0, key="one")
        for n in range(100)
    ]
    others = [
        job(1_000 + n, "bulk", arrived=11.0 * n, deadline=11.0 * n + 60.0, value=5.0)
        for n in range(180)
    ]
    run = play(
        made, [*frames, *others], lambda batch, _: 5.0 if batch.service == "camera" else 10.0
    )
    assert len(run.done("camera")) > 80


def test_jobs_of_a_key_last_until_the_next_of_their_key() -> None:
    made = scheduler(terms("camera", queue_tasks=16, drop="replace-by-key"))
    for at in (0.0, 20.0, 20.0, 40.0):
        made.offer(job(int(at), "camera", arrived=at, deadline=at + 200.0, key="one"), at)
    assert made._lanes["camera"].room_ms() == pytest.approx(20.0)


def test_what_is_cheap_waits_behind_what_is_due_later() -> None:
    order = Weir()
    made = scheduler(terms("cheap", prior_ms=5.0), terms("dear", prior_ms=5.0), by=order)
    lane = made._lanes["cheap"]
    made.offer(job(1, "cheap", deadline=30.0), 0.0)
    order._fluid.cheap, order._fluid.price = frozenset({"cheap"}), 1.0
    made.offer(job(2, "cheap", deadline=40.0), 0.0)
    assert lane.aside() is not None
    made.offer(job(3, "dear", deadline=50.0, value=10.0), 0.0)
    batch = made.decide(0.0).batch
    assert batch is not None
    assert batch.service == "dear"
    assert lane.ready() is None


def test_batches_are_taken_as_large_as_the_queue_gives_and_the_late_as_worth_nothing() -> None:
    batched = Profile(ProfileParams(), {1: 6.0, 4: 8.0}, None)
    large = lane_of("large", 5.0, 6.0, 4.0)
    large.terms, large.profile = terms("large", max_batch=8, queue_tasks=4), batched
    late = lane_of("late", 10.0, 6.0, 8.0)
    late.terms = terms("late", budget_ms=5.0)
    fluid = Fluid()
    fluid.ask([large, lane_of("rest", 10.0, 6.0, 1.0)], 95.0)
    assert fluid.price == 0.0
    fluid.ask([late, lane_of("rest", 10.0, 6.0, 1.0)], 190.0)
    assert fluid.price == 0.0


def test_a_queue_that_became_emptier_is_full_later() -> None:
    lane = lane_of("a", 10.0, 3.0, 1.0)
    lane.terms = terms("a", queue_tasks=4)
    crowding = Crowding()
    for lane.count, first in ((3, 10.0), (1, 30.0), (4, 0.0)):
        crowding.changed(lane, 0.0)
        assert crowding.first(first) is None
        assert crowding.first(first + 1.0) == "a"
    lane.count = 0
    crowding.changed(lane, 0.0)
    assert crowding.first(1_000.0) is None


class Unhurried(Weir):
    """The order without its shortcut: everything is weighed."""

    def pick(self, now: float, /) -> Pick | None:
        self._now = now
        spare, aside = self._settle(now), self._aside.first()
        return self._weighed(self._best(self._due.first(), aside, spare), aside, now, spare)


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_the_shortcut_chooses_as_the_long_way_does(seed: int) -> None:
    scenario = drawn(seed)
    short, long = (
        simulate(scenario, name, {"unhurried": Unhurried}) for name in ("weir", "unhurried")
    )
    for name, tally in short.services.items():
        assert tally.summary() == long.services[name].summary()

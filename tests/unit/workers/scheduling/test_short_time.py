"""Time that is short: the price of a ms, frames that newer ones replace, and the shortcut."""

import pytest

from tests.unit.workers.scheduling.scheduling_world import job, play, scheduler, terms
from workers.scheduling.lanes import Lane
from workers.scheduling.orders.base import Pick
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
    """Every frame would be replaced before its deadline is the earliest, and all be lost."""
    made = scheduler(
        terms("camera", budget_ms=40.0, prior_ms=3.0, queue_tasks=4, drop="replace-by-key"),
        terms("cheap", budget_ms=20.0, prior_ms=3.0),
    )
    frames = [
        job(n, "camera", arrived=2.0 * n, deadline=2.0 * n + 40.0, value=5.0, key="one")
        for n in range(500)
    ]
    others = [job(1_000 + n, "cheap", arrived=4.0 * n, deadline=4.0 * n + 20.0) for n in range(250)]
    run = play(made, [*frames, *others], lambda _batch, _now: 3.0)
    assert len(run.done("camera")) > 300


class Unhurried(Weir):
    """The order without its shortcut: everything is weighed."""

    def pick(self, now: float, /) -> Pick | None:
        self._now = now
        return self._weighed(now, self._settle(now))


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_the_shortcut_chooses_as_the_long_way_does(seed: int) -> None:
    scenario = drawn(seed)
    short, long = (
        simulate(scenario, name, {"unhurried": Unhurried}) for name in ("weir", "unhurried")
    )
    for name, tally in short.services.items():
        assert tally.summary() == long.services[name].summary()

"""A clock that follows lasting jumps alone."""

from workers.clock import SteadyClock

S = 1_000_000_000


class System:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.even = 5 * S
        self.ahead = 1_000_000 * S

    def passes(self, seconds: float, set_by: float = 0.0) -> None:
        self.even += int(seconds * S)
        self.ahead += int(set_by * S)

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.even + self.ahead, lambda: self.even)


def test_time_goes_on_evenly_through_a_short_jump() -> None:
    for jump in (3600.0, -3600.0):
        system = System()
        clock = system.clock()
        first = clock.ns()
        system.passes(1, set_by=jump)
        assert clock.ns() == first + 1 * S
        system.passes(9)
        assert clock.ns() == first + 10 * S
        system.passes(1, set_by=-jump)
        assert clock.ns() == first + 11 * S
        system.passes(60)
        assert clock.ns() == first + 71 * S


def test_a_jump_that_lasts_is_followed() -> None:
    system = System()
    clock = system.clock()
    first = clock.ns()
    system.passes(1, set_by=3600)
    clock.ns()
    system.passes(10)
    assert clock.ns() == first + 3611 * S


def test_a_second_jump_begins_its_time_anew_only_after_the_first_was_over() -> None:
    system = System()
    clock = system.clock()
    first = clock.ns()
    system.passes(1, set_by=3600)
    clock.ns()
    system.passes(6, set_by=-3600)
    assert clock.ns() == first + 7 * S
    system.passes(1, set_by=3600)
    clock.ns()
    system.passes(6)
    assert clock.ns() == first + 14 * S


def test_slow_drift_is_followed_at_once() -> None:
    system = System()
    clock = system.clock()
    first = clock.ns()
    for _ in range(20):
        system.passes(1, set_by=0.2)
        clock.ns()
    assert clock.ns() == first + 24 * S

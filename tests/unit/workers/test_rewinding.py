"""Where the sink reads on after trouble with a disk."""

from tests.clickhouse.messages import Stood
from workers.sinking.rewinding import Rewinding

PLACE, OTHER = ("weir.metrics", 0), ("weir.metrics", 1)


def stood(place: tuple[str, int], offset: int) -> Stood:
    return Stood(place[0], offset, b"", at_partition=place[1])


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_goes_back_by_its_span_and_begins_there() -> None:
    clock = Clock()
    rewinding = Rewinding(10.0, clock)
    rewinding.begin({PLACE: 5})
    for second in range(30):
        clock.now = float(second)
        rewinding.stored([stood(PLACE, 5 + second)])
    rewinding.begin({OTHER: 7})
    assert rewinding.before(29.5) == {PLACE: 24, OTHER: 7}
    assert rewinding.before(29.5) == {PLACE: 24, OTHER: 7}
    rewinding.stored([stood(PLACE, 24), stood(PLACE, 25), stood(OTHER, 7)])
    clock.now = 45.0
    rewinding.stored([])
    assert rewinding.before(60.0) == {PLACE: 26, OTHER: 8}


def test_without_a_past_so_long_it_goes_back_to_the_oldest_that_it_knows() -> None:
    rewinding = Rewinding(10.0, Clock())
    rewinding.begin({PLACE: 3})
    assert rewinding.before(1.0) == {PLACE: 3}
    rewinding.stored([stood(PLACE, 3)])
    assert rewinding.before(1.0) == {PLACE: 3}

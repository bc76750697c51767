"""Timers, gauges and counters: what they tell, and that callers get their own answers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from workers.probing.periodic import Counter, Gauge, Periodic
from workers.probing.timing import Timer


class Reported(list[tuple[str, float, str]]):
    """Keeps what is reported, and on which requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str | None] = []

    def __call__(
        self, metric: str, value: float, *, unit: str = "", request_id: str | None = None
    ) -> None:
        self.append((metric, value, unit))
        self.requests.append(request_id)


def test_a_block_is_timed_also_when_it_raises_and_nests() -> None:
    told = Reported()
    timer = Timer(told, "work", "r7")
    with timer, timer:
        threading.Event().wait(0.01)
    with pytest.raises(KeyError), timer:
        raise KeyError("x")
    assert [(metric, unit) for metric, _, unit in told] == [("work", "ms")] * 3
    assert 10 <= told[0][1] <= told[1][1] < 5_000
    assert told[2][1] < told[0][1]
    assert told.requests == ["r7"] * 3


def test_functions_of_all_kinds_are_timed_and_answer_as_before() -> None:
    told = Reported()
    timer = Timer(told, "work")

    @timer
    def plain(number: int) -> int:
        """Say the number."""
        return number + 1

    @timer
    async def awaited(number: int) -> int:
        await asyncio.sleep(0.01)
        return number + 2

    @timer
    def iterated(number: int) -> Iterator[int]:
        yield number
        threading.Event().wait(0.01)
        yield number + 3

    assert (plain(1), plain.__name__, plain.__doc__) == (2, "plain", "Say the number.")
    assert asyncio.run(awaited(1)) == 3
    assert asyncio.iscoroutinefunction(awaited)
    assert list(iterated(1)) == [1, 4]
    assert len(told) == 3
    assert told[1][1] >= 9
    assert told[2][1] >= 9


def test_concurrent_calls_of_one_coroutine_function_are_timed_apart() -> None:
    told = Reported()

    @Timer(told, "work")
    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def both() -> None:
        await asyncio.gather(wait(0.05), wait(0.001))

    asyncio.run(both())
    assert told[0][1] < told[1][1]


def test_an_async_generator_is_refused_where_it_is_decorated() -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"stream is an async generator"):
        Timer(Reported(), "work")(stream)


def test_a_counter_tells_what_came_since_and_refuses_what_is_no_amount() -> None:
    told, counter = Reported(), Counter("frames", "1")
    for amount in (1, 2.5, -1, float("nan"), float("inf"), "x"):
        counter.add(amount)  # type: ignore[arg-type]  # mistakes of a caller
    counter.tell(told, 2.0)
    counter.add()
    counter.tell(told, 2.0)
    counter.tell(told, 2.0)
    assert told == [("frames", 3.5, "1"), ("frames", 1.0, "1"), ("frames", 0.0, "1")]
    assert (counter.total, counter.refused) == (4.5, 4)


def test_a_counter_can_be_told_as_a_rate() -> None:
    told, counter = Reported(), Counter("frames", "1", rate=True)
    counter.add(10)
    counter.tell(told, 4.0)
    assert told == [("frames.rate", 2.5, "1/s")]


def test_threads_add_up() -> None:
    counter = Counter("frames")

    def add() -> None:
        for _ in range(2_000):
            counter.add()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.total == 8_000


def test_a_gauge_that_raises_costs_the_others_nothing() -> None:
    told = Reported()

    def broken() -> float:
        raise OSError("gone")

    gauge = Gauge("a", broken)
    for each in (gauge, Gauge("b", lambda: None), Gauge("c", lambda: 3.0, "m")):
        each.tell(told, 1.0)
    assert told == [("c", 3.0, "m")]
    assert gauge.failed == 1


def test_each_is_told_at_its_own_pace_and_missed_turns_are_left_out() -> None:
    told, now = Reported(), [100.0]
    periodic = Periodic(told, clock=lambda: now[0])
    periodic._thread = threading.Thread()
    counter = Counter("n", rate=True)
    periodic.add(Gauge("fast", lambda: now[0]), 1.0)
    periodic.add(counter, 2.0)
    for moment in (100.5, 101.0, 102.0, 107.0, 107.5, 108.0):
        now[0] = moment
        counter.add(10)
        periodic.turn()
    assert [(metric, value) for metric, value, _ in told] == [
        ("fast", 101.0),
        ("fast", 102.0),
        ("n.rate", 15.0),
        ("fast", 107.0),
        ("n.rate", 2.0),
        ("fast", 108.0),
    ]


def test_what_counters_still_hold_is_told_at_the_end() -> None:
    told = Reported()
    periodic, counter = Periodic(told), Counter("n")
    periodic.add(counter, 3600.0)
    counter.add(3)
    periodic.end(5.0)
    assert told == [("n", 3.0, "")]
    counter.add(1)
    assert len(told) == 1

"""Who gives way: the smallest number, of the least importance, and never in a circle."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.cluster.columns import Columns
from placement.cluster.needs import Gpu, Machine, Need
from placement.control.preempting import Holding, Way, give_way


def machine(name: str, cpu: int = 4_000, gpus: int = 0) -> Machine:
    return Machine(name=name, cpu_milli=cpu, memory_mib=8_192, gpus=(Gpu("T4"),) * gpus)


def need(cpu: int, gpu: int = 0) -> Need:
    return Need(cpu_milli=cpu, memory_mib=64, gpus=int(gpu > 0), gpu_milli=gpu)


def hold(columns: Columns, service: str, row: int, asked: Need, priority: int) -> Holding:
    taken = columns.take(row, asked, columns.tightest(row, asked))
    return Holding(service, f"{service}.{columns.machines[row].name}", priority, taken)


def names(way: Way | None) -> list[str]:
    assert way is not None
    return [victim.instance for victim in way.victims]


PLENTY = dict.fromkeys("abcdefgh", 9)


def test_the_least_important_victims_count_before_the_fewest() -> None:
    columns = Columns([machine("x"), machine("y")])
    held = [
        hold(columns, "a", 0, need(4_000), 5),
        hold(columns, "b", 1, need(2_000), 1),
        hold(columns, "c", 1, need(2_000), 1),
    ]

    assert names(give_way(columns, need(3_000), 9, held, PLENTY)) == ["b.y", "c.y"]


def test_no_more_leave_than_must() -> None:
    columns = Columns([machine("x")])
    held = [
        hold(columns, "a", 0, need(500), 0),
        hold(columns, "b", 0, need(500), 0),
        hold(columns, "c", 0, need(3_000), 0),
    ]

    assert names(give_way(columns, need(1_000), 1, held, PLENTY)) == ["c.x"]
    assert names(give_way(columns, need(500), 1, held, PLENTY)) == ["a.x"]


def test_equals_and_betters_never_give_way() -> None:
    columns = Columns([machine("x")])
    held = [hold(columns, "a", 0, need(2_000), 5), hold(columns, "b", 0, need(2_000), 6)]

    assert give_way(columns, need(1_000), 5, held, PLENTY) is None
    assert names(give_way(columns, need(1_000), 6, held, PLENTY)) == ["a.x"]


def test_what_a_service_cannot_spare_stays() -> None:
    columns = Columns([machine("x"), machine("y")])
    held = [
        hold(columns, "a", 0, need(2_000), 0),
        hold(columns, "a", 0, need(2_000), 0),
        hold(columns, "b", 1, need(4_000), 3),
    ]

    assert names(give_way(columns, need(3_000), 9, held, {"a": 1, "b": 1})) == ["b.y"]
    assert give_way(columns, need(3_000), 9, held, {"a": 1}) is None


def test_a_gpu_is_what_is_short() -> None:
    columns = Columns([machine("x", 64_000, gpus=2)])
    held = [
        hold(columns, "a", 0, need(100, 600), 2),
        hold(columns, "b", 0, need(100, 700), 1),
        hold(columns, "c", 0, need(100), 0),
    ]

    assert names(give_way(columns, need(100, 1_000), 9, held, PLENTY)) == ["b.x"]


def test_nodes_that_are_ruled_out_are_left_alone() -> None:
    columns = Columns([machine("x"), machine("y")])
    held = [hold(columns, s, row, need(4_000), row) for row, s in enumerate("ab")]
    barred = np.array([True, False])

    assert names(give_way(columns, need(1_000), 9, held, PLENTY, barred)) == ["b.y"]
    assert give_way(columns, need(5_000), 9, held, PLENTY) is None


class Rank(int):
    """A priority that counts how often it is added up."""

    added = 0

    def __radd__(self, other: int) -> int:
        Rank.added += 1
        return other + int(self)


def test_sets_that_are_too_many_are_not_even_made() -> None:
    columns = Columns([machine("x", 64_000)])
    held = [hold(columns, f"s{number}", 0, need(100), Rank(0)) for number in range(70)]

    way = give_way(columns, need(63_000), 9, held, dict.fromkeys((h.service for h in held), 1))

    assert len(names(way)) == 60
    assert Rank.added < 1_000


copies = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.integers(1, 4), st.integers(0, 3)),
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(copies=copies, size=st.integers(1, 5), priority=st.integers(0, 4), least=st.integers(0, 3))
def test_the_way_is_open_smallest_and_leaves_no_trace(
    copies: list[tuple[str, int, int, int]], size: int, priority: int, least: int
) -> None:
    columns = Columns([machine(name) for name in "xyz"])
    held = [
        hold(columns, f"{service}{rank}", row, need(1_000 * cores), rank)
        for service, row, cores, rank in copies
        if columns.fitting(need(1_000 * cores))[row]
    ]
    spare = {h.service: least for h in held}
    before = columns.room.copy()

    way = give_way(columns, need(1_000 * size), priority, held, spare)

    assert (columns.room == before).all()
    open_ways = [
        Way(row, chosen)
        for row in range(3)
        if columns.free[row, 0] < 1_000 * size
        for count in range(1, 5)
        for chosen in combinations([h for h in held if h.taken.row == row], count)
        if all(h.priority < priority for h in chosen)
        and all(sum(o.service == h.service for o in chosen) <= least for h in chosen)
        and columns.free[row, 0] + sum(h.taken.need.cpu_milli for h in chosen) >= 1_000 * size
    ]
    if way is None:
        assert not open_ways
    else:
        assert way.price <= min(other.price for other in open_ways)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=12))
def test_victims_that_ask_again_come_to_rest(wanted: list[tuple[int, int]]) -> None:
    columns = Columns([machine("x"), machine("y")])
    waiting = [(f"s{n}", need(1_000 * cores), rank) for n, (cores, rank) in enumerate(wanted)]
    held: list[Holding] = []
    for _ in range(3 ** len(wanted)):
        if not waiting:
            break
        service, asked, rank = waiting.pop(0)
        fits = columns.fitting(asked)
        if fits.any():
            held.append(hold(columns, service, int(fits.argmax()), asked, rank))
            continue
        way = give_way(columns, asked, rank, held, {h.service: 1 for h in held})
        if way is None:
            continue
        for victim in way.victims:
            assert victim.priority < rank
            columns.give_back(victim.taken)
            held.remove(victim)
            waiting.append((victim.service, victim.taken.need, victim.priority))
        held.append(hold(columns, service, way.row, asked, rank))
    assert not waiting

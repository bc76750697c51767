"""Many copies at once: what is found is sound, and as good as the proven optimum where small."""

import pytest
from hypothesis import given, settings

from placement.algorithms.exact import optimum
from placement.algorithms.worth import worth
from placement.choosing.arranging import arrange
from placement.cluster.columns import Columns
from placement.cluster.needs import Machine, Need
from tests.unit.placement.clusters import MACHINES, NEEDS, machine, need

pytest.importorskip("ortools")


def sound(machines: list[Machine], needs: list[Need], placed) -> int:
    """Return the worth of (row, slots) by need, after taking them one by one on empty machines."""
    columns = Columns(machines)
    total = 0
    for each, where in zip(needs, placed, strict=True):
        if where is not None:
            assert columns.accepted(each)[where[0]]
            columns.take(where[0], each, where[1])
            total += worth(columns, each)
    return total


def arranged(machines: list[Machine], needs: list[Need]):
    found = arrange(machines, needs)
    placed = [None if taken is None else (taken.row, taken.slots) for taken in found.taken]
    assert sound(machines, needs, placed) == found.worth
    return found


@given(MACHINES, NEEDS)
@settings(max_examples=10, deadline=None)
def test_what_is_found_is_sound_and_never_above_the_bound(machines, needs) -> None:
    needs = needs[:10]
    found = arranged(machines, needs)
    best = optimum(machines, needs, 5.0)
    placed = [
        None if row is None else (row, slots)
        for row, slots in zip(best.rows, best.slots, strict=True)
    ]
    assert sound(machines, needs, placed) == best.worth <= best.bound
    assert found.worth <= best.bound
    assert best.proven


def test_others_make_room() -> None:
    """By size the first two share a node, and the third fits nowhere; there is one way out."""
    machines = [machine("a", 10_000, 100), machine("b", 8000, 100)]
    needs = [need(cpu, 1) for cpu in (5000, 5000, 4000, 4000)]
    assert arranged(machines, needs).left_over == 0
    assert arranged(machines, [need(cpu, 1) for cpu in (6000, 5000, 4000, 3000)]).left_over == 0


def test_gpus_are_shared_out_exactly() -> None:
    machines = [machine("a", gpus=2), machine("b", gpus=1)]
    needs = [need(10, 10, 1, milli) for milli in (600, 600, 500, 500, 400, 400)]
    assert arranged(machines, needs).left_over == 0
    assert optimum(machines, needs, 5.0).rows.count(None) == 0


def test_of_too_much_the_most_worth_is_placed() -> None:
    machines = [machine("a", 10_000, 1000)]
    needs = [need(6000, 600), need(5000, 500), need(5000, 500)]
    found = arranged(machines, needs)
    assert [taken is not None for taken in found.taken] == [False, True, True]
    assert optimum(machines, needs, 5.0).rows == (None, 0, 0)


def test_nothing_is_arranged_of_nothing() -> None:
    assert arrange([], []).taken == ()
    assert arrange([machine("a")], []).taken == ()
    assert arrange([], [need()]).taken == (None,)
    assert optimum([], [need()], 1.0).rows == (None,)


def test_large_clusters_are_not_for_the_exact_search() -> None:
    with pytest.raises(ValueError, match="500 copies on 5 nodes are too many to be exact"):
        optimum([machine(str(n)) for n in range(5)], [need()] * 500, 1.0)

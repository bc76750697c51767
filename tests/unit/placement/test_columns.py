"""A cluster as columns: nothing is over-committed, and what is undone was never done."""

import numpy as np
import pytest
from hypothesis import given, settings

from placement.cluster.columns import Columns, Taken
from placement.cluster.needs import Gpu, Machine, Need
from placement.errors import Overcommitted
from tests.unit.placement.clusters import MACHINES, NEEDS, chooser, machine, need


def fits_plainly(one: Machine, held: list[Taken], wanted: Need) -> bool:
    """Say whether a copy has room, from the machine and what it holds, one amount at a time."""
    cpu = one.cpu_milli - sum(t.need.cpu_milli for t in held)
    memory = one.memory_mib - sum(t.need.memory_mib for t in held)
    if cpu < wanted.cpu_milli or memory < wanted.memory_mib:
        return False
    if wanted.architectures and one.architecture not in wanted.architectures:
        return False
    if not set(one.taints) <= set(wanted.tolerations):
        return False
    for name, amount in wanted.extra:
        used = sum(dict(t.need.extra).get(name, 0) for t in held)
        if dict(one.extra).get(name, 0) - used < amount:
            return False
    able = 0
    for slot, gpu in enumerate(one.gpus):
        free = 1000 - sum(t.need.gpu_milli for t in held if slot in t.slots)
        accepted = not wanted.models or gpu.model in wanted.models
        able += accepted and free >= wanted.gpu_milli
    return not wanted.gpus or able >= wanted.gpus


@given(MACHINES, NEEDS)
@settings(max_examples=40, deadline=None)
def test_whatever_fits_is_placed_and_nothing_is_over_committed(machines, needs) -> None:
    placing = chooser("best-fit", machines, needs)
    held: dict[int, list[Taken]] = {row: [] for row in range(len(machines))}
    for each in needs:
        able = [fits_plainly(one, held[row], each) for row, one in enumerate(machines)]
        taken = placing.place(each)
        assert (taken is not None) == any(able)
        if taken is not None:
            assert able[taken.row]
            assert len(set(taken.slots)) == each.gpus
            held[taken.row].append(taken)
    columns = placing.columns
    for part in (columns.free, columns.gpu_free, columns.gpu_memory):
        assert (part >= 0).all()
    for all_of in held.values():
        for taken in all_of:
            columns.give_back(taken)
    assert (columns.free == columns.capacity).all()
    assert (columns.gpu_free == columns.gpu_capacity).all()
    assert (columns.gpu_memory == columns.gpu_memory_capacity).all()


def test_a_perfect_fit_is_a_fit() -> None:
    placing = chooser("weir", [machine("a", 1000, 1000, 1)], [need(1000, 1000, 1)])
    assert placing.place(need(1000, 1000, 1)) is not None
    assert placing.columns.free.tolist() == [[0, 0]]
    assert placing.place(need(0, 0, 1, 1)) is None


@pytest.mark.parametrize(
    ("wanted", "slots"),
    [
        (need(9000), ()),
        (need(memory=17_000), ()),
        (need(gpus=1), ()),
        (need(gpus=1), (0, 0)),
        (need(gpus=2), (0, 0)),
        (need(gpus=1, gpu_memory_mib=17_000), (0,)),
        (need(gpus=1, models=("V100",)), (0,)),
        (need(extra=(("disk", 1),)), ()),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(wanted, slots) -> None:
    columns = Columns([machine("a", gpus=2)])
    with pytest.raises(Overcommitted, match="a "):
        columns.take(0, wanted, slots)
    assert (columns.free == columns.capacity).all()
    assert (columns.gpu_free == columns.gpu_capacity).all()


def test_what_is_not_held_cannot_be_given_back() -> None:
    columns = Columns([machine("a", gpus=2)])
    taken = columns.take(0, need(gpus=1, milli=300), (1,))
    columns.give_back(taken)
    with pytest.raises(Overcommitted, match="does not hold"):
        columns.give_back(taken)


def test_memory_of_gpus_is_shared_out_like_their_time() -> None:
    wanted = need(gpus=1, milli=100, gpu_memory_mib=9000)
    placing = chooser("best-fit", [machine("a", gpus=2)], [wanted])
    assert [placing.place(wanted).slots for _ in range(2)] == [(0,), (1,)]
    assert placing.place(wanted) is None


def test_labels_and_zones_are_asked_for() -> None:
    machines = [
        machine("a", zone="north", labels=(("disk", "ssd"),)),
        machine("b", zone="south", labels=(("disk", "ssd"), ("tier", "1"))),
    ]
    columns = Columns(machines)
    assert columns.accepted(need(labels=(("disk", "ssd"),))).tolist() == [True, True]
    assert columns.accepted(need(labels=(("tier", "1"),))).tolist() == [False, True]
    assert columns.accepted(need(zones=("north",))).tolist() == [True, False]


def test_a_change_concerns_one_row() -> None:
    columns = Columns([machine("a"), machine("b"), machine("c")])
    columns.take(1, need(), ())
    assert columns.stamp.tolist() == [0, 1, 0]
    assert columns.row == {"a": 0, "b": 1, "c": 2}


def test_allocation_is_told_of_gpus_and_of_cpu_where_there_are_none() -> None:
    with_gpus = Columns([Machine(name="a", cpu_milli=10, memory_mib=10, gpus=(Gpu("T4"),) * 2)])
    with_gpus.take(0, need(0, 0, 1, 500), (0,))
    assert with_gpus.allocated() == pytest.approx(0.25)
    without = Columns([machine("a", 8000)])
    without.take(0, need(2000), ())
    assert without.allocated() == pytest.approx(0.25)
    assert Columns([]).allocated() == 0.0
    assert np.array_equal(Columns([]).fitting(need()), np.zeros(0, np.bool_))

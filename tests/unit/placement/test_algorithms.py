"""The laws of algorithms, which hold for every one of them, and what each is known for."""

from math import exp, floor

import numpy as np
import pytest
from hypothesis import given, settings

from placement.algorithms.base import Algorithm, Peer, Wish
from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN, maker
from placement.algorithms.plain import FirstFit
from placement.choosing.chooser import Chooser
from placement.cluster.columns import Columns
from placement.cluster.needs import Gpu, Machine
from tests.unit.placement.clusters import MACHINES, NEEDS, algorithm, chooser, machine, need

SHARED = [need(3000, 5000, 1, 810), need(4000, 9000, 1), need(2000, 3000, 1, 320), need(2000)]


def frozen(columns: Columns) -> list[bytes]:
    return [part.tobytes() for part in (columns.free, columns.gpu_free, columns.gpu_memory)]


@pytest.mark.parametrize("name", OWN)
@given(machines=MACHINES, needs=NEEDS)
@settings(max_examples=8, deadline=None)
def test_the_laws_hold(name, machines, needs) -> None:
    columns = Columns(machines)
    judging: Algorithm = algorithm(name, columns, needs)
    placing = Chooser(columns, algorithm(name, columns, needs))
    for each in needs:
        rows = np.flatnonzero(columns.accepted(each) & columns.fitting(each))
        before = frozen(columns)
        judging.peers = (Peer(0, 100), Peer(len(machines) - 1))
        for wish in judging.wishes([each, each]):
            assert wish is None or wish.row in rows
        if len(rows):
            found = judging.score(each, rows)
            assert np.isfinite(found.score).all()
            able = columns.gpus_fitting(each, rows)
            chosen = found.slot >= 0
            assert each.gpus == 1 or not chosen.any()
            assert able[np.flatnonzero(chosen), found.slot[chosen]].all()
            if judging.steady:
                alone = [judging.score(each, rows[[place]]).score[0] for place in range(len(rows))]
                assert alone == found.score.tolist()
        assert frozen(columns) == before
        assert (placing.place(each) is None) == (len(rows) == 0)


@pytest.mark.parametrize("name", OWN)
def test_equal_seeds_decide_alike(name) -> None:
    machines = [machine(f"n{number}", gpus=number % 3) for number in range(9)]
    runs = []
    for _ in range(2):
        placing = chooser(name, machines, SHARED)
        runs.append([placing.place(each) for each in SHARED * 5])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", [name for name in OWN if OWN[name].steady])
def test_scores_that_are_kept_decide_as_fresh_ones_do(name) -> None:
    machines = [machine(f"n{number}", 8000 + 500 * number, gpus=number % 4) for number in range(9)]
    kept = chooser(name, machines, SHARED)
    columns = Columns(machines)
    for number, each in enumerate(SHARED * 8):
        fresh = Chooser(columns, algorithm(name, columns, SHARED)).place(each)
        taken = kept.place(each)
        assert taken == fresh
        if taken is not None and number % 5 == 0:
            kept.columns.give_back(taken)
            columns.give_back(taken)


def test_best_fit_is_the_fullest_and_worst_fit_the_emptiest() -> None:
    machines = [machine("large", 16_000), machine("small", 2000), machine("middle", 8000)]
    rows = {
        name: chooser(name, machines, [need()]).place(need()).row
        for name in ("first-fit", "best-fit", "worst-fit", "weighted")
    }
    assert rows == {"first-fit": 0, "best-fit": 1, "worst-fit": 0, "weighted": 1}


def test_packing_prefers_gpus_in_use_then_nodes_in_use() -> None:
    machines = [machine("idle", gpus=2), machine("used", gpus=2)]
    placing = chooser("packing", machines, SHARED)
    placing.columns.take(1, need(gpus=1, milli=500), (1,))
    shared = placing.place(need(gpus=1, milli=300))
    assert (shared.row, shared.slots) == (1, (1,))
    whole = placing.place(need(gpus=1))
    assert (whole.row, whole.slots) == (1, (0,))
    assert placing.place(need(gpus=2)).row == 0


def plain_fragmentation(columns: Columns, row: int, gpu: list[int], cpu: int, mix) -> float:
    total = 0.0
    for kind, share in zip(mix.kinds, mix.shares, strict=True):
        models = [one.model for one in columns.machines[row].gpus]
        able = [
            left >= kind.gpu_milli and (not kind.models or model in kind.models)
            for left, model in zip(gpu, models, strict=True)
        ]
        if kind.gpus and cpu >= kind.cpu_milli and sum(able) >= kind.gpus:
            total += share * sum(left for left in gpu if left < kind.gpu_milli)
        else:
            total += share * sum(gpu)
    return total


def test_the_gradient_is_that_of_the_definition() -> None:
    machines = [
        Machine(
            name=f"n{number}",
            cpu_milli=8000 + 3000 * number,
            memory_mib=10**6,
            gpus=(Gpu("T4"), Gpu("P100"), Gpu("T4")),
        )
        for number in range(3)
    ]
    needs = [*SHARED, need(1000, 1, 1, 700, models=("P100",)), need(1000, 1, 2)]
    columns, mix = Columns(machines), mix_of(needs)
    columns.take(1, need(2000, 1, 1, 450), (0,))
    columns.take(2, need(9000, 1, 1, 900), (1,))
    judging = algorithm("fgd", columns, needs)
    for each in (SHARED[0], SHARED[2], need(1000, 1, 2), need(4000)):
        found = judging.score(each, np.arange(3))
        for row in range(3):
            gpu, cpu = columns.gpu_free[row].tolist(), int(columns.free[row, 0])
            before = plain_fragmentation(columns, row, gpu, cpu, mix.typical())
            best = -1
            for slot in range(3) if each.gpus == 1 else [None]:
                after = list(gpu)
                for taken in [slot] if slot is not None else columns.tightest(row, each):
                    after[taken] -= each.gpu_milli
                if min(after) < 0:
                    continue
                rest = cpu - each.cpu_milli
                gained = before - plain_fragmentation(columns, row, after, rest, mix.typical())
                best = max(best, floor(100 / (1 + exp(-gained / 1000))))
            assert found.score[row] == best


def test_foresight_keeps_cpu_for_those_that_need_it_beside_a_gpu() -> None:
    """A copy without a GPU goes where no GPU is stranded, though another node is fuller."""
    machines = [
        machine("tight", 8000, gpus=2),
        machine("roomy", 64_000),
        machine("large", 1000, gpus=8),
    ]
    needs = [need(4000, 1000, 1), need(4000)]
    assert chooser("best-fit", machines, needs).place(need(4000)).row == 0
    assert chooser("weir", machines, needs).place(need(4000)).row == 1


def test_more_states_than_are_looked_at_are_looked_at_in_turns() -> None:
    machines = [machine(f"n{number}", 8000 + number, gpus=1) for number in range(300)]
    placing = chooser("weir", machines, SHARED)
    placed = [placing.place(need(4000, 9000, 1)) for _ in range(300)]
    assert sorted(taken.row for taken in placed if taken) == list(range(300))


def test_unknown_algorithms_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'nix' is unknown; known are best-fit, dot-"):
        maker("nix")
    assert maker("best_fit") is OWN["best-fit"]
    assert maker("best-fit", {"best-fit": OWN["fgd"], "own": OWN["fgd"]}) is OWN["best-fit"]


def test_wishes_are_heard_where_the_copy_fits_and_no_node_is_overfilled() -> None:
    class Wishful(FirstFit):
        def wishes(self, _):
            return [Wish(1, (1,)), Wish(1, (1,)), Wish(9), Wish(1, (7,)), None, Wish(2)]

    machines = [machine("a", gpus=2), machine("b", gpus=2), machine("c")]
    columns = Columns(machines)
    placing = Chooser(columns, Wishful(columns, mix_of(SHARED), 0))
    taken = placing.place_all([need(gpus=1)] * 6)
    assert [each and (each.row, each.slots) for each in taken] == [
        *((1, (1,)), (1, (0,)), (0, (0,)), (0, (1,)), None, None)
    ]

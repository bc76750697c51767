"""The laws of algorithms, filters and assigners of others: what one breaks, in words. Pure.

Each is held to the same clusters and copies, which follow from a seed, empty and partly full.
Whatever it raises comes through.
"""

from collections.abc import Iterator

import numpy as np

from placement.algorithms.base import Algorithm, Wish
from placement.algorithms.chance import mixed
from placement.algorithms.guarded import Assigner
from placement.algorithms.mix import mix_of
from placement.algorithms.names import DEFAULT, OWN, Maker
from placement.choosing.chooser import Chooser, Filter
from placement.cluster.columns import Columns, Ints
from placement.cluster.needs import Gpu, Machine, Need

SEEDS = 6
_MODELS = ("T4", "P100")


def case(seed: int) -> tuple[list[Machine], list[Need]]:
    """Return a cluster of up to eight nodes and twenty copies."""
    drawn = iter(mixed(seed, 0, 400).tolist())
    machines = [
        Machine(
            name=f"n{number}",
            cpu_milli=1000 * int(16 * next(drawn)),
            memory_mib=1024 * int(32 * next(drawn)),
            gpus=tuple(Gpu(_MODELS[int(2 * next(drawn))], 16_000) for _ in range(number % 4)),
            zone=f"z{number % 2}",
            taints=("edge",) if number % 3 == 2 else (),
        )
        for number in range(1 + seed % 8)
    ]
    return machines, [_need(drawn) for _ in range(20)]


def _need(drawn: Iterator[float]) -> Need:
    gpus = int(3 * next(drawn))
    return Need(
        cpu_milli=int(4000 * next(drawn)),
        memory_mib=int(4096 * next(drawn)),
        gpus=gpus,
        gpu_milli=0 if not gpus else (1000, 400, 700)[int(3 * next(drawn))],
        tolerations=("edge",) if next(drawn) < 0.5 else (),
    )


def broken_by_score(make: Maker) -> list[str]:
    """Return the laws that an algorithm breaks."""
    told: dict[str, None] = {}
    for seed in range(SEEDS):
        machines, needs = case(seed)
        columns, mix = Columns(machines), mix_of(needs)
        judging, twin = make(columns, mix, seed), make(columns, mix, seed)
        placing = Chooser(columns, OWN[DEFAULT](columns, mix, seed))
        for need in needs:
            rows = np.flatnonzero(columns.accepted(need) & columns.fitting(need))
            before = _frozen(columns)
            if len(rows):
                told |= dict.fromkeys(_misjudged(judging, twin, need, rows))
            if _frozen(columns) != before:
                return [*told, "scoring changed the columns"]
            placing.place(need)
    return list(told)


def _misjudged(judging: Algorithm, twin: Algorithm, need: Need, rows: Ints) -> Iterator[str]:
    """Yield what is wrong with the scores of a need on rows that it fits on."""
    found, again = judging.score(need, rows.copy()), twin.score(need, rows.copy())
    score, slot = np.asarray(found.score), np.asarray(found.slot)
    if score.shape != rows.shape or slot.shape != rows.shape:
        yield "it must give one score and one GPU for each row that it is asked for"
        return
    if not np.isfinite(score).all():
        yield "a score is not finite"
    if not np.array_equal(score, np.asarray(again.score)):
        yield "two that were made alike, with one seed, score differently"
    able = judging.columns.gpus_fitting(need, rows)
    for gpu, fits in zip(slot.tolist(), able.tolist(), strict=True):
        if gpu >= len(fits) or (gpu >= 0 and not fits[gpu]):
            yield "it names a GPU on which the copy does not fit"
    alone = score.tolist()
    if judging.steady:
        alone = [float(judging.score(need, rows[[place]]).score[0]) for place in range(len(rows))]
    if score.tolist() != alone:
        yield "the score of a node depends on more than the node; set `steady` to False"


def broken_by_filter(passing: Filter) -> list[str]:
    """Return the laws that a filter breaks."""
    told: dict[str, None] = {}
    for seed in range(SEEDS):
        machines, needs = case(seed)
        columns = Columns(machines)
        for need in needs:
            before = _frozen(columns)
            found = np.asarray(passing(columns, need))
            if found.shape != (len(columns),) or found.dtype != np.bool_:
                told["it must return an array of bools, one for each node"] = None
                break
            if not np.array_equal(found, passing(columns, need)):
                told["the same nodes and the same need gave another answer"] = None
            if _frozen(columns) != before:
                told["asking changed the columns"] = None
                break
            rows = np.flatnonzero(columns.accepted(need) & columns.fitting(need))
            if len(rows):
                columns.take(int(rows[0]), need, columns.tightest(int(rows[0]), need))
                if not np.array_equal(found, passing(columns, need)):
                    told["it depends on what is free; leave that to the columns"] = None
    return list(told)


def broken_by_assigner(assign: Assigner) -> list[str]:
    """Return the laws that an assigner breaks."""
    told: dict[str, None] = {}
    for seed in range(SEEDS):
        machines, needs = case(seed)
        wished = list(assign(Columns(machines), list(needs)))
        if len(wished) != len(needs) or not all(isinstance(each, Wish | None) for each in wished):
            told["it must return a Wish or None for each copy"] = None
            continue
        if wished != list(assign(Columns(machines), list(needs))):
            told["the same nodes and the same copies gave other wishes"] = None
        told |= dict.fromkeys(_unfit(Columns(machines), needs, wished))
    return list(told)


def _unfit(columns: Columns, needs: list[Need], wished: list[Wish | None]) -> Iterator[str]:
    """Yield what is wrong with wishes, heard one after the other on empty machines."""
    for need, wish in zip(needs, wished, strict=True):
        if wish is None:
            continue
        if not 0 <= wish.row < len(columns):
            yield "it wishes for a row that is not there"
        elif not (columns.accepted(need) & columns.fitting(need))[wish.row]:
            yield "it wishes for a node that has no room, or none left, for the copy"
        else:
            columns.take(wish.row, need, columns.tightest(wish.row, need))


def _frozen(columns: Columns) -> list[bytes]:
    parts = (columns.free, columns.room, columns.gpu_free, columns.gpu_room, columns.stamp)
    return [part.tobytes() for part in parts]

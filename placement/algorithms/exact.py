"""The most worth that can be placed, and a proof of it, by CP-SAT: for small clusters. Pure.

Every copy is on one node or none; a copy on a node has as many of its GPUs as it needs; no amount
of a node, and no share or memory of a GPU, is exceeded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from placement.algorithms.worth import worth
from placement.cluster.columns import Columns
from placement.cluster.needs import Machine, Need

SIZE = 2_000
"""Copies times nodes: a cluster with more is not small."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """What was found: the row of each copy, None for none; its worth, and that of no better one."""

    rows: tuple[int | None, ...]
    slots: tuple[tuple[int, ...], ...]
    worth: int
    bound: int

    @property
    def proven(self) -> bool:
        """Say whether nothing better can be."""
        return self.worth >= self.bound


def optimum(
    machines: Sequence[Machine], needs: Sequence[Need], seconds: float, threads: int = 1
) -> Optimum:
    """Return the best arrangement known after so many seconds, on machines that hold nothing.

    Raises what `within` raises.
    """
    return within(Columns(machines), needs, seconds, threads)


def within(columns: Columns, needs: Sequence[Need], seconds: float, threads: int = 1) -> Optimum:
    """Return the best arrangement known after so many seconds, in what is free of some columns.

    It ends after as much work as takes about so long, too, so that it mostly ends alike on every
    machine. Raises ModuleNotFoundError when OR-Tools is not installed, ValueError when copies times
    nodes are more than 2,000.
    """
    from ortools.sat.python import cp_model  # noqa: PLC0415 - an extra, and slow to import

    if len(columns) * len(needs) > SIZE:
        raise ValueError(f"{len(needs)} copies on {len(columns)} nodes are too many to be exact")
    model = cp_model.CpModel()
    worths = [worth(columns, need) for need in needs]
    on = _placed(model, columns, needs)
    using = _gpus(model, columns, needs, on)
    _within_amounts(model, columns, needs, on)
    model.maximize(sum(worths[place] * chosen for (place, _), chosen in on.items()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.max_deterministic_time = seconds
    solver.parameters.num_workers = threads
    solver.parameters.random_seed = 1
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Optimum((None,) * len(needs), ((),) * len(needs), 0, sum(worths))
    rows = {place: row for (place, row), chosen in on.items() if solver.value(chosen)}
    slots: list[tuple[int, ...]] = [()] * len(needs)
    for (place, row, slot), used in using.items():
        if rows.get(place) == row and solver.value(used):
            slots[place] = (*slots[place], slot)
    return Optimum(
        tuple(rows.get(place) for place in range(len(needs))),
        tuple(slots),
        sum(worths[place] for place in rows),
        round(solver.best_objective_bound),
    )


def _placed(model: Any, columns: Columns, needs: Sequence[Need]) -> dict[tuple[int, int], Any]:
    """Return a choice for each copy and each row that could hold it were it empty."""
    on: dict[tuple[int, int], Any] = {}
    for place, need in enumerate(needs):
        able = columns.accepted(need) & columns.fitting(need)
        mine = {(place, row): model.new_bool_var("") for row in np.flatnonzero(able).tolist()}
        model.add_at_most_one(mine.values())
        on |= mine
    return on


def _gpus(
    model: Any, columns: Columns, needs: Sequence[Need], on: dict[tuple[int, int], Any]
) -> dict[tuple[int, int, int], Any]:
    """Return a choice for each GPU that a copy may use; shares and memory are kept within."""
    using: dict[tuple[int, int, int], Any] = {}
    for (place, row), chosen in on.items():
        need = needs[place]
        if need.gpus:
            able = np.flatnonzero(columns.gpus_fitting(need, np.array([row]))[0]).tolist()
            mine = {(place, row, slot): model.new_bool_var("") for slot in able}
            model.add(sum(mine.values()) == need.gpus * chosen)
            using |= mine
    for row, slot in sorted({(row, slot) for _, row, slot in using}):
        users = [(needs[p], v) for (p, r, s), v in using.items() if (r, s) == (row, slot)]
        milli, memory = columns.gpu_free[row, slot], columns.gpu_memory[row, slot]
        model.add(sum(need.gpu_milli * used for need, used in users) <= int(milli))
        model.add(sum(need.gpu_memory_mib * used for need, used in users) <= int(memory))
    return using


def _within_amounts(
    model: Any, columns: Columns, needs: Sequence[Need], on: dict[tuple[int, int], Any]
) -> None:
    asked = [columns.amounts(need) for need in needs]
    for row in range(len(columns)):
        here = [(asked[place], chosen) for (place, r), chosen in on.items() if r == row]
        for column, held in enumerate(columns.free[row].tolist()):
            terms = [int(each[column]) * chosen for each, chosen in here if each is not None]
            model.add(sum(terms) <= held)

"""Plug-ins of Weir: a worked example of each kind that needs no model.

`weir plugins check` holds them to the laws of their groups; `weir simulate placement --algorithm
cool-aisle` runs one.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from placement.algorithms.base import Algorithm, Scored, Wish, plain, room_left
from placement.cluster.columns import Columns, Floats, Ints, Mask
from placement.cluster.needs import Need
from processors.remedying.base import Case, Plan, Refusal
from processors.routing.votes import Verdict, Vote
from processors.selecting.ensembles import Problem
from workers.scheduling.orders.ranked import Ranked
from workers.scheduling.waiting import Rank, Waiting


class CoolAisle(Algorithm):
    """A score: nodes with the label aisle=cool before others, and of these the fullest."""

    name = "cool-aisle"

    def score(self, need: Need, rows: Ints) -> Scored:
        """Score rows that the copy fits on; the highest score wins."""
        cool = [("aisle", "cool") in self.columns.machines[row].labels for row in rows.tolist()]
        return plain(np.array(cool, np.float64) - room_left(self.columns, need, rows) / 2)


def outside_quarantine(columns: Columns, _: Need) -> Mask:
    """A filter: no copy goes to nodes with the label quarantine=yes."""
    return np.array([("quarantine", "yes") not in each.labels for each in columns.machines])


def largest_first(columns: Columns, needs: Sequence[Need]) -> Sequence[Wish | None]:
    """An assigner: the copies with the most CPU choose first, each the first node that has room.

    The columns are a trial: what is taken of them is taken of nothing else.
    """
    wishes: list[Wish | None] = [None] * len(needs)
    for place in sorted(range(len(needs)), key=lambda place: -needs[place].cpu_milli):
        need = needs[place]
        rows = np.flatnonzero(columns.accepted(need) & columns.fitting(need)).tolist()
        if rows:
            wishes[place] = Wish(rows[0], columns.tightest(rows[0], need))
            columns.take(rows[0], need, columns.tightest(rows[0], need))
    return wishes


class NewestFirst(Ranked):
    """An order of a worker: what came last is executed first."""

    name = "newest-first"
    why = "it came last"

    def rank(self, waiting: Waiting, /) -> Rank:
        """Return by what a job is sorted; smaller goes first."""
        return -waiting.seq


def outliers(rows: pl.DataFrame, threshold: float = 3.5) -> float | None:
    """A metric: how many values are further from the median than so many median deviations."""
    values = rows["value"].to_numpy()
    distances = np.abs(values - np.median(values))
    return float((distances > threshold * np.median(distances)).sum())


def surest(votes: Sequence[Vote], _: float) -> Verdict:
    """A combiner: whoever is surest has it, by as much; who does not say how sure counts last."""
    best = max(votes, key=lambda vote: vote.confidence or 0.0)
    return Verdict(best.label, best.confidence or 0.0, best.classes, best.scores)


class Steps:
    """A detector of anomalies: how far a value is from the one before it."""

    width = 2

    def strangeness(self, memory: Floats, _: int, value: float) -> float:
        """Return the step; nothing before there was a value."""
        return abs(value - memory[0]) if memory[1] else 0.0

    def learn(self, memory: Floats, _: int, value: float) -> None:
        """Remember a value, and that there was one."""
        memory[0], memory[1] = value, 1.0


class Cusum:
    """A detector of drift: the sum of what lies above the mean by more than a little."""

    width = 3

    def update(self, memory: Floats, value: float) -> bool:
        """Remember how many values there were, their mean, and the sum; tell when it is large."""
        memory[0] += 1.0
        memory[1] += (value - memory[1]) / memory[0]
        memory[2] = max(0.0, memory[2] + value - memory[1] - 0.05)
        return bool(memory[0] > 30 and memory[2] > 10.0)


class Cheapest:
    """An algorithm of selection: those that cost least, as many as may be, or one alone."""

    def rank(self, problem: Problem) -> list[list[str]]:
        """Return two ensembles, the larger one first."""
        by_cost = sorted(problem.candidates, key=lambda one: (one.cost, one.service))
        most = problem.objective.max_members
        return [[one.service for one in by_cost[:size]] for size in (most, 1)]


class Jump:
    """A kind of rules: how far a window is above the mean of those before it."""

    width = 2

    def value(
        self, memory: Floats, statistic: float, _span_ms: int, _start_ms: int, _end_ms: int
    ) -> float:
        """Return the distance; the first five windows pass unjudged."""
        seen, mean = memory
        memory[0] = seen + 1
        memory[1] = mean + (statistic - mean) / (seen + 1)
        return float(statistic - mean) if seen >= 5 else math.nan


class LessLoad:
    """An action of remedies: so many copies of the service that a finding is about."""

    parameters = ("copies",)

    def objections(self, given: Mapping[str, str]) -> list[str]:
        """Tell what is wrong with the parameters."""
        return [] if given.get("copies", "1").isdecimal() else ["copies is no number"]

    def plan(self, case: Case) -> Plan | Refusal:
        """Ask for the copies, where a service is named."""
        service = case.finding.name_of("service")
        if not service:
            return Refusal("no service is named")
        wanted = int(case.given.get("copies", "1"))
        request = case.demand(service, wanted, "more copies, by less-load")
        return Plan("service", service, f"{wanted} copies of {service}", (request,))

    def undo(self, _: Case, memo: Mapping[str, str]) -> Plan | Refusal:  # noqa: ARG002 - none is kept
        """Tell that there is no way back."""
        return Refusal("it cannot be undone")

    def carried_out(self, _: Case, memo: Mapping[str, str]) -> str:  # noqa: ARG002 - none is kept
        """Tell nothing: whoever asked finds out by the service."""
        return ""

"""Predictions and scores of many ensembles at once.

**Accuracy**: see `voting`. **Latency** is the largest of the members' (they run side by side) plus
what routing adds; **cost** and **energy** are sums; **confidence** is the members' mean, less what
they are too sure of themselves.

**Score** = the weighted sum of parts, each clipped to 0 to 1: A = (accuracy - floor) / (1 - floor),
L = 1 - latency / latency_scale, E = 1 - energy / energy_scale, confidence as it is,
C = 1 - log(cost / cost_floor) / log(cost_scale / cost_floor), since costs range over orders of
magnitude and twice the cost shall count the same wherever it starts; the accuracy of a class, or
under a condition, likewise by its misses, -log10(miss) / 6. What is predicted under a condition is
the vote by the model of two sides, with the weights that hold whatever the circumstances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import erf

import numpy as np

from processors.selecting.ensembles import (
    CLASS,
    CONDITION,
    EPSILON,
    PARTIAL,
    PENALTY,
    Bound,
    Candidate,
    Objective,
    Part,
    Scored,
    Unmet,
)
from processors.selecting.places import Places
from processors.selecting.voting import (
    MOST_PATTERNS,
    Floats,
    Ints,
    log_odds,
    per_class,
    recalls,
    sides,
)

_LEAST_MISS, _DECADES = 1e-6, 6.0
_normal = np.vectorize(lambda z: 0.5 * (1.0 + erf(z / 2.0**0.5)), otypes=[np.float64])


@dataclass(slots=True)
class Votes:
    """Predictions that rest on the members alone, wherever they answer; rows are ensembles.

    `under` are the accuracies under conditions, (rows, conditions).
    """

    accuracy: Floats
    confidence: Floats
    missing: Floats
    spread: Floats
    under: Floats
    per_class: Floats | None = None


@dataclass(slots=True)
class Rated:
    """Predictions, score and value of each row; `scaled` are the parts of the score."""

    votes: Votes
    latency: Floats
    high: Floats
    cost: Floats
    energy: Floats
    scaled: dict[str, Floats]
    score: Floats
    shortfall: Floats
    risk: Floats
    value: Floats


class Table:
    """Candidates as columns, of which rows of numbers choose; one number too many is nobody.

    `emphasis` (1 or more) is how much more a vote counts for a class that something is asked of.
    """

    def __init__(self, candidates: Sequence[Candidate], objective: Objective) -> None:
        self.candidates = tuple(candidates)
        self.objective = objective
        self.nobody = len(self.candidates)
        self.accuracy = self._column("accuracy")
        self.weights = np.append(log_odds(self.accuracy[:-1], objective.classes), 0.0)
        self.latency, self.high = self._column("latency_ms"), self._column("latency_high_ms")
        self.cost, self.energy = self._column("cost"), self._column("energy_j")
        self._errors = self._column("error")
        self._late = self._column("latency_error_ms")
        sure = self._column("confidence") - np.maximum(0.0, self._column("calibration"))
        self._sure = np.clip(sure, 0.0, 1.0)

    def cheapest(self) -> "Table":
        """Return the table on which each candidate is at the best of all places in every way."""
        if not any(candidate.places for candidate in self.candidates):
            return self
        best = [
            replace(
                one,
                latency_ms=min((p.latency_ms for p in one.places), default=one.latency_ms),
                latency_high_ms=min(
                    (p.latency_high_ms for p in one.places), default=one.latency_high_ms
                ),
                cost=min((p.cost for p in one.places), default=one.cost),
                energy_j=min((p.energy_j for p in one.places), default=one.energy_j),
            )
            for one in self.candidates
        ]
        return Table(best, self.objective)

    def _column(self, name: str) -> Floats:
        return np.array([*(getattr(c, name) for c in self.candidates), 0.0], np.float64)

    @cached_property
    def rates(self) -> Floats:
        """Return the accuracy per candidate and class; that over all where none is known."""
        return self._known([c.rates for c in self.candidates], len(self.objective.labels))

    @cached_property
    def under(self) -> Floats:
        """Return the accuracy per candidate and condition; that over all where none is known."""
        return self._known([c.under for c in self.candidates], len(self.objective.conditions))

    def _known(self, told: Sequence[tuple[float, ...]], count: int) -> Floats:
        rows = [
            one if len(one) == count else (c.accuracy,) * count
            for one, c in zip(told, self.candidates, strict=True)
        ]
        return np.array([*rows, (0.0,) * count], np.float64).reshape(self.nobody + 1, count)

    @cached_property
    def _shares(self) -> tuple[tuple[str, float], ...]:
        """What is asked for, with its weight in the score."""
        wanted = self.objective
        every = (
            ("accuracy", wanted.accuracy),
            ("latency", wanted.latency),
            ("cost", wanted.cost),
            ("energy", wanted.energy),
            ("confidence", wanted.confidence),
            *_partial(wanted),
        )
        return tuple((name, weight) for name, weight in every if weight > 0)

    def class_weights(self, rows: Ints, emphasis: float = 1.0) -> Floats:
        """Return the weight of each member's vote per class, (rows, members, classes)."""
        labels, there = self.objective.labels, rows != self.nobody
        more = np.zeros(len(labels))
        for label in _wanted(self.objective):
            if label in labels:
                more[labels.index(label)] = np.log(emphasis)
        return per_class(self.rates[rows], there, more)

    def votes(self, rows: Ints, emphasis: float = 1.0, patterns: int = MOST_PATTERNS) -> Votes:
        """Return what ensembles of these candidates would answer; (rows, members) of numbers."""
        sure, weights = self.accuracy[rows], self.weights[rows]
        wanted = self.objective
        there = np.maximum(1, (rows != self.nobody).sum(axis=1))
        accuracy, spread = self._by_sides(rows, sure, weights)
        classes = None
        if wanted.per_class and wanted.labels:
            classes = recalls(
                self.rates[rows], self.class_weights(rows, emphasis), wanted.correlation, patterns
            )
            shares = np.array(wanted.frequencies or (1.0,) * len(wanted.labels))
            accuracy = classes @ (shares / shares.sum())
        return Votes(
            accuracy=accuracy,
            confidence=self._sure[rows].sum(axis=1) / there,
            missing=self._missing(rows),
            spread=spread,
            under=self._under(rows, weights),
            per_class=classes,
        )

    def _under(self, rows: Ints, weights: Floats) -> Floats:
        found = np.empty((len(rows), len(self.objective.conditions)))
        for at in range(found.shape[1]):
            found[:, at] = sides(self.under[rows, at], weights, self.objective.correlation)
        return found

    def _missing(self, rows: Ints) -> Floats:
        stages = self.objective.stages
        if not stages:
            return np.zeros(len(rows))
        own = [[c.stage == s for s in stages] for c in self.candidates] + [[False] * len(stages)]
        found: Floats = (~np.array(own)[rows].any(axis=1)).sum(axis=1).astype(np.float64)
        return found

    def _by_sides(self, rows: Ints, sure: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """Return the accuracy when wrong votes agree, and its standard error if that is asked for.

        That is by how much each member's error moves it.
        """
        errors, correlation = self._errors[rows], self.objective.correlation
        if not errors.any() or not any(b.what == "accuracy" for b in self.objective.bounds):
            return sides(sure, weights, correlation), np.zeros(len(rows))
        members = range(rows.shape[1])
        every = np.concatenate((sure,) * (1 + len(members)))
        for member in members:
            worse = every[(1 + member) * len(rows) : (2 + member) * len(rows)]
            worse[:, member] = np.maximum(0.0, sure[:, member] - errors[:, member])
        heard = np.concatenate((weights,) * (1 + len(members)))
        base, *moved = np.split(sides(every, heard, correlation), 1 + len(members))
        spread: Floats = np.sqrt(sum(((base - one) ** 2 for one in moved), np.zeros(len(rows))))
        return base, spread

    def rate(self, rows: Ints, votes: Votes | None = None, places: Places | None = None) -> Rated:
        """Return the predictions and scores of ensembles; `votes` of each row, if known.

        With `places`, `rows` are numbers of places instead; then `votes` are needed.
        """
        seen = self.votes(rows) if votes is None else votes
        at: Table | Places = self if places is None else places
        wanted = self.objective
        latency = at.latency[rows].max(axis=1) + wanted.overhead_ms
        high = at.high[rows].max(axis=1) + wanted.overhead_ms
        cost, energy = at.cost[rows].sum(axis=1), at.energy[rows].sum(axis=1)
        scaled = self._scaled(seen, high, cost, energy)
        score = sum((w * scaled[name] for name, w in self._shares), np.zeros(len(rows)))
        shortfall, risk = seen.missing.copy(), np.zeros(len(rows))
        members = rows if places is None else places.of[rows]
        late = self._late[members].max(axis=1) if self._late.any() else None
        for bound in wanted.bounds:
            predicted = _predicted(bound, seen, latency, high, wanted)
            shortfall += short(bound, predicted)
            risk = np.maximum(risk, _risk(bound, predicted, seen.spread, late))
        met = shortfall <= EPSILON
        value = np.where(
            met, score * (1.0 - wanted.caution * risk), score - 1.0 - PENALTY * shortfall
        )
        return Rated(seen, latency, high, cost, energy, scaled, score, shortfall, risk, value)

    def _scaled(self, seen: Votes, high: Floats, cost: Floats, energy: Floats) -> dict[str, Floats]:
        wanted = self.objective
        floor = wanted.accuracy_floor
        found = {"accuracy": np.clip((seen.accuracy - floor) / (1.0 - floor), 0.0, 1.0)}
        found["latency"] = np.clip(1.0 - high / wanted.latency_scale_ms, 0.0, 1.0)
        found["cost"] = _thrift(cost, wanted)
        if wanted.energy:
            found["energy"] = np.clip(1.0 - energy / wanted.energy_scale_j, 0.0, 1.0)
        if wanted.confidence:
            found["confidence"] = np.clip(seen.confidence, 0.0, 1.0)
        for name, _ in _partial(wanted):
            miss = np.maximum(_LEAST_MISS, 1.0 - partial(name, seen, wanted))
            found[name] = np.clip(-np.log10(miss) / _DECADES, 0.0, 1.0)
        return found

    def scored(
        self, row: Ints, rated: Rated, at: int, places: Places | None = None, emphasis: float = 1
    ) -> Scored:
        """Return one row as an ensemble: members by name, predictions, parts of the score."""
        numbers: list[int] = (row if places is None else places.of[row]).tolist()
        taken = [n for n, number in enumerate(numbers) if number != self.nobody]
        taken.sort(key=lambda n: self.candidates[numbers[n]].service)
        chosen = [numbers[n] for n in taken]
        wanted, seen = self.objective, rated.votes
        heard: tuple[tuple[float, ...], ...] = ()
        if seen.per_class is not None:
            votes = self.class_weights(np.array([chosen]), emphasis)[0]
            heard = tuple(tuple(map(float, of)) for of in votes)
        return Scored(
            members=tuple(self.candidates[n] for n in chosen),
            weights=tuple(float(self.weights[n]) for n in chosen),
            accuracy=float(seen.accuracy[at]),
            latency_ms=float(rated.latency[at]),
            latency_high_ms=float(rated.high[at]),
            cost=float(rated.cost[at]),
            energy_j=float(rated.energy[at]),
            confidence=float(seen.confidence[at]),
            score=float(rated.score[at]),
            shortfall=float(rated.shortfall[at]),
            risk=float(rated.risk[at]),
            caution=wanted.caution,
            parts=self._parts(rated, at),
            unmet=self._unmet(rated, at),
            class_weights=heard,
            places=tuple(places.names[row[n]] for n in taken) if places is not None else (),
        )

    def _parts(self, rated: Rated, at: int) -> tuple[Part, ...]:
        seen, wanted = rated.votes, self.objective
        values = {
            "accuracy": seen.accuracy,
            "latency": rated.high,
            "cost": rated.cost,
            "energy": rated.energy,
            "confidence": seen.confidence,
        } | {name: partial(name, seen, wanted) for name, _ in _partial(wanted)}
        return tuple(
            Part(name, float(values[name][at]), float(rated.scaled[name][at]), weight)
            for name, weight in self._shares
        )

    def _unmet(self, rated: Rated, at: int) -> tuple[Unmet, ...]:
        found = []
        for bound in self.objective.bounds:
            every = _predicted(bound, rated.votes, rated.latency, rated.high, self.objective)
            told = every[at : at + 1]
            if short(bound, told)[0] > EPSILON:
                found.append(Unmet(bound.clause or bound.what, bound.threshold, float(told[0])))
        return tuple(found)


def partial(name: str, seen: Votes, wanted: Objective) -> Floats:
    """Return the accuracy of a class, or under a condition, that an objective or bound names.

    Where nothing is known of it, that over all.
    """
    table: Floats | None
    if name.startswith(CONDITION):
        table, names, one = seen.under, wanted.conditions, name.removeprefix(CONDITION)
    else:
        table, names, one = seen.per_class, wanted.labels, name.removeprefix(CLASS)
    if table is None or one not in names:
        return seen.accuracy
    found: Floats = table[:, names.index(one)]
    return found


def short(bound: Bound, predicted: Floats) -> Floats:
    """Return the relative distance from a threshold, 0 where it holds."""
    distance = predicted - bound.threshold
    if not bound.what.startswith("latency"):
        distance = -distance
    found: Floats = np.maximum(0.0, distance) / max(abs(bound.threshold), EPSILON)
    return found


def _risk(bound: Bound, predicted: Floats, spread: Floats, late: Floats | None) -> Floats:
    """Return how likely a clause that holds on average is missed, 0 where nothing is uncertain."""
    if bound.what == "accuracy":
        error, margin = spread, predicted - bound.threshold
    elif bound.what == "latency_high" and late is not None:
        error, margin = late, bound.threshold - predicted
    else:
        return np.zeros(len(predicted))
    if not error.any():
        return np.zeros(len(predicted))
    found: Floats = np.where(error > 0, _normal(-margin / np.maximum(error, EPSILON)), 0.0)
    return found


def _predicted(
    bound: Bound, seen: Votes, latency: Floats, high: Floats, wanted: Objective
) -> Floats:
    if bound.what.startswith(PARTIAL):
        return partial(bound.what, seen, wanted)
    return {
        "accuracy": seen.accuracy,
        "latency": latency,
        "latency_high": high,
        "confidence": seen.confidence,
    }[bound.what]


def _wanted(wanted: Objective) -> tuple[str, ...]:
    """Return the classes of which something is asked."""
    bounded = [b.what.removeprefix(CLASS) for b in wanted.bounds if b.what.startswith(CLASS)]
    return tuple(dict.fromkeys((*(label for label, _ in wanted.asked), *bounded)))


def _partial(wanted: Objective) -> list[tuple[str, float]]:
    """Return what is asked of single classes and under conditions, by its name, with its weight."""
    classes = [(f"{CLASS}{label}", weight) for label, weight in wanted.asked]
    return classes + [(f"{CONDITION}{name}", weight) for name, weight in wanted.asked_under]


def _thrift(cost: Floats, wanted: Objective) -> Floats:
    span = np.log(max(wanted.cost_scale / wanted.cost_floor, 1.0 + EPSILON))
    ratio = np.maximum(cost / wanted.cost_floor, 1.0)
    found: Floats = np.clip(1.0 - np.log(ratio) / span, 0.0, 1.0)
    return found

"""Two samples of vectors: whether they differ, in which features, and by which test."""

import math
from dataclasses import dataclass

import numpy as np

from processors.drifting import samples
from processors.drifting.samples import Floats
from schemas.observing import FeatureShift

KS, PSI, MMD, ALL, OFF = "ks", "psi", "mmd", "two-sample", "off"
TESTS = (KS, PSI, MMD)
LABEL = "label"
WHOLE = "(all)"
"""Stands for all numeric features together, as the discrepancy compares them."""
_LEAST = 10
_STABLE = 0.25
_MOST_TOLD = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests that differ say, the strongest first; `detector` is the test of that one.

    `p_value` is times the features and tests that were tried (Bonferroni).
    """

    shifts: tuple[FeatureShift, ...]
    detector: str
    p_value: float

    @property
    def effect(self) -> float:
        """The size of the strongest, in its unit."""
        return self.shifts[0].effect


def judged(
    names: tuple[str, ...], reference: Floats, current: Floats, test: str, significance: float
) -> Verdict | None:
    """Return in what two samples (rows) differ beyond chance; None where they do not.

    Columns are the features; LABEL has numbers of classes, which only the index of stability
    compares. NaN is no value: a feature is compared where both samples have ten.
    """
    tests = TESTS if test == ALL else (test,)
    found = [
        one
        for at, name in enumerate(names)
        for one in _feature(name, _finite(reference[:, at]), _finite(current[:, at]), tests)
    ]
    if MMD in tests:
        found += _together(names, reference, current)
    tried = max(1, len(names)) * len(tests)
    told = [one for one in found if _p(one) * tried < significance]
    told.sort(key=lambda one: (_p(one), -one.effect))
    if not told:
        return None
    return Verdict(tuple(told[:_MOST_TOLD]), told[0].statistic, min(1.0, _p(told[0]) * tried))


def _shift(
    name: str, test: str, before: float, after: float, effect: float, p: float
) -> FeatureShift:
    return FeatureShift(
        feature=name, statistic=test, before=before, after=after, effect=effect, p_value=p
    )


def _p(shift: FeatureShift) -> float:
    return 1.0 if shift.p_value is None else shift.p_value


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _feature(
    name: str, reference: Floats, current: Floats, tests: tuple[str, ...]
) -> list[FeatureShift]:
    first, second = len(reference), len(current)
    if min(first, second) < _LEAST:
        return []
    before, after = float(reference.mean()), float(current.mean())
    found = []
    if KS in tests and name != LABEL:
        distance = samples.ks(reference, current)
        p = samples.ks_p(distance, first, second)
        found.append(_shift(name, KS, before, after, distance, p))
    if PSI in tests:
        edges = _labels(reference, current) if name == LABEL else samples.tenths(reference)
        index = samples.psi(samples.binned(reference, edges), samples.binned(current, edges))
        p = samples.psi_p(index, first, second, len(edges) + 1) if index > _STABLE else 1.0
        found.append(_shift(name, PSI, before, after, index, p))
    return found


def _labels(reference: Floats, current: Floats) -> Floats:
    """Return the edges of bins of which each holds one label, also one that is new."""
    known: Floats = np.unique(np.concatenate((reference, current)))
    return known[:-1]


def _together(names: tuple[str, ...], reference: Floats, current: Floats) -> list[FeatureShift]:
    columns = [at for at, name in enumerate(names) if name != LABEL]
    if len(columns) < 2:
        return []
    first, second = reference[:, columns], current[:, columns]
    usual = np.nan_to_num(_mean(first))
    first, second = (np.where(np.isfinite(x), x, usual) for x in (first, second))
    discrepancy, p = samples.mmd(first, second)
    return [_shift(WHOLE, MMD, 0.0, discrepancy, discrepancy, p)]


def _mean(rows: Floats) -> Floats:
    """Return the mean of what is finite in each column; NaN of none."""
    known = np.isfinite(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)
    return means

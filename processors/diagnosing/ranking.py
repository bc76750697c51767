"""Which cause explains best what has moved: Bayesian scores over the graph of dependencies.

Every hypothesis is scored by the likelihood of the symptoms that were measured, against
coincidence, as Sherlock does (Bahl et al. 2007, Towards highly reliable enterprise network services
via inference of multi-level dependencies, SIGCOMM): what moved and would have under the hypothesis
speaks for it, what stood still and would have moved speaks against it, what nobody measures says
nothing. To that come a prior, who moved first, and what was changed just before: a change after
the first symptom causes nothing, it answers. What the first cause leaves unexplained is explained
next (greedily, as SCORE does: Kompella et al. 2005, IP fault localization via risk modeling), so
that two faults at a time are both found.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from processors.diagnosing.hypotheses import NEEDS_CHANGE, PRIOR, Hypothesis
from processors.diagnosing.state import Change
from processors.diagnosing.symptoms import Key, Symptom

COINCIDENCE: Final = 0.06
"""Probability that a part shows a symptom that the cause does not account for."""
MOST: Final = 5
_MOVED = 0.35
_RECENT_MS, _FADING_MS = 60_000.0, 300_000.0
_JUST_BEFORE, _TOO_LATE, _FIRST = 3.0, -4.0, 1.2
_RESIDUAL = 1.5
"""A further cause must explain at least so much of what is left, as log-likelihood."""
_LEAST, _NEVER = -1.0, -1e9
_UNCERTAIN = 1.5
"""Divides log-likelihoods before they become shares: symptoms are not independent."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A cause with its score (0 to 1), since when (ms), and the symptoms and changes behind it."""

    hypothesis: Hypothesis
    score: float
    since: int | None
    symptoms: tuple[Symptom, ...]
    change: Change | None


def ranked(
    causes: Sequence[Hypothesis], found: Mapping[Key, Symptom], began: int
) -> tuple[Ranked, ...]:
    """Return the most plausible causes, the best first; none if nothing speaks for any."""
    totals = [(_total(one, found, began), one) for one in causes]
    plausible = _plausible(totals)
    if not plausible:
        return ()
    first = plausible[0][1]
    left = _without(found, first)
    beside = _plausible([(_total(one, left, began), one) for one in causes if one is not first])
    order = _shares(plausible)
    if beside and beside[0][0] > _RESIDUAL:
        score, second = _shares(beside)[0]
        order = [order[0], (score, second), *(item for item in order[1:] if item[1] is not second)]
    return _told(order[:MOST], found, began)


_Scored = list[tuple[float, Hypothesis]]


def _plausible(totals: _Scored) -> _Scored:
    """Return what anything speaks for, the best first; equal ones by kind and name."""
    order = sorted(totals, key=lambda item: (-item[0], item[1].kind, item[1].name))
    return [item for item in order if item[0] > _LEAST]


def _shares(totals: _Scored) -> _Scored:
    """Return the same with shares of one for logarithms; coincidence, at 0, has a share too."""
    top = max(0.0, totals[0][0])
    weights = [math.exp((total - top) / _UNCERTAIN) for total, _ in totals]
    whole = sum(weights) + math.exp(-top / _UNCERTAIN)
    return [(weight / whole, one) for weight, (_, one) in zip(weights, totals, strict=True)]


def _told(order: _Scored, found: Mapping[Key, Symptom], began: int) -> tuple[Ranked, ...]:
    result, score = [], 1.0
    for share, one in order:
        score = min(score, share)
        shown = _shown(one, found)
        change = _change(one, found, began)[1]
        starts = [symptom.since for symptom in shown] + ([change.at] if change else [])
        since = min(starts, default=None)
        result.append(Ranked(one, round(score, 4), since, shown, change))
    return tuple(result)


def _total(one: Hypothesis, found: Mapping[Key, Symptom], began: int) -> float:
    """Return the logarithm of how much rather this is the cause than coincidence."""
    boost, _ = _change(one, found, began)
    blamed = one.kind not in NEEDS_CHANGE or boost > 0.0
    if not blamed or not _shown(one, found):
        return _NEVER
    return _likelihood(one, found) + PRIOR[one.kind] + boost + _first(one, found)


def _likelihood(one: Hypothesis, found: Mapping[Key, Symptom]) -> float:
    total = 0.0
    for key, p in one.odds().items():
        symptom = found.get(key)
        if symptom is not None:
            moved = symptom.strength
            total += moved * math.log(p / COINCIDENCE)
            total += (1.0 - moved) * math.log((1.0 - p) / (1.0 - COINCIDENCE))
    return total


def _first(one: Hypothesis, found: Mapping[Key, Symptom]) -> float:
    """Return how early the part itself moved: causes move before what they cause."""
    moved = [symptom for symptom in found.values() if symptom.strength > _MOVED]
    own = [found[key] for key in one.own if key in found and found[key].strength > _MOVED]
    if not own or not moved:
        return 0.0
    tolerance = 2 * _step(found)
    late = max(0, min(x.since for x in own) - min(x.since for x in moved) - tolerance)
    return _FIRST * (2.0 * math.exp(-late / _RECENT_MS) - 1.0)


def _change(
    one: Hypothesis, found: Mapping[Key, Symptom], began: int
) -> tuple[float, Change | None]:
    """Return what the changes of a part say for or against it, and the change that says most."""
    shown = _shown(one, found)
    onset = _onset(shown, began)
    step = _step(found)
    best: tuple[float, Change | None] = (0.0, None)
    for change in one.changes:
        ahead = onset + 2 * step - change.at
        if ahead >= 0:
            said = _JUST_BEFORE * math.exp(-ahead / _FADING_MS)
        else:
            said = _JUST_BEFORE + (_TOO_LATE - _JUST_BEFORE) * min(1.0, -ahead / (6 * step))
        if best[1] is None or said > best[0]:
            best = (said, change)
    return best


def _onset(shown: Sequence[Symptom], began: int) -> int:
    """Return when symptoms began, the earliest third left out: noise may date one too early."""
    order = sorted(symptom.since for symptom in shown)
    return order[len(order) // 3] if order else began


def _step(found: Mapping[Key, Symptom]) -> int:
    """Return how exactly anything is dated, ms: the usual time between windows, at least 1 s."""
    steps = sorted(symptom.step for symptom in found.values() if symptom.step)
    return max(1_000, steps[len(steps) // 2] if steps else 0)


def _shown(one: Hypothesis, found: Mapping[Key, Symptom]) -> tuple[Symptom, ...]:
    """Return the symptoms that it accounts for, the part's own first, then the strongest."""
    keys = [*one.own, *(key for key in one.touched if key not in one.own)]
    shown = [found[key] for key in keys if key in found and found[key].strength > _MOVED]
    return tuple(sorted(shown, key=lambda x: (x.key not in one.own, -x.strength, x.key)))


def _without(found: Mapping[Key, Symptom], cause: Hypothesis) -> dict[Key, Symptom]:
    """Return the symptoms with what a cause accounts for taken away; what stood still stays."""
    odds = cause.odds()
    return {key: one for key, one in found.items() if key not in odds or one.strength <= _MOVED}

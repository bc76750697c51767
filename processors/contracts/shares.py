"""Who contributed how much to a violation: amounts that add up to the excess.

The parts are the finest places that report the clause's metric, or the metric that tells the
services' part in it (`vocabulary.RELATED`); of more than `MOST` instances the services, of more
services the stages. Each is compared with what is usual of it (`usual`), by Shapley values
(`games`):

- means, and so rates of failures and ratios, sums, counts, rates per second, extremes and quantiles
  are those of all events of the parts together, so that a part counts by its values and by how
  much of the traffic it has;
- a latency end to end is the sum over the stages of the slowest service of each;
- what the application as a whole shows beyond its parts (an ensemble that is worse than its
  members, time on the way) is a part by itself, without a service.

What is usual lies on the good side of the threshold by some slack, so that the change is larger
than the excess: the slack is taken off those that made things worse, in proportion. Parts that
made things better have negative amounts. Where nothing is usual yet, or what is usual breaks the
clause too, each part is compared with the threshold itself: at it for values, with its own share
of it for what adds up. The rest of rounding goes to the largest.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.contracts.clauses import Judged, beyond, metric_of
from processors.contracts.games import Pair, mixture, moved, path
from processors.contracts.usual import (
    ENOUGH,
    MAX_PARTS,
    Place,
    Summary,
    Usual,
    covers,
    enough,
    finest,
    place_of,
    summed,
)
from processors.measures import ADDED
from processors.vocabulary import RELATED
from schemas.observing import Contribution, Observation
from schemas.registrations import Clause

MOST = 24
"""So many parts are told apart."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a clause had when it held: its value, from `seen` judgements, and its parts."""

    value: float
    seen: int
    parts: tuple[Usual, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part, its two states, and its amount, larger for worse."""

    place: Place
    now: Summary | None
    usual: Summary | None
    amount: float = 0.0


def contributions(
    clause: Clause, judged: Judged, span: Sequence[Observation], past: Past
) -> tuple[Contribution, ...]:
    """Return who contributed how much, the largest first; `span` holds all metrics needed.

    The amounts add up to the excess of what was judged, the shares (of what is positive) to 1.
    """
    whole = _Part((clause.stage, clause.service, clause.instance), None, None)
    metric = _metric(clause, span)
    mine = [one for one in span if one.metric == metric and covers(whole.place, place_of(one))]
    found = finest(one for one in mine if one.stage or one.service)
    if not found:
        return _told(clause, judged, [whole], past)
    parts = _parts(metric, found, past, whole.place)
    apart = metric != metric_of(clause) or any(place_of(w) not in found for w in judged.windows)
    compared = _against_usual(clause, judged, parts, past, metric, apart=apart)
    if compared is None:
        compared = _against_threshold(clause, judged, parts, metric, apart=apart)
    amounts, beside = compared
    told = [replace(one, amount=amount) for one, amount in zip(parts, amounts, strict=True)]
    if apart and beside:
        told.append(replace(whole, amount=beside))
    return _told(clause, judged, told, past)


def _metric(clause: Clause, span: Sequence[Observation]) -> str:
    """Return the metric that tells the parts of a clause; empty when none does."""
    own = metric_of(clause)
    reported = {window.metric for window in span if window.service or window.stage}
    if own in reported:
        return own
    related = RELATED.get(own, "")
    return related if related in reported and clause.statistic not in ADDED else ""


def _parts(
    metric: str, found: Mapping[Place, Sequence[Observation]], past: Past, within: Place
) -> list[_Part]:
    """Return what reports, and what usually does and is gone."""
    begin = min(one.window_start for group in found.values() for one in group)
    end = max(one.window_end for group in found.values() for one in group)
    usual = {
        place: one.summary(begin, end)
        for place, one in enough(past.parts, metric).items()
        if place in found or (covers(within, place) and _gone(place, found))
    }
    parts = [
        _Part(place, summed(found[place]) if place in found else None, usual.get(place))
        for place in sorted({*found, *usual})
    ]
    for depth in (2, 1):
        if len(parts) > MOST:
            parts = _together(parts, depth)
    return parts


def _gone(place: Place, found: Iterable[Place]) -> bool:
    """Return whether a part has stopped reporting: nothing does within it, nor for it."""
    return any(place) and not any(covers(place, one) or covers(one, place) for one in found)


def _together(parts: Sequence[_Part], depth: int) -> list[_Part]:
    """Return parts as one per service, at depth 2, or stage, at depth 1."""
    groups: dict[Place, list[_Part]] = {}
    for one in parts:
        stage, service, _ = one.place
        groups.setdefault((stage, service if depth > 1 else "", ""), []).append(one)
    return [
        _Part(
            place,
            _joined([one.now for one in group]),
            _joined([one.usual for one in group]),
        )
        for place, group in groups.items()
    ]


def _joined(summaries: Sequence[Summary | None]) -> Summary | None:
    there = [one for one in summaries if one is not None]
    return summed(there) if there else None


def _against_usual(
    clause: Clause, judged: Judged, parts: Sequence[_Part], past: Past, metric: str, *, apart: bool
) -> tuple[list[float], float] | None:
    """Return the amounts, and that of the whole, against the past; None where that is no measure.

    None without a past, where the past breaks the clause as well, and where there are more parts
    than are remembered.
    """
    pairs: list[Pair] = [(one.now, one.usual) for one in parts]
    changed = _moved(clause, parts, pairs, metric)
    known = [one for one in parts if one.usual]
    full = len(past.parts) >= MAX_PARTS and len(known) < len(parts)
    if changed is None or past.seen < ENOUGH or not known or full:
        return None
    amounts, usual = changed
    before = past.value if apart else usual
    if beyond(clause, before) > 0:
        return None
    beside = beyond(clause, judged.observed) - beyond(clause, before) - math.fsum(amounts)
    return amounts, beside if apart else 0.0


def _against_threshold(
    clause: Clause, judged: Judged, parts: Sequence[_Part], metric: str, *, apart: bool
) -> tuple[list[float], float]:
    """Return the amounts, and that of the whole, when every part should be at the threshold."""
    proportional = metric != metric_of(clause) or clause.statistic in ADDED
    pairs: list[Pair] = [
        (one.now, _due(clause, judged, one.now, proportional=proportional)) for one in parts
    ]
    changed = _moved(clause, parts, pairs, metric)
    amounts = changed[0] if changed is not None else [0.0] * len(parts)
    beside = beyond(clause, judged.observed) - math.fsum(amounts)
    return amounts, beside if apart else 0.0


def _due(
    clause: Clause, judged: Judged, now: Summary | None, *, proportional: bool
) -> Summary | None:
    """Return a part as it should be: at the threshold, or at its own share of it."""
    if now is None:
        return None
    bound = clause.threshold
    if not proportional:
        return replace(
            now, mean=bound, min=bound, max=bound, p50=bound, p90=bound, p95=bound, p99=bound
        )
    scale = bound / judged.observed if judged.observed else 1.0
    if clause.statistic in ADDED:
        return replace(now, count=now.count * scale)
    return replace(now, **{clause.statistic: getattr(now, clause.statistic) * scale})


def _moved(
    clause: Clause, parts: Sequence[_Part], pairs: Sequence[Pair], metric: str
) -> tuple[list[float], float] | None:
    """Return each part's amount, larger for worse, and the value of all as usual."""
    if metric == metric_of(clause):
        value = mixture(pairs, clause.statistic)
    else:
        value = path([one.place[0] for one in parts], pairs, clause.statistic)
    everyone = frozenset(range(len(parts)))
    usual = value(frozenset())
    if not (math.isfinite(value(everyone)) and math.isfinite(usual)):
        return None

    def worse(chosen: frozenset[int]) -> float:
        found = value(chosen)
        return beyond(clause, found if math.isfinite(found) else usual)

    return moved(len(parts), worse), usual


def _told(
    clause: Clause, judged: Judged, parts: Sequence[_Part], past: Past
) -> tuple[Contribution, ...]:
    """Return parts as contributions whose amounts are made to add up to the excess."""
    excess = beyond(clause, judged.observed)
    amounts = _adding_up([one.amount for one in parts], excess)
    positive = math.fsum(amount for amount in amounts if amount > 0)
    made = [
        Contribution(
            stage=one.place[0],
            service=one.place[1],
            instance=one.place[2],
            observed=_shown(clause, one.now or one.usual, judged.observed, gone=not one.now),
            baseline=_baseline(clause, one, past),
            amount=amount,
            share=max(0.0, amount) / positive if positive else 1.0 / len(parts),
        )
        for one, amount in zip(parts, amounts, strict=True)
    ]
    return tuple(sorted(made, key=lambda one: (-one.amount, one.stage, one.service, one.instance)))


def _adding_up(amounts: Sequence[float], excess: float) -> list[float]:
    """Return amounts that add up: what lacks or is too much goes to what is positive, by share."""
    found = list(amounts)
    positive = math.fsum(amount for amount in found if amount > 0)
    rest = excess - math.fsum(found)
    if positive > 0:
        scale = 1 + rest / positive
        found = [amount * scale if amount > 0 else amount for amount in found]
    else:
        found = [amount + rest / len(found) for amount in found]
    largest = max(range(len(found)), key=lambda place: abs(found[place]))
    found[largest] += excess - math.fsum(found)
    return found


def _shown(clause: Clause, one: Summary | None, observed: float, *, gone: bool) -> float:
    if one is None:
        return observed
    if gone and clause.statistic in ADDED:
        return 0.0
    return mixture([(one, one)], clause.statistic)(frozenset())


def _baseline(clause: Clause, one: _Part, past: Past) -> float | None:
    if one.usual is not None:
        return mixture([(one.usual, one.usual)], clause.statistic)(frozenset())
    if one.now is None and past.seen >= ENOUGH:
        return past.value
    return None

"""What has moved, as symptoms: one per part of the system and family of metrics.

Metrics of one family say much the same (queue and latency of an instance), so that the strongest
of them counts, once. A metric that has moved to the better is a faint symptom: it may be the
consequence of a remedy, hardly that of a fault.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from processors.diagnosing.pasts import Past, Shift

TIME, QUEUE, TRUTH, LOSS = "time", "queue", "truth", "loss"
MEMORY, MACHINE, NETWORK, INPUT, LOAD, LOST = (
    "memory",
    "machine",
    "network",
    "input",
    "load",
    "lost",
)
OTHER = "other"
_FAMILIES: Final = (
    (INPUT, ("input",)),
    (QUEUE, ("queue", "backlog", "waiting")),
    (NETWORK, ("neighbour.", "network", "rtt", "link.")),
    (MEMORY, ("memory", "rss")),
    (TRUTH, ("accuracy", "error", "confidence", "agreement", "outputs")),
    (LOSS, ("failure", "availability", "answered", "drop")),
    (TIME, ("latency", "execution", "deadline_met", "duration")),
    (MACHINE, ("cpu", "gpu", "temperature", "disk", "load", "power", "frequency")),
)
"""By the beginning or a part of a metric's name, the first that fits."""
_FALLING: Final = (
    "accuracy",
    "confidence",
    "agreement",
    "availability",
    "answered",
    "deadline_met",
)
"""Metrics that are worse when they are lower."""
_EITHER: Final = (INPUT, LOAD, OTHER, MACHINE, NETWORK)
_LEAST: Final = {TRUTH: 0.02, LOSS: 0.02, TIME: 0.5, QUEUE: 1.0}
"""Noise that is assumed at least: shares, and ms."""
_BETTER, _HARDLY = 0.25, 0.3
Key = tuple[str, str, str]
"""Level (app, stage, service, instance, node or link), name, family."""


class Series(NamedTuple):
    """What identifies a series; `window` is the definition by which it is cut."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    metric: str
    window: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """How much a part has moved in a family, since when (ms), and what shows it best.

    `step` is the usual time between two of its windows, ms: nothing is known more exactly.
    """

    key: Key
    metric: str
    strength: float
    since: int
    before: float
    after: float
    step: int
    evidence: str = ""


def family_of(metric: str) -> str:
    """Return the family of a metric by its name."""
    for family, words in _FAMILIES:
        if any(word in metric for word in words):
            return family
    return LOAD if metric.endswith("rate") else OTHER


def place_of(series: Series) -> tuple[str, str]:
    """Return level and name of what a series is about, the narrowest first.

    What comes in is about the stage that takes it in, whoever measures it.
    """
    if series.stage and family_of(series.metric) == INPUT:
        return "stage", series.stage
    if series.instance:
        return "instance", series.instance
    if series.service:
        return "service", series.service
    if series.node:
        other = series.metric.removeprefix("neighbour.").rpartition(".")[0]
        if series.metric.startswith("neighbour.") and other:
            return "link", link_name(series.node, other)
        return "node", series.node
    return ("stage", series.stage) if series.stage else ("app", series.app)


def link_name(one: str, other: str) -> str:
    """Return the name of the way between two nodes, the same from both ends."""
    return " - ".join(sorted((one, other)))


def symptom_of(series: Series, past: Past, evidence: str, began: int) -> Symptom | None:
    """Return how a series shows in an incident noticed at `began`; None if that is unknown."""
    family = family_of(series.metric)
    shift = past.shift(began, _LEAST.get(family, 0.0))
    if shift is None:
        return None
    return Symptom(
        key=(*place_of(series), family),
        metric=series.metric,
        strength=shift.strength * (1.0 if _worse(series.metric, family, shift) else _BETTER),
        since=shift.since,
        before=shift.before,
        after=shift.after,
        step=past.step,
        evidence=evidence,
    )


def _worse(metric: str, family: str, shift: Shift) -> bool:
    if any(word in metric for word in _FALLING) and not metric.endswith("rate"):
        return shift.effect < 0.0
    return family in _EITHER or shift.effect > 0.0


def strongest(symptoms: Iterable[Symptom]) -> dict[Key, Symptom]:
    """Return the strongest symptom of each part and family, of equal ones the lesser and earlier.

    Where times of instances have moved by less than those of the one that moved most, they count
    for less: a cause moves further than what suffers from it, and a node slows all alike.
    """
    found: dict[Key, Symptom] = {}
    for one in symptoms:
        other = found.get(one.key)
        if other is None or _weight(one) > _weight(other):
            found[one.key] = one
    times = [key for key in found if key[0] == "instance" and key[2] == TIME]
    most = max((_moved(found[key]) for key in times if found[key].strength > 0.0), default=0.0)
    for key in times if most > 0.0 else ():
        one = found[key]
        far = _HARDLY + (1.0 - _HARDLY) * min(1.0, 2.0 * _moved(one) / most)
        found[key] = replace(one, strength=one.strength * far)
    return found


def _weight(one: Symptom) -> tuple[float, float, int]:
    return one.strength, -_moved(one), -one.since


def _moved(one: Symptom) -> float:
    """Return how far a symptom has moved, as a logarithm of its ratio; 1 where there is none."""
    if one.before <= 0.0 or one.after <= 0.0:
        return 1.0
    return abs(math.log(one.after / one.before))

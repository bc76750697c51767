"""Anomaly: spikes, shifts, a gap, a clock set back, policies, too many series, joint metrics."""

import random

from processors.anomalies.anomaly import AnomalyParams, spec
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns
from schemas.quality import SilenceDefined
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.contracts.making import START, columns, observation
from tests.contracts.scenarios.quality import silence

SPEC = spec(AnomalyParams(max_series=7, back=20, stale_ms=200_000, clear_windows=3))
BOUND = 8 * 4_500
SERVICES = ("a", "b", "c", "")


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offset, end = 5, 0
    for number in range(24):
        events = []
        for _ in range(25):
            end += 1_000
            back = 40_000 if 15 < number < 18 else 0
            events += [_one(dice, service, number, end - back) for service in SERVICES]
            if number % 5:
                depth = events[-1].mean + dice.gauss(0.0, 0.1) + (number == 14) * dice.random()
                events.append(observation(depth, end - back, metric="depth"))
        if number in (12, 20):
            events += [observation(1.0, end, service=f"s{n}", metric="load") for n in range(3)]
        end += 300_000 if number == 21 else 0
        now = START + end
        made.append(columns(events, now, _catalogue(number), offset))
        offset += len(events)
    return made


def _one(dice: random.Random, service: str, number: int, end: int):  # type: ignore[no-untyped-def]
    value = dice.gauss(10.0, 1.0) + (20.0 if service == "b" and number > 14 else 0.0)
    if number > 9 and dice.random() < 0.01:
        value += 40.0
    metric = "latency" if service != "c" else "queue"
    return observation(value, end, service=service, metric=metric)


def _catalogue(number: int) -> Catalogue:
    found = {"detect": policy("detect", "weir", weekly="1e6")}
    if number < 20:
        both = "detect/digits/latency+depth"
        found[both] = policy(both, "mahalanobis", weekly="1e6")
    if number > 18:
        found["detect/digits/queue"] = policy("detect/digits/queue", "off")
        found["detect/digits"] = policy("detect/digits", "unheard-of")
    quiet = silence(START + 150_000, START + 420_000)
    return Catalogue({PolicySelected: found, SilenceDefined: {"upkeep": quiet}})


def policy(scope: str, detector: str, weekly: str = "") -> PolicySelected:
    """Return a policy on the detectors of a scope."""
    given = (KeyValue(key="false_alarms_per_week", value=weekly),) if weekly else ()
    return PolicySelected(
        scope=scope,
        component="detect",
        algorithm=detector,
        parameters=given,
        selected_at=START,
        event_id=f"{scope} {detector}",
    )

"""Diagnose: a slow node, a violated clause, a drift, a lost instance; all well, the app goes."""

import random
from dataclasses import replace

from processors.diagnosing.diagnose import spec
from processors.diagnosing.spells import DiagnoseParams
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns, Record
from schemas.topics import topic_of
from tests.unit.placement import world
from tests.unit.processors import diagnosing_cases as cases

SPEC = spec(DiagnoseParams(settle_ms=1_500, revise_ms=2_000, clear_ms=3_000, max_series=16))
WINDOWS = 34


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offsets: dict[str, int] = {}
    for window in range(WINDOWS):
        now = cases.T0 + (window + 1) * 1_000 + dice.choice((50, 400))
        records = []
        for event in _events(dice, window):
            topic = topic_of(event)
            offsets[topic] = offsets.get(topic, 7) + 1
            records.append(Record(event, topic, 0, offsets[topic], now))
        made.append(Batch(tuple(records), now, _catalogue(window)))
    return made


def _events(dice: random.Random, window: int) -> list[Event]:
    slow = 3.0 if 18 <= window < 29 else 1.0
    events: list[Event] = [
        cases.seen("latency", window, dice.gauss(10, 0.3) * (slow if node == "n1" else 1), name)
        for name, node in cases.PLACES.items()
    ]
    events.append(cases.seen("response_latency", window, dice.gauss(30, 1) * (1 + slow) / 2))
    if dice.random() < 0.2:
        events.append(cases.seen(f"load{dice.randint(0, 5)}", window, dice.random()))
    if window == 19:
        events.append(cases.violation(window, "violated"))
    if window == 22:
        events.append(cases.verdict(window, "degraded"))
        events.append(replace(cases.verdict(window, "degraded"), silenced_by="night", rule="x"))
        events.append(cases.drift(window))
    if window == 30:
        events += [cases.violation(window, "cleared"), cases.verdict(window, "healthy")]
    return events


def _catalogue(window: int) -> Catalogue:
    """Return the world: an instance falls silent, a service changes, at last the app is gone."""
    now = cases.T0 + window * 1_000
    if window > 32:
        return Catalogue()
    there = cases.registered(now, silent=("b-1",) if window > 24 else ())
    if window > 16:
        there.append(cases.service("a", 2, cases.T0 + 16_000))
    return world.catalogue_of(there)

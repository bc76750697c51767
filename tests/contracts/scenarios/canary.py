"""Canary: rollouts that go well and badly, are refused, withdrawn and asked for again."""

import random

from placement.rollout.canary import CanaryParams, spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns, Record
from schemas.topics import topic_of
from tests.unit.placement import canary_cases as cases
from tests.unit.placement import world

SPEC = spec(CanaryParams(look_ms=700))


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    now, offset = 0, 10
    for number in range(40):
        now += dice.choice((300, 900, 1_700))
        events: list[Event] = []
        for node in dice.sample("abc", dice.randint(0, 3)):
            failed = 0.5 if number > 25 and node == "a" else 0.0
            events += cases.results(node, now, failed, count=dice.choice((40, 900)))
        records = []
        for event in events:
            records.append(Record(event, topic_of(event), 0, offset, cases.T0 + now))
            offset += 1
        made.append(Batch(tuple(records), cases.T0 + now, _catalogue(number)))
    return made


def _catalogue(number: int) -> Catalogue:
    """Return the world: a policy, none, one that is wrong, another one."""
    there: list[Event] = [cases.service(), cases.placed("211", 1 + number // 10, -60_000)]
    terms = {"settle_ms": "0", "min_samples": "50", "patience_ms": "9000"}
    if number < 15:
        there.append(cases.wanted(**terms))
    elif 18 <= number < 22:
        there.append(cases.wanted(first="much"))
    elif number >= 22:
        there.append(cases.wanted(first="0.5", **terms))
    return world.catalogue_of(there)

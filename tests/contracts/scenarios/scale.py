"""Scale: load that rises and falls, broken clauses, idle times, policies right and wrong."""

import dataclasses
import random

from placement.scaling.scaler import ScaleParams, spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.processing import Batch, Columns, Record
from schemas.topics import topic_of
from tests.unit.placement import scaling_cases as cases
from tests.unit.placement import world

SPEC = spec(ScaleParams(look_ms=700))
SERVICES = ("s", "t", "u")


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offsets: dict[str, int] = {}
    now = 0
    for number in range(40):
        now += dice.choice((200, 700, 1_000, 1_300))
        records = []
        for event in _events(dice, number, now):
            topic = topic_of(event)
            offsets[topic] = offsets.get(topic, 50) + 1
            records.append(Record(event, topic, 0, offsets[topic], cases.T0 + now))
        made.append(Batch(tuple(records), cases.T0 + now, _catalogue(number)))
    return made


def _events(dice: random.Random, number: int, now: int) -> list[Event]:
    if 15 <= number < 30:
        return []
    names = [f"{service}.{node}" for service in SERVICES for node in "ab"]
    found: list[Event] = [
        cases.busy(dice.choice((0.1, 0.5, 0.95)), now, name)
        for name in dice.sample(names, dice.randint(0, 4))
    ]
    if dice.random() < 0.5:
        found.append(cases.asked(now))
    if dice.random() < 0.2:
        status = dice.choice(("violated", "violated", "cleared"))
        found.append(cases.violated(now, dice.choice(SERVICES), status))
    return found


def _catalogue(number: int) -> Catalogue:
    """Return the world: `t` has no copies for a time, `u` is removed at last."""
    kept = SERVICES if number < 35 else SERVICES[:2]
    services = [
        world.service(s, app=cases.APP, min_replicas=0, max_replicas=6, idle_ms=4_000) for s in kept
    ]
    copies = {"s": 2, "t": 0 if 25 <= number < 32 else 1, "u": 3}
    placed = [
        dataclasses.replace(
            world.decided(s, "abcdef"[: copies[s]], generation=1 + (number >= 25)), app=cases.APP
        )
        for s in SERVICES
    ]
    parameters = {"scale__down_ms": "3000", "scale__up_ms": "soon" if number > 8 else "500"}
    policy = cases.policy(**parameters)
    return world.catalogue_of([*services, *placed, cases.selected(*SERVICES), policy])

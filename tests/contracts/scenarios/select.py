"""Select: a first selection, drifts, violations, trials; a contract changes, the app goes."""
# ruff: noqa: A005  (a scenario has the name of its processor)

import dataclasses
import random

from processors.selecting.parameters import SelectParams
from processors.selecting.selection import spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.partitioning import partition_of
from schemas.processing import Batch, Columns, Record
from schemas.registrations import Weight
from schemas.topics import PARTITIONS, key_of, topic_of
from tests.unit.processors import selecting_cases as cases

SPEC = spec(SelectParams(trial_min=30, trial_ms=4_000, cooldown_ms=5_000, explore_ms=2_000))
APP = next(f"digits{n}" for n in range(100) if partition_of(f"digits{n}", PARTITIONS) == 0)
START = cases.T0


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    made: list[Batch | Columns] = []
    offsets: dict[str, int] = {}
    catalogues = _catalogues()
    now = START
    for number in range(40):
        now += dice.choice((200, 700, 1_000, 1_300))
        events = _events(dice, number, now)
        records = []
        for event in events:
            topic = topic_of(event)
            offsets[topic] = offsets.get(topic, 50) + 1
            records.append(Record(event, topic, 0, offsets[topic], now))
        made.append(Batch(tuple(records), now, catalogues[(number >= 25) + (number >= 38)]))
    return made


def _events(dice: random.Random, number: int, now: int) -> list[Event]:
    shares = cases.CLEAN if number < 12 else cases.BLURRED
    start = now // 1000 * 1000 - 1000
    events: list[Event] = [cases.observation("response_latency", start, dice.uniform(5, 20))]
    for name in dice.sample(sorted(shares), dice.randint(2, 5)):
        right = shares[name] - dice.random() / 10
        events.append(cases.observation("accuracy", start, right, service=name))
        where = f"{name}.a"
        latency = dice.uniform(3, 30)
        events.append(cases.observation("latency", start, latency, service=name, instance=where))
        for metric in ("accuracy", "agreement"):
            under = f"{metric}.condition.light={dice.choice(('night', 'day'))}"
            events.append(cases.observation(under, start, right, service=name))
    if 12 <= number <= 30 and dice.random() < 0.3:
        events.append(cases.drift(dice.choice(["", *shares]), now - 1500))
    if number > 14 and dice.random() < 0.2:
        status = dice.choice(("violated", "violated", "cleared"))
        events.append(cases.violation(now - 4_000, status))
    return [_renamed(event) for event in events]


def _catalogues() -> list[Catalogue]:
    """Return the catalogue at first, with more contracts and an algorithm that explores, and bare.

    Then a consumer has a contract, and an ensemble, of its own.
    """
    services = [cases.service(name) for name in cases.DECLARED]
    entries: dict[type[Event], dict[str, Event]] = {}
    for event in (cases.application(), cases.contract(), *services):
        moved = _renamed(event)
        entries.setdefault(type(moved), {})[key_of(moved)] = moved
    night = Weight(objective="accuracy.condition.light=night", weight=0.5)
    wanted = (*cases.contract().weights, night)
    stricter = _renamed(cases.contract(threshold=0.6, weights=wanted))
    positions = {("weir.apps", 0): 3, ("weir.services", 0): 9}
    first = Catalogue(entries, positions)
    clinic = _renamed(
        dataclasses.replace(cases.contract(threshold=0.6), contract="clinic", consumer="clinic")
    )
    explore = dataclasses.replace(cases.policy("act"), algorithm="exp3")
    others: dict[type[Event], dict[str, Event]] = {
        type(stricter): {"desk": stricter, "clinic": clinic},
        type(explore): {"select": explore},
    }
    second = Catalogue(entries | others, positions)
    third = Catalogue({}, positions)
    return [first, second, third]


def _renamed(event: Event) -> Event:
    """Return the event for an application of partition 0."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}  # type: ignore[arg-type]  # every event is one
    return type(event)(**(fields | {"app": APP}))

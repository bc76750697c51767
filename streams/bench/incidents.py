"""Generated incidents on the example application: the events that a real system would make.

An incident is a fault (or two at a time) in a world of its own, with coincidences that look like
causes, false alarms, series that nobody reports, windows that get lost, and Weir's own reaction,
which is no cause. What is told follows from a small simulation: times in queues from how busy
instances are, wrong answers from stage to stage, round trips on the way between nodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.processing import Batch, Record
from schemas.topics import key_of, topic_of
from streams.bench.incident_faults import FAULTS, Fault, Step, Truth, coincidences, reaction
from streams.bench.incident_measures import Series, Tendencies, measure, observations
from streams.bench.incident_verdicts import Judges
from streams.bench.incident_world import (
    NODES,
    PARTITION,
    SERVICES,
    START,
    STEP_MS,
    World,
    heartbeat,
    node,
    placement,
    registrations,
    world_of,
)

MIXED = "mixed"
KINDS = (*FAULTS, MIXED)
WINDOWS = 145
_BEGINS = (85, 105)
_HIDDEN = 0.12
_NO_MEMORY = 0.4


@dataclass(frozen=True, slots=True)
class Incident:
    """The batches that a processor is given, the true causes, and when it was first noticed, ms.

    `noticed` is None when no verdict was raised by the end.
    """

    kind: str
    truths: tuple[Truth, ...]
    batches: tuple[Batch, ...]
    noticed: int | None


def incident(kind: str, seed: int, number: int) -> Incident:
    """Return one incident; the same seed and number give the same."""
    rng = np.random.default_rng([seed, number])
    world = world_of(rng)
    faults = _faults(kind, world, rng)
    begins = max(fault.begins for fault in faults)
    spared = {name for fault in faults for name in _touched(world, fault)}
    steps: list[tuple[int, Step]] = [(fault.begins, fault.step) for fault in faults]
    steps += coincidences(world, rng, begins, spared)
    batches, judges = _unfolded(world, steps, faults, rng)
    noticed = None if judges.first is None else START + (judges.first + 1) * STEP_MS
    return Incident(kind, tuple(fault.truth for fault in faults), tuple(batches), noticed)


def _faults(kind: str, world: World, rng: np.random.Generator) -> list[Fault]:
    """Draw the fault, or two of different kinds on different parts a few windows apart."""
    begins = int(rng.integers(*_BEGINS))
    if kind != MIXED:
        return [FAULTS[kind](world, rng, begins)]
    pair = rng.choice(list(FAULTS), 2, replace=False)
    first = FAULTS[str(pair[0])](world, rng, begins)
    while True:
        second = FAULTS[str(pair[1])](world, rng, begins + int(rng.integers(0, 7)))
        if not _touched(world, first) & _touched(world, second):
            return [first, second]


def _touched(world: World, fault: Fault) -> set[str]:
    """Return the parts that a fault is about: a node with its instances, their services."""
    kind, name = fault.truth
    if kind == "instance":
        return {name, world.service_of[name], world.node_of[name]}
    if kind == "node":
        return {name}
    return set(name.split(" - "))


def _unfolded(
    world: World,
    steps: Sequence[tuple[int, Step]],
    faults: Sequence[Fault],
    rng: np.random.Generator,
) -> tuple[list[Batch], Judges]:
    tends, judges = Tendencies.drawn(rng), Judges(rng)
    causes = _causes(faults, tends, rng)
    catalogue = Catalogue().apply(_updates(registrations()))
    catalogue = catalogue.apply(_updates(placement(world, name, START) for name in SERVICES))
    hidden: frozenset[Series] = frozenset()
    batches: list[Batch] = []
    offset, reacts = 0, int(rng.integers(3, 8))
    for window in range(WINDOWS):
        now = START + (window + 1) * STEP_MS + 400
        told = [e for at, step in steps if window >= at for e in step(window - at, now)]
        if judges.first is not None and window == judges.first + reacts:
            told += reaction(window, now)
        found = measure(world, tends, rng)
        if window == 0:
            hidden = _hidden(list(found.values), rng)
        told += [heartbeat(world, one, now) for one in world.node_of if one not in world.lost]
        told += [node(world, name, found.cpu[name], found.rtt, now) for name in NODES]
        catalogue = catalogue.apply(_updates(told))
        events: list[Event] = [*observations(found, world.load, window, hidden, rng)]
        events += judges.say(found, window, causes)
        records = [
            Record(event, topic_of(event), PARTITION, offset + at, now)
            for at, event in enumerate(events)
        ]
        offset += len(records)
        batches.append(Batch(tuple(records), now, catalogue))
    return batches, judges


def _updates(events: Iterable[Event]) -> list[Update]:
    """Return events as they stand on compacted topics; offsets count only within one call."""
    return [Update(topic_of(e), 0, at, key_of(e), e) for at, e in enumerate(events)]


def _hidden(series: Sequence[Series], rng: np.random.Generator) -> frozenset[Series]:
    """Draw the series that nobody reports; memory of instances is often among them."""
    without = {"memory"} if rng.random() < _NO_MEMORY else set()
    return frozenset(one for one in series if one[4] in without or rng.random() < _HIDDEN)


def _causes(faults: Sequence[Fault], tends: Tendencies, rng: np.random.Generator) -> dict[str, str]:
    """Return what a drift detector says of the cause, for the services where it can tell."""
    said = {}
    for fault in faults:
        kind, name = fault.truth
        for service, stage in SERVICES.items():
            if kind == "input" and stage.modality == name and tends.shown[name]:
                said[service] = "covariate" if rng.random() < 0.6 else ""
        if kind == "model" and rng.random() < 0.5:
            said[name] = "concept"
    return said

"""Generated incidents on the example application: the events that a real system would make.

An incident is a fault (or two at a time) in a world of its own, with coincidences that look like
causes, false alarms, series that nobody reports, windows that get lost, and Weir's own reaction,
which is no cause. What is told follows from a small simulation: times in queues from how busy
instances are, wrong answers from stage to stage, round trips on the way between nodes.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.processing import Batch, Record
from schemas.topics import key_of, topic_of
from streams.bench.incident_faults import FAULTS, Fault, Step, Truth, coincidences, reaction
from streams.bench.incident_measures import (
    Measured,
    Series,
    Tendencies,
    measure,
    observations,
)
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
_HIDDEN, _MUTE = 0.2, 0.15
_NO_MEMORY = 0.4


@dataclass(frozen=True, slots=True)
class Incident:
    """The batches that a processor is given, the true causes, and when they were noticed, ms.

    `noticed` is when every one of them had raised a verdict, None when one never did.
    """

    kind: str
    truths: tuple[Truth, ...]
    batches: tuple[Batch, ...]
    noticed: int | None


def incident(kind: str, seed: int, number: int, windows: int = WINDOWS) -> Incident:
    """Return one incident of so many windows; the same seed and number give the same."""
    rng = np.random.default_rng([seed, number])
    world = world_of(rng)
    faults = _faults(kind, world, rng)
    begins = max(fault.begins + fault.hidden for fault in faults)
    spared = {name for fault in faults for name in _touched(world, fault)}
    steps: list[tuple[int, Step]] = [(fault.begins, fault.step) for fault in faults]
    steps += coincidences(world, rng, begins, spared)
    batches, judges = _unfolded(world, steps, faults, windows, rng)
    found = [_noticed(world, fault, judges) for fault in faults]
    last = None if None in found else max(at for at in found if at is not None)
    noticed = None if last is None else START + (last + 1) * STEP_MS
    return Incident(kind, tuple(fault.truth for fault in faults), tuple(batches), noticed)


def _noticed(world: World, fault: Fault, judges: Judges) -> int | None:
    """Return the window of the first verdict on what a fault touches, or on the application."""
    touched = _touched(world, fault) | {""}
    if fault.truth[0] == "node":
        touched |= {world.service_of[o] for o, n in world.node_of.items() if n == fault.truth[1]}
    if fault.truth[0] == "input":
        touched |= {name for name, at in SERVICES.items() if at.modality == fault.truth[1]}
    felt = fault.begins + fault.hidden
    return next((at for at, service in judges.raised if at >= felt and service in touched), None)


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
    windows: int,
    rng: np.random.Generator,
) -> tuple[list[Batch], Judges]:
    tends, judges = Tendencies.drawn(rng), Judges(rng)
    begins = min(fault.begins for fault in faults)
    causes = _causes(faults, tends, rng)
    catalogue = Catalogue().apply(_updates(registrations()))
    catalogue = catalogue.apply(_updates(placement(world, name, START) for name in SERVICES))
    hidden: frozenset[Series] = frozenset()
    mute: set[str] = set()
    past: deque[dict[Series, float]] = deque(maxlen=tends.delay + 1)
    batches: list[Batch] = []
    offset, reacts = 0, int(rng.integers(3, 8))
    for window in range(windows):
        now = START + (window + 1) * STEP_MS + 400
        told = [e for at, step in steps if window >= at for e in step(window - at, now)]
        if any(at >= begins and window == at + reacts for at, _ in judges.raised[-1:]):
            told += reaction(window, now)
        found = measure(world, tends, rng)
        if window == 0:
            hidden = _hidden(list(found.values), rng)
            mute = {name for name in NODES if rng.random() < _MUTE}
        _late_labels(found, past)
        told += [heartbeat(world, one, now) for one in world.node_of if one not in world.lost]
        told += [node(world, n, found.cpu[n], found.rtt, now) for n in NODES if n not in mute]
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


def _late_labels(found: Measured, past: deque[dict[Series, float]]) -> None:
    """Replace what labels say of a window by what they say of the one that they are of."""
    past.append({key: value for key, value in found.values.items() if key[4] == "accuracy"})
    found.values |= past[0]


def _updates(events: Iterable[Event]) -> list[Update]:
    """Return events as they stand on compacted topics; offsets count only within one call."""
    return [Update(topic_of(e), 0, at, key_of(e), e) for at, e in enumerate(events)]


def _hidden(series: Sequence[Series], rng: np.random.Generator) -> frozenset[Series]:
    """Draw the series that nobody reports; memory of instances is often among them.

    What clauses judge is there, or they could not.
    """
    without = {"memory"} if rng.random() < _NO_MEMORY else set()
    drawn = frozenset(one for one in series if one[4] in without or rng.random() < _HIDDEN)
    return drawn - {("", "", "", "", metric) for metric in ("accuracy", "response_latency")}


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

"""How the law suite drives a processor: as a host would, with batches, timers and restarts.

A scenario is a module `tests/contracts/scenarios/<spec name>.py` with

    SPEC: Spec                                   what is tested
    batches(seed: int) -> list[Batch | Columns]  what one partition is fed, clocks rising
    BOUND: int = 65_536                          (optional) most bytes of a snapshot
    TAIL_MS: int = 20_000                        (optional) for how long timers go on afterwards

and every processor module (one that defines `spec`) needs one.
"""

import importlib
import itertools
import pkgutil
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from schemas.processing import Batch, Columns, Output, Rebuildable, Record, Spec

AnyBatch = Batch | Columns
FOLDER = Path(__file__).parent / "scenarios"
MOST_TIMERS = 10_000
NOTHING = 1 << 62


@dataclass(frozen=True)
class Scenario:
    """A processor and how to feed it."""

    name: str
    spec: Spec
    module: ModuleType
    bound: int
    tail_ms: int

    def batches(self, seed: int) -> list[AnyBatch]:
        """Return the batches of a seed."""
        made: list[AnyBatch] = self.module.batches(seed)
        return made


def scenarios() -> dict[str, Scenario]:
    """Return every scenario by the name of its processor."""
    found = {}
    for info in pkgutil.iter_modules([str(FOLDER)]):
        module = importlib.import_module(f"tests.contracts.scenarios.{info.name}")
        found[info.name] = Scenario(
            info.name,
            module.SPEC,
            module,
            getattr(module, "BOUND", 65_536),
            getattr(module, "TAIL_MS", 20_000),
        )
    return found


class Driver:
    """Feeds one instance, fires its timers when they are due, collects what it says."""

    def __init__(self, spec: Spec) -> None:
        self.processor: Any = spec.build(0)
        self.outputs: list[Output] = []
        self._fed: list[AnyBatch] = []

    def feed(self, batches: Sequence[AnyBatch]) -> None:
        """Process batches, each after the timers due before it."""
        for batch in batches:
            self.fire(batch.now_ms, batch)
            self.outputs.extend(self.processor.process(batch))
            self._fed.append(batch)

    def fire(self, until_ms: int, like: AnyBatch) -> None:
        """Fire the timers that are due by `until_ms`, each at its time or the last clock."""
        clock = self._fed[-1].now_ms if self._fed else 0
        for _ in range(MOST_TIMERS):
            wake = self.processor.wake_at()
            if wake is None or wake > until_ms or (wake <= 0 and not self._fed):
                return
            clock = max(clock, wake)
            self.outputs.extend(self.processor.process(timer(like, clock)))
            self._fed.append(timer(like, clock))
        raise AssertionError("the processor asks for timers without end")

    def finish(self, tail_ms: int) -> list[Output]:
        """Let timers run on, and return all outputs."""
        if self._fed:
            last = self._fed[-1]
            self.fire(last.now_ms + tail_ms, last)
        return self.outputs

    def restarted(self, spec: Spec) -> "Driver":
        """Return a fresh instance that took over state and log, as after a crash."""
        other = Driver(spec)
        other.processor.restore(self.processor.snapshot())
        if isinstance(self.processor, Rebuildable):
            needed = dict(self.processor.oldest_needed())
            for batch in _replayed(self._fed, needed):
                other.processor.rebuild(batch)
        other._fed = list(self._fed)
        other.outputs = list(self.outputs)
        return other


def _replayed(fed: Sequence[AnyBatch], needed: dict[tuple[str, int], int]) -> Iterator[AnyBatch]:
    """Yield what is read again, one partition after the other as a log gives it."""
    records: dict[tuple[str, int], list[Record]] = {}
    for batch in fed:
        if isinstance(batch, Columns):
            oldest = needed.get((batch.topic, batch.partition), NOTHING)
            yield replace(batch, frame=batch.frame.filter(pl.col("_offset") >= oldest))
            continue
        for record in batch.records:
            place = (record.topic, record.partition)
            if record.offset >= needed.get(place, NOTHING):
                records.setdefault(place, []).append(record)
    for group in records.values():
        yield Batch(tuple(group), fed[-1].now_ms, fed[-1].catalogue)


def timer(like: AnyBatch, now_ms: int) -> AnyBatch:
    """Return an empty batch of the same kind."""
    if isinstance(like, Columns):
        return replace(like, frame=like.frame.clear(), now_ms=now_ms)
    return replace(like, records=(), now_ms=now_ms)


def size(batch: AnyBatch) -> int:
    """Return how many events a batch holds."""
    return batch.frame.height if isinstance(batch, Columns) else len(batch.records)


def cut(batch: AnyBatch, places: Sequence[int]) -> list[AnyBatch]:
    """Return a batch in parts, cut before the given positions."""
    edges = [0, *sorted(set(places) - {0, size(batch)}), size(batch)]
    pairs = list(itertools.pairwise(edges)) if size(batch) else []
    if isinstance(batch, Columns):
        return [replace(batch, frame=batch.frame[a:b]) for a, b in pairs] or [batch]
    return [replace(batch, records=batch.records[a:b]) for a, b in pairs] or [batch]


def split(batches: Sequence[AnyBatch], seed: int, most: int = 4) -> list[AnyBatch]:
    """Return the same events in more batches, each cut at up to `most` random places."""
    dice = random.Random(seed)
    parts: list[AnyBatch] = []
    for batch in batches:
        places = [dice.randint(0, size(batch)) for _ in range(dice.randint(0, most))]
        parts.extend(cut(batch, places))
    return parts


def run(scenario: Scenario, batches: Sequence[AnyBatch]) -> list[Output]:
    """Return what a fresh instance says to batches and the timers after them."""
    driver = Driver(scenario.spec)
    driver.feed(batches)
    return driver.finish(scenario.tail_ms)

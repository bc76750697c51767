"""Nothing is lost and nothing counted twice, whatever fails: the ledger, on real stacks.

What needs a stack is marked `faults`. FAULTS_SEED and FAULTS_TIMES choose the moments and how
often each fault comes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from streams.bench import faulting, faults_processes, faults_traffic
from streams.bench.faulting import NOTHING, FaultRow, run_faults, settle, trial
from streams.bench.faults import FAULTS, ONE, Fault
from streams.bench.faults_world import Where, World, opened
from streams.bench.ledger import Found, Ledger, Metric, audit
from streams.bench.ledger_app import WINDOW_MS
from streams.bench.ledger_feed import Feed, Rates
from streams.embedded.stack import App
from streams.errors import SettingsError
from tests.broker.cluster import kafka_or_skip

SEED = int(os.environ.get("FAULTS_SEED", time.time_ns() // 1_000_000 % 1_000_000))
TIMES = int(os.environ.get("FAULTS_TIMES", "2"))
RECOVERY_S = 15.0
"""On a machine that has nothing else to do."""
STREAMS = ("kill-data", "kill-route", "kill-control", "kill-sink")
MATRIX = [
    pytest.param((where, fault.more), fault, id=f"{where.name.lower()}-{fault.name}")
    for where in Where
    for fault in FAULTS
    if where in fault.where
]


@contextmanager
def world_of(where: Where, more: tuple[App, ...], folder: Path) -> Iterator[World]:
    if where is not Where.EMBEDDED:
        kafka_or_skip(folder)
    with opened(where, folder, SEED, print, more) as made:
        yield made


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Return one stack for all faults on the same Kafka that need the same processes."""
    print(f"FAULTS_SEED={SEED}")
    where, more = request.param
    with world_of(where, more, tmp_path_factory.mktemp(where.name.lower())) as made:
        yield made


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("world", "fault"), MATRIX, indirect=["world"], scope="module")
def test_nothing_is_lost_and_nothing_counted_twice(world: World, fault: Fault) -> None:
    row = trial(world, fault, TIMES)
    print(fault.name, row.told)
    assert (row.lost, row.doubled) == (0, 0), row.told
    assert row.events > 0
    if fault.name in STREAMS:
        busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert max(row.recovery_s) <= RECOVERY_S * busy, row.told


def poisoned_and_killed(world: World, feed: Feed) -> None:
    faults_traffic.poison(world, feed)
    faults_processes.kill("data", world, feed)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_kill_amid_poison_costs_nothing(tmp_path: Path) -> None:
    fault = Fault("poisoned and killed", "", ONE, poisoned_and_killed)
    with opened(Where.EMBEDDED, tmp_path, SEED, print) as made:
        row = trial(made, fault, 1, Rates(metrics=200.0))
    assert (row.lost, row.doubled) == (0, 0), row.told
    assert row.record()["recovery_s"]["max"] == round(row.recovery_s[0], 2)


def test_a_fault_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no fault flood; known: broker-lost"):
        list(run_faults("embedded", tmp_path, seed=1, names=["flood"]))


def test_a_row_tells_the_median_and_the_longest_recovery() -> None:
    row = FaultRow("f", 3, 100, 0, 1, (1.0, 9.0, 2.0), "", {})
    assert row.record() == {
        "fault": "f",
        "times": 3,
        "events": 100,
        "lost": 0,
        "doubled": 1,
        "recovery_s": {"p50": 2.0, "max": 9.0},
    }


class Slow:
    """A stack whose books show one more metric a round, or no more; also its books and its feed."""

    exact, page = False, "page"

    def __init__(self, shown: int, per_round: int) -> None:
        self.books, self.awaited = self, 0
        self.ledger = Ledger(size_ms=1_000)
        for number in range(30):
            self.ledger.metrics[f"m{number}"] = Metric("a", 5)
            self.ledger.acknowledged[f"m{number}"] = ("weir.metrics", 0, number)
        self._shown, self._per_round = shown, per_round

    def found(self, *_: object) -> Found:
        shown = dict.fromkeys(list(self.ledger.metrics)[: self._shown], 1)
        return replace(NOTHING, metrics=shown, windows={("a", 0): self._shown})

    def round(self) -> None:
        self._shown += self._per_round

    def await_windows(self, since_ms: int) -> None:
        assert since_ms % WINDOW_MS == 0
        self.awaited += 1


@pytest.mark.parametrize(
    ("per_round", "lost", "rounds"), [(1, 0, 24), (0, 25, 11)], ids=["slow", "stuck"]
)
def test_what_becomes_less_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, per_round: int, lost: int, rounds: int
) -> None:
    monkeypatch.setattr(faulting, "ROUND_S", 0.0)
    monkeypatch.setattr(faulting, "STEADY_S", 0.0)
    world = Slow(5, per_round)
    verdict = settle(world, world)  # type: ignore[arg-type] # a fake
    assert (verdict.lost, world.awaited) == (lost, rounds)


def test_what_cannot_be_looked_for_counts_as_lost() -> None:
    ledger = Ledger(size_ms=1_000, metrics={"m": Metric("a", 5)}, requests={"r"})
    ledger.acknowledged = {"m": ("weir.metrics", 0, 1), "r": ("weir.requests", 0, 1)}
    verdict = audit(ledger, NOTHING)
    assert (verdict.events, verdict.doubled) == (2, 0)
    assert verdict.lost >= 2
    row = FaultRow("f", 1, verdict.events, verdict.lost, 0, (), "", {}, failed=True)
    assert row.record()["recovery_s"] == {"p50": None, "max": None}

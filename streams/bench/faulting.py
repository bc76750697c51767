"""Inflicts faults on a running stack while the ledger is kept, and tells what each one cost.

Each fault has a page of the ledger: messages are sent at a steady rate, the fault comes at random
moments, as often as asked, each time when everything works again; then what SQL shows is held
against what the broker acknowledged. The moments come from a seed.
"""

import itertools
import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from streams.bench.faults import FAULTS, Fault
from streams.bench.faults_world import SURGE_S, Say, Where, World, opened
from streams.bench.ledger import Found, Verdict, audit
from streams.bench.ledger_app import WINDOW_MS
from streams.bench.ledger_feed import Feed, Rates
from streams.errors import SettingsError, StreamsError
from workers.clock import wall_ms
from workers.errors import ClickHouseUnavailable, WorkerError

FIRST_S, LAST_S = 0.2, 1.8
"""Between so many seconds after all works again the next fault comes."""
ROUNDS, ROUND_S = 10, 6.0
STEADY_S = 1.5
NOTHING = Found(metrics={}, responses={}, latencies={}, windows={}, late={}, letters={})
"""What SQL shows where it cannot be asked."""
TITLES = ("fault", "times", "events", "lost", "doubled", "recovery_s")


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What one fault cost, inflicted so many times: a row of the table.

    `recovery_s` has a number of seconds for each time: from the end of the fault, which for a
    kill is the kill, until every path carried what was sent after it.
    """

    fault: str
    times: int
    events: int
    lost: int
    doubled: int
    recovery_s: tuple[float, ...]
    told: str
    statuses: dict[str, int]
    failed: bool = False
    """What could not be looked for counts as lost: after this nothing worked any more."""

    @property
    def recovery(self) -> dict[str, float | None]:
        """The median and the longest recovery, s; None where there was none."""
        if not self.recovery_s:
            return {"p50": None, "max": None}
        return {
            "p50": round(median(self.recovery_s), 2),
            "max": round(max(self.recovery_s), 2),
        }

    def record(self) -> dict[str, Any]:
        """Return the row as it stands in the JSON of `weir bench`."""
        values = (self.fault, self.times, self.events, self.lost, self.doubled, self.recovery)
        return dict(zip(TITLES, values, strict=True))


def run_faults(
    kind: str,
    folder: Path,
    *,
    seed: int,
    times: int = 3,
    names: Collection[str] | None = None,
    surge_s: float = SURGE_S,
    say: Say = lambda _: None,
) -> Iterator[FaultRow]:
    """Inflict the faults that apply to a `kind` of broker ("kafka", "embedded"), or those named.

    A row is yielded as soon as it is known. Each stack is started in a folder of its own below
    `folder`; after a fault that it did not recover from, the others get a new one. Raises
    SettingsError for an unknown name, StackError, and NotRecovered for a stack that does not work
    before any fault.
    """
    done = 0
    for where in Where:
        if (where is Where.EMBEDDED) != (kind == "embedded"):
            continue
        left = _chosen(where, names)
        while left:
            home, more = folder / f"{where.name.lower()}-{done}", left[0].more
            with opened(where, home, seed, say, more) as world:
                world.surge_s = surge_s
                for row in _until_one_fails(world, _first_alike(left), times, say):
                    done, left = done + 1, left[1:]
                    yield row


def _first_alike(faults: Sequence[Fault]) -> list[Fault]:
    """Return the first faults that need the same processes."""
    return list(itertools.takewhile(lambda fault: fault.more == faults[0].more, faults))


def _until_one_fails(
    world: World, faults: Iterable[Fault], times: int, say: Say
) -> Iterator[FaultRow]:
    for fault in faults:
        say(f"{fault.name}: {fault.says}")
        row = trial(world, fault, times)
        say(f"{fault.name}: {row.told}")
        yield row
        if row.failed:
            return


def _chosen(where: Where, names: Collection[str] | None) -> list[Fault]:
    known = {fault.name for fault in FAULTS}
    if names is not None and (unknown := set(names) - known):
        raise SettingsError(
            f"no fault {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    return [f for f in FAULTS if where in f.where and (names is None or f.name in names)]


def trial(world: World, fault: Fault, times: int, rates: Rates | None = None) -> FaultRow:
    """Inflict a fault so many times on a page of its own, and return what it cost.

    Where something does not work again within 10 min, or SQL cannot be read, the row says so.
    """
    page = f"{fault.name}-{wall_ms()}"
    feed = world.open_page(page, rates or fault.rates)
    times = min(times, fault.most)
    recovered: list[float] = []
    statuses: dict[str, int] = {}
    failure = ""
    try:
        for _ in range(times):
            time.sleep(world.random.uniform(FIRST_S, LAST_S))
            fault.inflict(world, feed)
            recovered.append(world.recovery_s(wall_ms()))
        feed.stop()
        verdict = settle(world, feed)
        statuses = world.books.statuses(page)
    except (StreamsError, WorkerError) as error:
        feed.stop()
        verdict = audit(feed.ledger, NOTHING)
        failure = f"FAILED, all of it counts as lost: {error}; "
    seconds = ", ".join(f"{each:.1f}" for each in recovered)
    return FaultRow(
        fault=fault.name,
        times=times,
        events=verdict.events,
        lost=verdict.lost,
        doubled=verdict.doubled,
        recovery_s=tuple(recovered),
        told=f"{failure}{verdict}; recovered after {seconds or 'no'} s; answers {statuses}",
        statuses=statuses,
        failed=bool(failure),
    )


def settle(world: World, feed: Feed) -> Verdict:
    """Return what a page cost, once everything that was sent had its time to arrive.

    What is missing is waited for as long as it becomes less, and ten rounds more, each of which
    waits until SQL shows windows of its own metrics; then, and when nothing is missing, a moment
    more, in which something doubled would show. Raises NotRecovered.
    """
    fewest, idle = math.inf, 0
    while idle < ROUNDS and fewest > 0:
        began = wall_ms()
        feed.round()
        missing = _missing(world, feed)
        if missing:
            world.await_windows(began // WINDOW_MS * WINDOW_MS)
        idle = 0 if missing < fewest else idle + 1
        fewest = min(fewest, missing)
    time.sleep(STEADY_S)
    return _audited(world, feed)


def _missing(world: World, feed: Feed) -> int:
    """Return how much is missing after a round, or as soon as nothing is."""
    patience = time.monotonic() + ROUND_S
    while (missing := _audited(world, feed).lost) and time.monotonic() < patience:
        time.sleep(0.25)
    return missing


def _audited(world: World, feed: Feed) -> Verdict:
    repeated = world.paths.repeated() if world.exact else {}
    while True:
        try:
            return audit(feed.ledger, world.books.found(feed.page, repeated))
        except ClickHouseUnavailable:
            world.stack.check()
            time.sleep(0.25)

"""What probes and agents cost, and what sampling does, on a broker and registry of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from schemas.topics import TOPICS
from streams.bench import agent_enqueue, agent_sampling
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from streams.errors import StreamsError
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import RegistrySettings, Settings

CHILD = "streams.bench.agent_child"
PROBE_RATES = (10, 100, 1_000, 10_000)
AGENT_PERIODS = (10.0, 1.0, 0.2)
SAMPLING_RATES = (0.5, 0.1, 0.05, 0.01)
WINDOW, TRIES = 10_000, 100
Say = Callable[[str], None]


class Extent(NamedTuple):
    """How long (s) a process is watched, what share of calls is timed, which rates and periods."""

    seconds: float = 15.0
    share: float = 1.0
    rates: tuple[int, ...] = PROBE_RATES
    periods: tuple[float, ...] = AGENT_PERIODS


QUICK = Extent(3.0, 0.25, (100, 10_000), (1.0,))


class Unmeasured(StreamsError):
    """A process that was to be measured failed; the message says which."""


def measure(settings: Settings, home: Path, extent: Extent, seed: int, say: Say) -> dict[str, Any]:
    """Return `enqueue`, `probe`, `agent` and `sampling`.

    CPU is in % of a core and, for probes, in µs an event beyond what the same loop costs without
    a probe; bytes are what was sent to brokers, compressed. Raises Unmeasured.
    """
    say("errors of sampling")
    sampling = agent_sampling.errors(SAMPLING_RATES, WINDOW, TRIES, seed)
    with _bed(settings, home) as bed:
        say("how long a caller is held up")
        enqueue = agent_enqueue.measure(bed, extent.share)
        seconds = extent.seconds
        probes = [_probe(bed, home, rate, seconds, say) for rate in extent.rates]
        agents = [_agent(bed, home, "agent", every, seconds, say) for every in extent.periods]
        alone = _agent(bed, home, "alone", 1.0, seconds, say)
    return {"enqueue": enqueue, "probe": probes, "agent": [*agents, alone], "sampling": sampling}


@contextmanager
def _bed(settings: Settings, home: Path) -> Iterator[Settings]:
    """Yield the settings of a broker and a registry that live while the block runs."""
    with Broker(home / "broker.log") as broker:
        port = free_port()
        reached = settings.kafka.model_copy(update={"bootstrap": broker.bootstrap})
        log = home / "registry.log"
        command = [sys.executable, "-m", "streams.embedded.registry", "--port", str(port)]
        process = launch(command, log, {"WEIR_KAFKA__BOOTSTRAP": broker.bootstrap})
        try:
            wait_until(lambda: listens(port), process, "the registry", log, 30)
            kafka.create_topics(reached, TOPICS.values())
            at = RegistrySettings(url=f"http://127.0.0.1:{port}")
            registry = Registry(at)
            registry.register_all()
            registry.close()
            yield settings.model_copy(update={"kafka": reached, "registry": at})
        finally:
            stop(process, grace_s=5)


def _probe(bed: Settings, home: Path, rate: int, seconds: float, say: Say) -> dict[str, Any]:
    say(f"a probe at {rate:,} measurements a second")
    with_it = _child(bed, home, "probe", rate, seconds)
    without = _child(bed, home, "none", rate, seconds)
    extra = with_it["cpu_s"] - without["cpu_s"]
    return _row(with_it) | {
        "wanted_per_s": rate,
        "cpu_us_per_event": round(1e6 * extra / max(1, with_it["events"]), 1),
        "dropped": with_it["dropped"],
    }


def _agent(
    bed: Settings, home: Path, kind: str, every: float, seconds: float, say: Say
) -> dict[str, Any]:
    alone = kind == "alone"
    say(f"an agent that reads every {every:g} s{', alone' if alone else ''}")
    found = _child(bed, home, kind, every, max(seconds, 3 * every))
    return _row(found) | {"every_s": every, "follows_catalogue": not alone}


def _row(found: dict[str, Any]) -> dict[str, Any]:
    seconds = found["seconds"]
    return {
        "events_per_s": round(found["events"] / seconds, 1),
        "bytes_per_s": round(found["bytes"] / seconds),
        "bytes_per_event": round(found["bytes"] / max(1, found["events"]), 1),
        "cpu_percent": round(100 * found["cpu_s"] / seconds, 2),
        "memory_mib": found["memory_mib"],
    }


def _child(bed: Settings, home: Path, kind: str, pace: float, seconds: float) -> dict[str, Any]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{kind}-{pace:g}.log").open("wb") as log:
        run = subprocess.run(
            [sys.executable, "-m", CHILD, kind, str(pace), str(seconds)],
            env=_environment(bed),
            stdout=subprocess.PIPE,
            stderr=log,
            timeout=seconds + 120,
            check=False,
        )
    if run.returncode:
        raise Unmeasured(f"{kind} at {pace:g} ended with {run.returncode}: see {log.name}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def _environment(bed: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    return kept | bed.environment()


def lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what was found as rows for people: a name, and its figures in one line."""
    for name, case in found["enqueue"].items():
        told = f"p50 {case['p50_us']}, p99 {case['p99_us']}, p99.9 {case['p999_us']}"
        yield f"report(), µs: {name}", f"{told}, most {case['max_us']}"
    for row in found["probe"]:
        name = f"probe, {row['wanted_per_s']:,} a second"
        yield name, f"{row['cpu_us_per_event']} µs an event, {_common(row)}"
    for row in found["agent"]:
        name = f"agent, every {row['every_s']:g} s" + (
            "" if row["follows_catalogue"] else ", alone"
        )
        yield name, f"{row['events_per_s']} events/s, {_common(row)}"
    for row in found["sampling"]:
        names = ("count", "count_expected", "sum", "sum_by_seen", "mean", "p50", "p95", "p99")
        told = ", ".join(f"{name} {row[name]}" for name in names)
        yield f"sampled at {row['rate']:g}, {row['window']:,} a window, error in %", told


def _common(row: dict[str, Any]) -> str:
    return (
        f"{row['cpu_percent']} % of a core, {row['bytes_per_s']:,} B/s "
        f"({row['bytes_per_event']} an event), {row['memory_mib']} MiB"
    )

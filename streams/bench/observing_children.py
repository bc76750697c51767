"""The processes that `weir bench observe` measures, one after the other, on one bed."""

import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas import files
from streams.bench.observing_bed import TOPIC, Bed
from streams.bench.observing_load import SECOND_MS
from streams.embedded.processes import POLL_S, launch, stop, tail
from streams.errors import StreamsError

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "raw": "raw_reader.py",
    "bytewax": "bytewax_fold.py",
    "quix": "quix_tumbling.py",
    "faust": "faust_tumbling.py",
}
LIMIT_S = 900.0
GRACE_S = 10.0


class NotMeasured(StreamsError):
    """A system could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Took:
    """One run: events, seconds of wall and CPU, versions, and what else it told.

    `wrong` says how the windows failed to add up to the events; empty when they did.
    """

    events: int
    wall_s: float
    cpu_s: float
    versions: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    wrong: str = ""
    windows: int = 0

    @property
    def per_s(self) -> float:
        """Events a second of the wall's clock."""
        return self.events / self.wall_s

    @property
    def per_cpu_s(self) -> float:
        """Events a second of CPU time."""
        return self.events / self.cpu_s


def observe(
    bed: Bed, *, size_ms: int = SECOND_MS, closing: bool = True, profile: bool = False
) -> Took:
    """Let Weir observe everything, from the start; count what its observations count.

    Without `closing` it ends with its windows open and nothing is counted. Raises NotMeasured.
    """
    bed.forget()
    bed.define(size_ms)
    since = bed.marks()
    arguments = [str(bed.load.events), str(int(closing)), str(int(profile))]
    argv = [sys.executable, "-m", "streams.bench.observing_weir", *arguments]
    told = _run("weir", argv, bed, bed.settings.environment() | {"WEIR_LOG_LEVEL": "WARNING"})
    wrong, windows = "", 0
    if closing:
        counted, windows = bed.counted(since)
        wrong = _difference(counted, bed.load.events)
    return _took(told, wrong, windows)


def peer(name: str, python: Path, bed: Bed, events: int, size_ms: int = SECOND_MS) -> Took:
    """Let a peer read the first so many events, rounded down to whole ticks. Raises NotMeasured."""
    ticks = max(1, events // bed.load.series)
    count = ticks * bed.load.series
    folder = bed.folder / f"{name}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    task = {
        "bootstrap": bed.settings.kafka.bootstrap,
        "topic": TOPIC,
        "group": folder.name,
        "events": count,
        "shares": bed.load.first(ticks),
        "size_ms": size_ms,
        "schema": files.schema("MetricReport"),
        "folder": str(folder),
    }
    argv = [str(python), "-s", str(PEERS / PROGRAMS[name]), json.dumps(task)]
    told = _run(name, argv, bed, {"PYTHONPATH": "", "PYTHONWARNINGS": "ignore"})
    due = count
    if "positions" in told:
        positions = {int(place): at for place, at in told["positions"].items()}
        due = bed.load.closed(positions, size_ms)
    return _took(told, _difference(told["counted"], due), told.get("windows", 0))


def _run(name: str, argv: list[str], bed: Bed, environment: dict[str, str]) -> dict[str, Any]:
    """Run a program to its end and return the last line that it printed, as JSON."""
    log = bed.folder / "logs" / f"{name}-{uuid.uuid4().hex[:8]}.log"
    process = launch(argv, log, environment)
    until = time.monotonic() + LIMIT_S
    try:
        while process.poll() is None:
            if time.monotonic() > until:
                raise NotMeasured(f"{name} was not done within {LIMIT_S:.0f} s: {tail(log)}")
            time.sleep(POLL_S)
    finally:
        stop(process, GRACE_S)
    if process.returncode != 0:
        raise NotMeasured(f"{name} ended with code {process.returncode}: {tail(log)}")
    lines = [line for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
    if not lines:
        raise NotMeasured(f"{name} told nothing: {tail(log)}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _took(told: dict[str, Any], wrong: str, windows: int) -> Took:
    return Took(
        events=told["events"],
        wall_s=told["wall_s"],
        cpu_s=told["cpu_s"],
        versions=told["versions"],
        told=told,
        wrong=wrong,
        windows=windows,
    )


def _difference(counted: int, due: int) -> str:
    if counted == due:
        return ""
    return f"its windows count {counted:,} events, not {due:,}"

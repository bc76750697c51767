"""Faults of processes: killed, stopped and continued, out of disk, with a clock that jumps."""

import re
import time
from functools import partial
from pathlib import Path

import psutil

from streams.bench.faults_world import NotRecovered, World
from streams.bench.ledger_feed import Feed
from streams.embedded.stack import DATA

AWAY_S = 5.0
CLOCK_S = 3.0
FENCED_S = 300.0
SHIFTS_MS = (3_600_000, -3_600_000, 90_000, -90_000)
"""By how much clocks jump, ahead and behind: an hour, a minute and a half."""
_RESTORED = re.compile(rb"host\.restored")


def kill(name: str, world: World, _: Feed) -> None:
    """End a process by SIGKILL; the stack starts it again."""
    process = world.process(name)
    process.kill()


def away(name: str, world: World, _: Feed) -> None:
    """Stop a process for 5 s: it accepts connections and answers nobody."""
    process = world.process(name)
    process.suspend()
    time.sleep(AWAY_S)
    if not _is_gone(process):
        process.resume()


def disk_full(world: World, _: Feed) -> None:
    """Let ClickHouse write nothing for 5 s, as on a full disk."""
    process = world.process("clickhouse")
    usual = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, usual[1]))
    time.sleep(AWAY_S)
    if process.is_running():
        process.rlimit(psutil.RLIMIT_FSIZE, usual)


def clock(world: World, _: Feed) -> None:
    """Move the clock of every process of the stack by an hour or so for 3 s, then back."""
    world.clock_file.write_text(str(world.random.choice(SHIFTS_MS)), "utf-8")
    time.sleep(CLOCK_S)
    world.clock_file.unlink()


def zombie(world: World, _: Feed) -> None:
    """Stop the data process, let a successor with its transactional ids take over, continue it.

    It must be fenced: whoever comes back must not go on with what is another's by now. Raises
    NotRecovered when it is not within 5 min.
    """
    stopped = world.process("data")
    stopped.suspend()
    try:
        name = f"successor-{stopped.pid}"
        with world.member(name, DATA.arguments[1:], world.settings.host.slot):
            log = world.settings.data_dir / "logs" / f"{name}.log"
            _await(partial(_has_taken_over, log), "the successor did not take over")
            if not _is_gone(stopped):
                stopped.resume()
            _await(partial(_is_gone, stopped), "the process that came back was not fenced")
    finally:
        if not _is_gone(stopped):
            stopped.resume()


def _has_taken_over(log: Path) -> bool:
    """Tell whether every processor of a successor has restored what it now owns."""
    return len(_RESTORED.findall(log.read_bytes())) >= len(DATA.arguments) - 1


def _is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also when it does so between two looks."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _await(condition: partial[bool], complaint: str) -> None:
    deadline = time.monotonic() + FENCED_S
    while not condition():
        if time.monotonic() > deadline:
            raise NotRecovered(complaint)
        time.sleep(0.1)

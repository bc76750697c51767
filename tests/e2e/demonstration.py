"""The demonstration in a process of its own, for the tests that watch it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

LINES = 40
"""Of every log so many of the last lines are shown with a failure."""
WEIR = [sys.executable, "-m", "streams.cli"]


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the demonstration in a folder of its own; afterwards nothing of it may be left."""
    command = [*WEIR, "demo", "--json", "--data-dir", str(folder), *arguments]
    log = folder / "stderr.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    family: set[psutil.Process] = set()
    try:
        yield process
        if process.poll() is None:
            family = set(psutil.Process(process.pid).children(recursive=True))
    finally:
        if process.poll() is None and "--keep" in arguments:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        for each in (log, *sorted((folder / "logs").glob("*.log"))):
            last = each.read_text(errors="replace").splitlines()[-LINES:]
            print(f"--- {each.name}", *last, sep="\n", file=sys.stderr)
    assert process.returncode == 0
    assert [child for child in family if child.is_running()] == []


def summary_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the summary as soon as it is printed."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip() == "}":
            summary: dict[str, Any] = json.loads("".join(lines))
            print(json.dumps(summary), file=sys.stderr)
            return summary
    raise AssertionError("the demonstration ended without a summary:\n" + "".join(lines))


def sql(folder: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows that `weir sql` prints for the stack that runs in the folder."""
    environment = os.environ | {"WEIR_DATA_DIR": str(folder)}
    asked = [*WEIR, "sql", "--json", query]
    done = subprocess.run(
        asked, check=False, capture_output=True, text=True, env=environment, timeout=30
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows

"""The processes that make load, as the benchmark holds them: told by stdin, heard by stdout."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from streams.errors import StreamsError
from workers.settings import Settings

END_S = 45.0


class SourceFailed(StreamsError):
    """A load generator ended unasked, or what it sent was not taken."""


class Process:
    """A load generator; a context manager. It ends with its stdin, so never later than we do."""

    def __init__(self, settings: Settings, module: str, arguments: Sequence[str] = ()) -> None:
        self._environment = settings.environment() | {"WEIR_LOG_LEVEL": "ERROR"}
        self._command = [sys.executable, "-m", module, *arguments]
        self._name = module.rpartition(".")[2]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | self._environment,
        )
        self._stdin: Any = self._process.stdin
        self._stdout: Any = self._process.stdout
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def tell(self, line: str) -> None:
        """Write a line to it. Raises SourceFailed when it has ended."""
        try:
            self._stdin.write(line + "\n")
            self._stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise SourceFailed(f"{self._name} ended unasked, its errors stand above") from error

    def hear(self) -> dict[str, Any]:
        """Return the next line that it says. Raises SourceFailed when there is none."""
        line = self._stdout.readline()
        if not line:
            raise SourceFailed(f"{self._name} ended unasked, its errors stand above")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> int:
        """Close its stdin, wait for its end, and return its exit code; can be called again."""
        if not self._stdin.closed:
            self._stdin.close()
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Metrics:
    """Metrics at a rate; `sent` is the last count that was told. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._process = Process(settings, "streams.bench.metric_source")
        self._ended = threading.Event()
        self._failures: list[str] = []
        self.sent = 0

    def __enter__(self) -> Self:
        self._process.__enter__()
        self._thread = threading.Thread(target=self._follow, name="metrics", daemon=True)
        self._process.hear()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended.is_set():
            self._process.end()
            self._thread.join(END_S)

    def rate(self, per_s: float) -> None:
        """Send so many a second from now on."""
        self._process.tell(f"{per_s:.3f}")

    def finish(self) -> int:
        """End, and return how many events the broker has acknowledged in all.

        Raises SourceFailed when it did not take everything.
        """
        code = self._process.end()
        self._thread.join(END_S)
        if code != 0:
            raise SourceFailed(f"Kafka did not take all metrics: {self._failures or code}")
        return self.sent

    def check(self) -> None:
        """Raise SourceFailed when the process has ended, or a metric could not be delivered."""
        if self._failures:
            raise SourceFailed(f"Kafka did not take all metrics: {self._failures[0]}")
        if self._ended.is_set():
            raise SourceFailed("the metric generator ended unasked, its errors stand above")

    def _follow(self) -> None:
        try:
            while True:
                line = self._process.hear()
                self.sent, self._failures = int(line["sent"]), line["failures"]
        except SourceFailed:
            self._ended.set()


class Requests:
    """Requests to one application, in runs. A context manager, ready when entered."""

    def __init__(self, settings: Settings, app: str) -> None:
        self._process = Process(settings, "streams.bench.request_source", [app])
        self.sent = 0

    def __enter__(self) -> Self:
        self._process.__enter__()
        self._process.hear()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def run(self, rate: float, seconds: float, seed: int) -> dict[str, Any]:
        """Send at a rate for some seconds; return `latencies` (ms or None) and `statuses`."""
        wanted = {"rate": rate, "seconds": seconds, "seed": seed}
        self._process.tell(json.dumps(wanted))
        found = self._process.hear()
        self.sent += len(found["latencies"])
        return found

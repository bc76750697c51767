"""What the peers share: what they are asked, the time they take, and what they tell.

These programs are run by an interpreter of their own, where Weir is not installed. Each takes one
argument, JSON, and prints one line of JSON at its end.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader

HEADER = 5
"""Bytes in front of a payload: a magic byte and the schema's id, as Confluent frames them."""
FETCHING: Mapping[str, Any] = {"fetch.queue.backoff.ms": 50}
"""For librdkafka, as Weir sets it: by default a reader that was slow once waits for a second."""


@dataclass(frozen=True)
class Task:
    """Where to read, how many events in all and of each partition, and the window in ms."""

    bootstrap: str
    topic: str
    group: str
    events: int
    shares: Mapping[int, int]
    size_ms: int
    schema: Mapping[str, Any]
    folder: str


def task() -> Task:
    """Return what the first argument asks for."""
    asked = json.loads(sys.argv[1])
    asked["shares"] = {int(partition): count for partition, count in asked["shares"].items()}
    return Task(**asked)


def decoder(schema: Mapping[str, Any]) -> Callable[[bytes], Any]:
    """Return the function from a message's value to its record, by fastavro.

    Instants stay ms since the epoch: dates would cost every peer time and serve none.
    """
    parsed = parse_schema(_plain(dict(schema)))

    def decode(value: bytes) -> Any:
        stream = BytesIO(value)
        stream.seek(HEADER)
        return schemaless_reader(stream, parsed, None)

    return decode


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    fields = [
        field | {"type": "long"} if field["name"] == "event_time" else field
        for field in schema["fields"]
    ]
    return schema | {"fields": fields}


class Stopwatch:
    """Wall and CPU seconds, all threads included, from the first message to the last."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None
        self._ended = (0.0, 0.0)

    @property
    def begun(self) -> bool:
        """Whether the first message has come."""
        return self._begun is not None

    def begin(self) -> None:
        """Note that the first message comes; later calls change nothing."""
        if self._begun is None:
            self._begun = _now()

    def end(self) -> None:
        """Note that the last message is done with."""
        self._ended = _now()

    def tell(self, events: int, counted: int, *packages: str, **more: Any) -> None:
        """Print events read, events that windows counted, the times, and versions."""
        begun = self._begun or _now()
        told = {
            "events": events,
            "counted": counted,
            "wall_s": self._ended[0] - begun[0],
            "cpu_s": self._ended[1] - begun[1],
            "versions": {name: _version(name) for name in packages},
        }
        sys.stdout.write(json.dumps(told | more) + "\n")
        sys.stdout.flush()


def _now() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"

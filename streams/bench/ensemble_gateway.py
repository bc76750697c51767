"""What asking over HTTP takes beyond asking by topics: both paths in turn, in the same run.

One caller asks one request after the other, by the client of `workers.client` and through a gateway
process by turns, so that whatever else the machine does befalls both. `gateway_added_ms` is what
each call took beyond its own way over the topics, which the gateway tells (Server-Timing); the
whole times of both paths stand beside it.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from streams.bench.ensemble import Given
from streams.bench.ensemble_bed import Bed, bed
from streams.bench.ensemble_members import APP
from streams.bench.figures import percentiles
from streams.embedded.processes import LOOPBACK, free_port, launch, stop
from streams.errors import StackError
from workers.client import Client, tensors
from workers.settings import Settings

PAIRS, WARM = 1_000, 50
DEADLINE_MS = 2_000
START_S = 30.0
VALUES = (0.1, 0.9, 0.3)
COMPLETE = "complete"


def measure(given: Given) -> dict[str, Any]:
    """Return `gateway_added_ms`. Raises StackError when a process does not start."""
    with (
        tempfile.TemporaryDirectory() as home,
        bed(Path(home)) as made,
        _gateway(made, Path(home)) as connection,
    ):
        topic, call, added = _asked(made.settings, connection, given)
    paths = {"topic_ms": percentiles(topic, 3), "call_ms": percentiles(call, 3)}
    return {"gateway_added_ms": {**percentiles(added, 3), **paths, "pairs": PAIRS}}


@contextmanager
def _gateway(made: Bed, folder: Path) -> Iterator[HTTPConnection]:
    """Run a gateway process, and yield a connection to it."""
    port = free_port()
    own = made.settings.gateway.model_copy(update={"port": port})
    settings = made.settings.model_copy(update={"gateway": own})
    command = [sys.executable, "-m", "streams.cli", "gateway"]
    process = launch(command, folder / "gateway.log", settings.environment())
    try:
        until = time.monotonic() + START_S
        while not _is_ready(port):
            if time.monotonic() > until:
                raise StackError(f"the gateway is not ready within {START_S:.0f} s; see its log")
            time.sleep(0.05)
        with closing(HTTPConnection(LOOPBACK, port, timeout=START_S)) as connection:
            yield connection
    finally:
        stop(process, grace_s=10)


def _is_ready(port: int) -> bool:
    try:
        with closing(HTTPConnection(LOOPBACK, port, timeout=5)) as connection:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == 200
    except OSError:
        return False


def _asked(
    settings: Settings, connection: HTTPConnection, given: Given
) -> tuple[list[float], list[float], list[float]]:
    """Return what requests by topics took, what calls took, and what these added, ms."""
    inputs = tensors({"x": np.asarray([VALUES], np.float32)})
    topic: list[float] = []
    call: list[float] = []
    added: list[float] = []
    with Client(settings, replies="weir-replies.bench") as client:
        for number in range(WARM + PAIRS):
            begun = time.perf_counter()
            status = client.ask(APP, inputs, deadline_ms=DEADLINE_MS).status
            heard = time.perf_counter()
            told, topics_ms = _called(connection)
            took = 1000 * (time.perf_counter() - heard)
            if status != COMPLETE or told != COMPLETE:
                raise StackError(f"request {number} was not answered: {status}, {told}")
            if number >= WARM:
                topic.append(1000 * (heard - begun))
                call.append(took)
                added.append(took - topics_ms)
    given.say(f"gateway: {PAIRS} requests by topics and by calls, in turn")
    return topic, call, added


def _called(connection: HTTPConnection) -> tuple[str, float]:
    """Return the status of the answer, and what of the call its way over the topics took, ms."""
    body = json.dumps({"inputs": {"x": [VALUES]}})
    headers = {"Content-Type": "application/json", "Weir-Deadline-Ms": str(DEADLINE_MS)}
    connection.request("POST", f"/v1/apps/{APP}/infer", body, headers)
    answer = connection.getresponse()
    timing = answer.getheader("Server-Timing", "")
    status = str(json.loads(answer.read()).get("status"))
    return status, float(timing.rpartition("=")[2] or "nan")

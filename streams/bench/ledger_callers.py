"""Asks and reports over HTTP for a page of the ledger, each again until it is answered.

As a careful client does it: a call is repeated with its Idempotency-Key, a report with the same
body. A call must be answered once, by one and the same response. A report that is taken is in
Kafka; one whose answer never came may be there as well, so that it may stand as often as it was
sent, and no oftener.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from queue import SimpleQueue
from typing import Any

from streams.bench.ledger import ELSEWHERE, Ledger, Metric
from streams.bench.ledger_app import APP, SERVICE, STAGE
from streams.bench.ledger_outside import Outside
from streams.embedded.processes import LOOPBACK
from workers.client import request_of

CALLERS = 16
DEADLINE_MS = 10_000
ANSWER_S, AGAIN_S, LAST_S = 15.0, 0.2, 120.0
"""Longest wait for one answer; pause before it is asked again; and until callers give up, s."""
Once = Callable[[], bool]
"""Asks once, and tells whether that was answered."""
JSON = {"Content-Type": "application/json"}
_QUESTION = json.dumps({"inputs": {"x": [0, 5, 0]}}).encode()


@dataclass(frozen=True, slots=True)
class Doors:
    """Ways into Weir over HTTP, ports of the loopback, and what its own calls meet outside."""

    gateway: int
    intake: int
    outside: Outside


class Callers:
    """Threads that call and report; `end` waits until all is answered, or gives up."""

    def __init__(self, ledger: Ledger, doors: Doors) -> None:
        self._ledger = ledger
        self._doors = doors
        self._waiting: SimpleQueue[Once | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def call(self, key: str, now_ms: int) -> None:
        """Ask for an answer, by an idempotency key."""
        request_id = request_of(APP, (), idempotency_key=key).request_id
        self._ledger.requests.add(request_id)
        self._ledger.calls[request_id] = now_ms
        headers = JSON | {"Idempotency-Key": key, "Weir-Deadline-Ms": str(DEADLINE_MS)}
        post = partial(self._post, self._doors.gateway, f"/v1/apps/{APP}/infer", headers, _QUESTION)
        self._begin(partial(self._answered, request_id, partial(post, request_id)))

    def report(self, name: str, page: str, metric: Metric) -> None:
        """Report a measurement as OpenTelemetry does."""
        self._ledger.metrics[name] = metric
        self._ledger.reports[name] = metric.event_time
        body = json.dumps(report(name, page, metric)).encode()
        post = partial(self._post, self._doors.intake, "/v1/metrics", JSON, body)
        self._begin(partial(self._taken, name, partial(post, name)))

    def end(self) -> None:
        """Return when everything is answered, or nobody asks any more."""
        until = time.monotonic() + LAST_S
        while not self._ledger.answered_all() and time.monotonic() < until:
            time.sleep(AGAIN_S)
        self._over.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(ANSWER_S)

    def _begin(self, once: Once) -> None:
        self._waiting.put(once)
        if len(self._threads) < CALLERS:
            thread = threading.Thread(target=self._run, name="caller", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while (once := self._waiting.get()) is not None:
            while not self._over.is_set() and not self._tried(once):
                self._over.wait(AGAIN_S)

    def _tried(self, once: Once) -> bool:
        try:
            return once()
        except (OSError, HTTPException, ValueError):  # nobody is there, or is any more; no answer
            return False

    def _answered(self, request_id: str, post: Callable[[], tuple[int, bytes]]) -> bool:
        """Call once; tell whether an answer of the application came, a good one or a bad."""
        found = json.loads(post()[1])
        answer: dict[str, Any] = found.get("answer") or found
        if answer.get("request_id") != request_id:
            return False
        self._ledger.told[request_id] = int(answer["answered_at"])
        self._ledger.acknowledged[request_id] = ELSEWHERE
        return True

    def _taken(self, name: str, post: Callable[[], tuple[int, bytes]]) -> bool:
        if post()[0] != 200:
            return False
        self._ledger.acknowledged[name] = ELSEWHERE
        return True

    def _post(
        self, port: int, path: str, headers: Mapping[str, str], body: bytes, name: str
    ) -> tuple[int, bytes]:
        """Send a body, once somebody is there to take it; return status and answer."""
        with closing(HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)) as connection:
            connection.connect()
            self._ledger.tries[name] += 1
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()


def report(name: str, page: str, metric: Metric) -> dict[str, Any]:
    """Return a gauge as OTLP has it in JSON, of the ledger's application and of this request id."""
    who = {"weir.app": APP, "weir.stage": STAGE, "weir.service": SERVICE, "weir.instance": page}
    point = {
        "asDouble": 1.0,
        "timeUnixNano": str(metric.event_time * 1_000_000),
        "attributes": _attributes({"weir.request_id": name}),
    }
    gauge = {"name": metric.series, "gauge": {"dataPoints": [point]}}
    resource = {"attributes": _attributes(who)}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [gauge]}]}]}


def _attributes(named: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]

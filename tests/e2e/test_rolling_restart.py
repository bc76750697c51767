"""Every process is replaced while requests come: no client meets an error."""

import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
from typing_extensions import Self

from placement.local.processes import recorded
from schemas.inference import InferenceRequest, InferenceResponse
from streams.actuating.actuate import WORKERS
from streams.bench.ledger_app import APP, registrations
from streams.embedded.external import External
from streams.embedded.processes import free_port
from streams.embedded.renewals import Renewals
from streams.embedded.stack import APPS, GATEWAY, App, Stack
from streams.entries import Entries
from tests.broker.cluster import kafka_or_skip
from tests.hosts.worlds import wait_until
from workers.client import Client, tensors
from workers.clock import wall_ms
from workers.settings import KafkaSettings, LocalSettings, NodeSection, Settings
from workers.settings_outside import GatewaySettings

DEADLINE_MS = 4_000
EVERY_S = 0.05
CALL_MS = 60_000
RESTARTS = 3
GAP_S = 3.5
"""No client waits longer than so long for any answer while one process is replaced."""
NODES = tuple(NodeSection(name=f"node-{n}", cpu_milli=1000, memory_mib=512) for n in range(3))


@contextmanager
def stack_on(where: str, folder: Path, apps: Sequence[App] = APPS) -> Iterator[Stack]:
    """Start a stack on the embedded broker or on Apache Kafka, with an application on it."""
    http = GatewaySettings(port=free_port(), share_port=True)
    settings = Settings(data_dir=folder / "data", local=LocalSettings(nodes=NODES), gateway=http)
    if where == "embedded":
        with Stack(settings, apps=apps) as stack:
            yield stack
        return
    with kafka_or_skip(folder / "kafka") as cluster:
        settings = settings.model_copy(update={"kafka": cluster.reached(KafkaSettings())})
        with Stack(settings, apps=apps, broker=External(settings.kafka)) as stack:
            yield stack


class Steady:
    """Asks in a thread of its own, at a steady pace, while it is entered."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Traffic(Steady):
    """Requests at a steady pace, and what became of them."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self.statuses: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        self.phase = "before"

    def _run(self) -> None:
        inputs = tensors({"x": np.array([[1, 5, 2]], np.float32)})
        while not self._stop.wait(EVERY_S):
            now = wall_ms()
            request = InferenceRequest(
                request_id=uuid.uuid4().hex,
                app=APP,
                consumer="",
                contract="",
                created_at=now,
                deadline=now + DEADLINE_MS,
                inputs=inputs,
            )
            phase, begun = self.phase, time.monotonic()
            answer = self._client.submit(request)
            answer.add_done_callback(lambda done, p=phase, b=begun: self._note(done, p, b))  # type: ignore[misc]  # defaults are not inferred

    def _note(self, done: "Future[InferenceResponse]", phase: str, begun: float) -> None:
        error = done.exception()
        self.statuses[done.result().status if error is None else type(error).__name__] += 1
        took = time.monotonic() - begun
        self.slowest[phase] = max(took, self.slowest.get(phase, 0.0))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        time.sleep(DEADLINE_MS / 1000)


class Calls(Steady):
    """Calls over HTTP on one connection, kept open as long as the gateway keeps it; their ends."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._url = f"http://127.0.0.1:{settings.gateway.port}/v1/apps/{APP}/infer"
        self.ends: Counter[str] = Counter()

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._stop.wait(EVERY_S):
                self.ends[self._call(session)] += 1

    def _call(self, session: requests.Session) -> str:
        body = {"inputs": {"x": [[1, 5, 2]]}, "parameters": {"deadline_ms": CALL_MS}}
        try:
            answer = session.post(self._url, json=body, timeout=60)
        except requests.RequestException as error:
            return repr(error)
        return str(answer.json()["status"]) if answer.ok else f"{answer.status_code} {answer.text}"


def await_answers(client: Client) -> None:
    """Return when the application answers in full."""
    deadline = time.monotonic() + 60
    inputs = tensors({"x": np.array([[1, 5, 2]], np.float32)})
    while client.ask(APP, inputs, deadline_ms=1_000).status != "complete":
        assert time.monotonic() < deadline, "the application never answered"


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_requests_do_not_wait_for_faust_and_a_frozen_one_is_replaced(tmp_path: Path) -> None:
    """SIGSTOP: nothing ends, nothing is said; only asking it how it is can tell."""
    with stack_on("embedded", tmp_path) as stack:
        with Entries(stack.settings) as entries:
            entries.send(registrations(wall_ms()))
        with Client(stack.settings) as client:
            await_answers(client)
            workers = recorded(stack.settings.data_dir / WORKERS).keys()
            control = next(part for part in stack.state().parts if part.name == "control")
            with Traffic(client) as traffic:
                os.kill(control.pid, signal.SIGSTOP)
                deadline = time.monotonic() + 60
                while psutil.pid_exists(control.pid) or not stack.ready():
                    assert time.monotonic() < deadline, "a frozen process was not replaced"
                    time.sleep(0.2)
        assert set(traffic.statuses) == {"complete"}, traffic.slowest
        assert recorded(stack.settings.data_dir / WORKERS).keys() == workers, "they serve on"


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("where", ["embedded", "apache"])
def test_every_process_is_replaced_and_no_client_sees_it(where: str, tmp_path: Path) -> None:
    with stack_on(where, tmp_path) as stack:
        with Entries(stack.settings) as entries:
            entries.send(registrations(wall_ms()))
        with Client(stack.settings) as client:
            await_answers(client)
            renewals = Renewals(stack.settings.data_dir)
            nodes = renewals.nodes()
            assert len(nodes) == 2
            before = {part.name: part.pid for part in stack.state().parts}
            with Traffic(client) as traffic:
                for name in ("route", "control", "data", "sink", "registry", "clickhouse"):
                    traffic.phase = name
                    stack.restart(name)
                    time.sleep(1)
                for node in nodes:
                    traffic.phase = node
                    renewals.restart_node(node, 60)
                    time.sleep(1)
        after = {part.name: part.pid for part in stack.state().parts}
        assert set(traffic.statuses) == {"complete"}, traffic.slowest
        assert max(traffic.slowest.values()) < GAP_S, traffic.slowest
        assert {name for name in after if after[name] == before[name]} == {"broker"}
        assert not any(psutil.pid_exists(pid) for n, pid in before.items() if n != "broker")
        assert {part.restarts for part in stack.state().parts} == {0}
    for log in (stack.settings.data_dir / "logs").glob("*.log"):
        assert "Traceback" not in log.read_text("utf-8"), log


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_the_gateway_is_replaced_and_no_caller_sees_it(tmp_path: Path) -> None:
    with stack_on("embedded", tmp_path, (GATEWAY, *APPS)) as stack:
        with Entries(stack.settings) as entries:
            entries.send(registrations(wall_ms()))
        with Client(stack.settings) as client:
            await_answers(client)
        pids = {_gateway(stack)}
        with Calls(stack.settings) as kept, Calls(stack.settings) as others:
            for _ in range(RESTARTS):
                begun = kept.ends["complete"]
                stack.restart(GATEWAY.name)
                pids.add(_gateway(stack))
                wait_until(lambda first=begun: kept.ends["complete"] > first + 2)  # type: ignore[misc]  # defaults are not inferred
        assert set(kept.ends) == set(others.ends) == {"complete"}
        assert len(pids) == RESTARTS + 1


def _gateway(stack: Stack) -> int:
    return next(part.pid for part in stack.state().parts if part.name == GATEWAY.name)

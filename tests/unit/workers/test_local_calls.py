"""Local callers: the Open Inference Protocol over a desk, in the words of its clients."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from schemas.inference import InferenceResult, InferenceTask
from streams.embedded.processes import free_port
from tests.unit.workers.inference_world import FakeSession, hosted
from workers.edge.desk import Desk
from workers.edge.errors import NotListening
from workers.edge.listening import Local, listening
from workers.inference.results import Home, unserved
from workers.runtimes.base import Array
from workers.runtimes.http_services import OpenInference
from workers.settings import LocalCallSettings

HOME = Home("n", "w")
Answerer = Callable[[InferenceTask], tuple[InferenceResult, list[Array]]]


def doubled(task: InferenceTask) -> tuple[InferenceResult, list[Array]]:
    data = task.inputs[0].data or b""
    array = np.frombuffer(data, "<f4").reshape(task.inputs[0].shape) * 2
    found = unserved(task, hosted(), HOME, float(task.created_at))
    return _with(found, status="ok", batch_size=1, execution_ms=1.5), [array]


def ended(status: str, reason: str, batch_size: int = 0) -> Answerer:
    def answer(task: InferenceTask) -> tuple[InferenceResult, list[Array]]:
        found = unserved(task, hosted(), HOME, float(task.created_at))
        return _with(found, status=status, reason=reason, batch_size=batch_size), []

    return answer


def _with(result: InferenceResult, **changes: object) -> InferenceResult:
    fields = {name: getattr(result, name) for name in result.__dataclass_fields__}
    return InferenceResult(**fields | changes)


class World:
    """A desk whose tasks are answered by a function, and a client of it."""

    def __init__(self, port: int, **settings: Any) -> None:
        self.answerer: Answerer = doubled
        self.seen: list[InferenceTask] = []
        self.desk = Desk()
        self.desk.served = {"double": hosted(session=FakeSession())}
        self.live = True
        own = LocalCallSettings(port=port, **settings)
        self.local = Local(self.desk, own, "w", lambda: self.live, lambda: self.live)
        self.port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while not self._stop.is_set():
            for task in self.desk.take(0.01):
                self.seen.append(task)
                result, outputs = self.answerer(task)
                self.desk.executed(task.task_id, outputs)
                assert self.desk.answer(result)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = body if isinstance(body, bytes | None) else json.dumps(body)
            link.request(method, path, text, headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            link.close()

    def infer(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        given = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.5]}
        top = {k: v for k, v in changes.items() if k not in given}
        tensor = given | {k: v for k, v in changes.items() if k in given}
        return self.ask("POST", "/v2/models/double/infer", {"id": "7", "inputs": [tensor]} | top)

    def __enter__(self) -> "World":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def opened(**settings: Any) -> Iterator[World]:
    with World(free_port(), **settings) as made, listening(made.local):
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with opened() as made:
        yield made


@pytest.fixture
def world(shared: World) -> World:
    shared.answerer = doubled
    shared.seen.clear()
    return shared


def test_a_request_becomes_a_task_and_its_end_the_answer(world: World) -> None:
    status, told = world.infer(parameters={"priority": 3, "deadline_ms": 250, "source": "cam"})
    assert status == 200
    assert told["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [2.0, 5.0]}
    ]
    assert (told["model_name"], told["model_version"], told["id"]) == ("double", "abc", "7")
    (task,) = world.seen
    assert told["parameters"]["request_id"] == task.request_id
    assert task.request_id.startswith("cam/")
    assert (task.priority, task.deadline - task.created_at) == (3, 250)
    assert (task.instance, task.app, task.stage) == ("double.n", "digits", "classify")


def test_every_call_has_an_id_of_its_own(world: World) -> None:
    world.infer()
    world.infer()
    assert len({task.task_id for task in world.seen}) == 2


@pytest.mark.parametrize(
    ("answerer", "status"),
    [
        (ended("dropped", "queue full: 5 tasks wait"), 503),
        (ended("expired", "the deadline passed"), 504),
        (ended("failed", "refused", batch_size=2), 500),
        (ended("failed", "input x has shape 3"), 400),
    ],
)
def test_why_there_is_no_answer_is_told(world: World, answerer: Answerer, status: int) -> None:
    world.answerer = answerer
    found, told = world.infer()
    assert found == status
    (task,) = world.seen
    result, _ = answerer(task)
    assert told["error"] == result.reason
    assert told["parameters"]["status"] == result.status


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "z"}, "the model takes ['x']"),
        ({"datatype": "BYTES", "data": ["a", "b"]}, "'BYTES' is not taken"),
        ({"datatype": "INT8", "data": [1, 300]}, "no INT8"),
        ({"datatype": "INT8", "data": [1.5, 2]}, "no INT8"),
        ({"data": ["1", "2"]}, "no FP32"),
        ({"data": [1e300, 1]}, "no FP32"),
        ({"datatype": "INT64", "data": [2**70, 1]}, "input x"),
        ({"datatype": "BOOL", "data": [1, 0]}, "no BOOL"),
        ({"data": [[1.0], [2.0, 3.0]]}, "input x"),
        ({"shape": [3, 3]}, "cannot reshape"),
        ({"shape": [-1, 2]}, "inputs.0.shape.0"),
        ({"outputs": [{"name": "nothing"}]}, "there is no 'nothing'"),
        ({"inputs": []}, "inputs"),
        ({"parameters": {"deadline_ms": 0}}, "parameters.deadline_ms"),
        ({"parameters": {"deadline_ms": 1e9}}, "parameters.deadline_ms"),
        ({"parameters": {"priority": "high"}}, "parameters.priority"),
    ],
)
def test_what_cannot_be_a_task_is_refused(world: World, changes: dict[str, Any], why: str) -> None:
    status, told = world.infer(**changes)
    assert status == 400
    assert why in told["error"]
    assert world.seen == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"inputs": NaN}', b"[" * 100_000])
def test_bodies_that_are_no_requests(world: World, body: bytes) -> None:
    status, told = world.ask("POST", "/v2/models/double/infer", body)
    assert status == 400
    assert told["error"]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/v2", 200, "weir"),
        ("/v2/health/live", 200, "live"),
        ("/v2/health/ready", 200, "ready"),
        ("/v2/models/double", 200, "versions"),
        ("/v2/models/double/ready", 200, "ready"),
        ("/v2/models/double/versions/abc/ready", 200, "ready"),
        ("/v2/models/double/versions/9", 404, "served: abc"),
        ("/v2/models/double/else", 404, "has ready and infer"),
        ("/v2/models/other", 404, "served: double"),
        ("/v1/models", 404, "/v2"),
        ("/v2/else", 404, "/v2/models/NAME"),
    ],
)
def test_what_can_be_asked(world: World, path: str, status: int, told: str) -> None:
    found, answer = world.ask("GET", path)
    assert (found, told in json.dumps(answer)) == (status, True)


def test_a_worker_that_stands_still_says_so(world: World) -> None:
    world.live = False
    assert world.ask("GET", "/v2/health/live")[0] == 503
    world.live = True


def test_pages_of_browsers_are_not_served(world: World) -> None:
    assert world.ask("GET", "/v2", Host="evil.example:80")[0] == 403
    assert world.ask("GET", "/v2", Origin="http://evil.example")[0] == 403


def test_bodies_are_bounded() -> None:
    with opened(body_mib=1) as world:
        status, told = world.ask("POST", "/v2/models/double/infer", b" " * 1_048_577)
        assert (status, "at most 1048576" in told["error"]) == (413, True)


def test_callers_are_bounded() -> None:
    with opened(callers=1) as world:
        held = http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)
        held.request("GET", "/v2/health/live")
        assert held.getresponse().read()
        assert world.ask("GET", "/v2")[0] == 503
        held.close()


def test_our_own_client_of_the_protocol_understands_it(world: World) -> None:
    session = OpenInference().load(f"http://127.0.0.1:{world.port}/v2/models/double")
    (found,) = session.run([np.array([[3.0, 4.0], [5.0, 6.0]], np.float32)])
    assert found.tolist() == [[6.0, 8.0], [10.0, 12.0]]


def test_numbers_that_are_not_finite_are_told_as_such(world: World) -> None:
    def infinite(task: InferenceTask) -> tuple[InferenceResult, list[Array]]:
        return doubled(task)[0], [np.array([[np.inf, 1.0]], np.float32)]

    world.answerer = infinite
    status, told = world.infer()
    assert (status, "not finite" in told["error"]) == (500, True)


def test_a_desk_that_closes_lets_nobody_wait() -> None:
    with World(free_port()) as world:
        world.answerer = doubled
    task_of = threading.Thread(target=world.desk.close)
    with listening(world.local):
        waiting = threading.Thread(target=lambda: found.append(world.infer()))
        found: list[tuple[int, dict[str, Any]]] = []
        waiting.start()
        while not world.desk.waited_for:
            pass
        task_of.start()
        waiting.join(5)
        assert (found[0][0], found[0][1]["error"]) == (503, "the worker stops")
        assert world.infer()[0] == 404


def test_a_port_that_another_process_holds_is_waited_for() -> None:
    port = free_port()
    with World(port) as second:
        with World(port) as first, listening(first.local), listening(second.local):
            assert second.ask("GET", "/v2")[0] == 200
        with listening(second.local):
            assert second.infer()[0] == 200


def test_an_address_that_is_not_ours_is_an_error() -> None:
    world = World(free_port(), host="192.0.2.1")
    with pytest.raises(NotListening, match="WEIR_LOCAL_CALLS__HOST"), listening(world.local):
        pass

"""Every kind of bad request over HTTP, with a router behind the gateway that decides for real."""

import asyncio
import base64
import json
import struct
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import pytest
from aiohttp import web

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ClauseUnmet
from schemas.graphs import Stage, TensorSpec
from schemas.inference import InferenceRequest, InferenceResponse
from tests.unit.processors import routing_world as w
from tests.unit.processors.routing_world import T0, World, responses, result, tasks
from workers.gateway.access import Access
from workers.gateway.asking import Asking
from workers.gateway.control import NoControl
from workers.gateway.running import runner_of
from workers.gateway.server import Means, Routes
from workers.settings_outside import GatewaySettings

TAKES = Stage(
    stage="classify",
    stage_id="s",
    services=("a",),
    takes=(TensorSpec(name="x", dtype="float32", shape=(2,)),),
)
APP = w.application(stages=(TAKES,))
MOST_BYTES = 10_000
PATH = f"/v1/apps/{w.APP}/infer"
GOOD = {"x": [0.5, 1.5]}
NAN = base64.b64encode(struct.pack("<2f", float("nan"), 0.0)).decode()
Said = tuple[int, str]


class Asker:
    """Puts requests to a router whose members answer at once, where they can be asked."""

    def __init__(self, known: Catalogue) -> None:
        self._world = World(known)
        self._now = 0

    async def __call__(self, request: InferenceRequest) -> InferenceResponse:
        self._now += 1
        wait_ms = request.deadline - request.created_at
        begun = T0 + self._now
        moved = replace(request, created_at=begun, deadline=begun + wait_ms)
        out = self._world.step(self._now, moved)
        while not responses(out):
            asked = tasks(out)
            self._now += 1 if asked else max(wait_ms, 1_000)
            out = self._world.step(self._now, *(result(task) for task in asked))
        (answer,) = responses(out)
        return answer


def said(known: Catalogue, *calls: tuple[str, Any, dict[str, str]]) -> list[Said]:
    """Return status and words of what a gateway answers to path, body and headers, in turn."""

    def call(address: tuple[str, int]) -> list[Said]:
        told = []
        for path, body, headers in calls:
            wire = HTTPConnection(*address[:2], timeout=30)
            wire.request(
                "POST", path, json.dumps(body), {"Content-Type": "application/json"} | headers
            )
            answer = wire.getresponse()
            told.append((answer.status, answer.read().decode()))
            wire.close()
        return told

    async def main() -> list[Said]:
        own = GatewaySettings(max_body=MOST_BYTES)
        means = Means(
            asking=Asking(Asker(known), own),
            access=Access("", anonymous=True),
            settings=own,
            catalogue=lambda: known,
            ready=lambda: True,
            ending=lambda: False,
            control=NoControl(),
            version="1",
        )
        runner = runner_of(Routes(means).application())
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return await asyncio.to_thread(call, runner.addresses[0])
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def body(**fields: Any) -> dict[str, Any]:
    return {"inputs": GOOD} | fields


def sized(dtype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"inputs": {"x": {"dtype": dtype, "shape": shape, "data": data}}}


@pytest.mark.parametrize(
    ("path", "asked", "headers", "status", "words"),
    [
        (PATH, body(), {}, 200, '"status": "complete"'),
        ("/v1/apps/nobody/infer", body(), {}, 404, "nobody"),
        (PATH, {"inputs": {"y": [0.5, 1.5]}}, {}, 400, "input x is missing"),
        (PATH, {"inputs": {"x": [0.5, 1.5, 2.5]}}, {}, 400, "it is x: float32 3"),
        (PATH, sized("int32", [2], [1, 2]), {}, 400, "it is x: int32 2"),
        (PATH, sized("float32", [2], NAN), {}, 400, "no finite numbers"),
        (PATH, {"inputs": {"x": [0.0] * MOST_BYTES}}, {}, 413, f"larger than {MOST_BYTES} bytes"),
        (PATH, body(), {"Weir-Deadline-Ms": "0"}, 400, "Weir-Deadline-Ms"),
        (PATH, body(), {"Weir-Deadline-Ms": "5"}, 504, "5 ms to the deadline were left"),
    ],
)
def test_a_bad_request_has_a_defined_answer(
    path: str, asked: Any, headers: dict[str, str], status: int, words: str
) -> None:
    ((found, told),) = said(w.usual(APP), (path, asked, headers))
    assert (found, words in told) == (status, True), told


def test_another_request_under_one_key_is_refused() -> None:
    key = {"Idempotency-Key": "k"}
    other = {"inputs": {"x": [9.0, 9.0]}}
    told = said(w.usual(APP), (PATH, body(), key), (PATH, body(), key), (PATH, other, key))
    assert [status for status, _ in told] == [200, 200, 422]
    assert told[0][1] == told[1][1]


def test_an_application_whose_services_are_all_down_says_so() -> None:
    down: list[Event] = [w.instance(name, f"n{n}", "failed") for n, name in enumerate("abc")]
    ((status, told),) = said(w.usual(APP, *down), (PATH, body(), {}))
    assert status == 503
    assert all(f"{name}: no ready instance" in told for name in "abc")


def test_an_answer_under_a_contract_that_no_ensemble_meets_says_what_lacks_and_by_how_much() -> (
    None
):
    short = ClauseUnmet(clause="right", threshold=0.99, predicted=0.93)
    chosen = replace(w.ensemble({"a": 1.0}), unmet=(short,))  # type: ignore[type-var]  # an ensemble
    ((status, told),) = said(w.usual(APP, chosen), (PATH, body(), {}))
    assert status == 200
    assert "no ensemble is known to keep right (0.93 expected where 0.99 is the bound)" in told

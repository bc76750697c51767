"""What the gateway does on the wire: whom it refuses before a body has come, and how."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from schemas.catalogue import Catalogue, Update
from schemas.inference import InferenceRequest, InferenceResponse
from schemas.registrations import ApplicationRegistered
from schemas.topics import key_of, topic_of
from tests.examples import example
from workers.gateway.access import Access
from workers.gateway.asking import Asking
from workers.gateway.control import NoControl
from workers.gateway.running import runner_of
from workers.gateway.server import Means, Routes
from workers.settings_outside import GatewaySettings

INFER = "POST /v1/apps/shapes/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
BODY = json.dumps({"inputs": {"x": [1.0]}})
APP = replace(example(ApplicationRegistered), app="shapes", stages=())
CATALOGUE = Catalogue().apply([Update(topic_of(APP), 0, 0, key_of(APP), APP)])


@dataclass
class Wire:
    """A connection to a gateway that answers when `release` is set."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    release: asyncio.Event
    ending: list[bool]

    def send(self, head: str, body: str = "", size: int | None = None) -> None:
        length = len(body) if size is None else size
        self.writer.write(f"{head}\r\nContent-Length: {length}\r\n\r\n{body}".encode())

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        status = int((await self._line()).split()[1])
        headers = {}
        while line := await self._line():
            name, _, value = line.partition(": ")
            headers[name] = value
        body = await self.reader.readexactly(int(headers.get("Content-Length", "0")))
        return status, headers, json.loads(body or b"null")

    async def _line(self) -> str:
        line = await asyncio.wait_for(self.reader.readline(), 30)
        return line.decode().strip()


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Callable[[], Coroutine[Any, Any, Wire]]]:
    """Serve a gateway, and yield what opens connections to it."""
    release, ending = asyncio.Event(), [False]

    async def ask(request: InferenceRequest) -> InferenceResponse:
        await release.wait()
        return replace(
            example(InferenceResponse), request_id=request.request_id, status="complete", outputs=()
        )

    own = GatewaySettings(**settings)
    means = Means(
        asking=Asking(ask, own),
        access=Access(own.admin_token.get_secret_value(), anonymous=True),
        settings=own,
        catalogue=lambda: CATALOGUE,
        ready=lambda: True,
        ending=lambda: ending[0],
        control=NoControl(),
        version="1",
    )
    runner = runner_of(Routes(means).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    wires: list[Wire] = []

    async def opened() -> Wire:
        wires.append(Wire(*await asyncio.open_connection(*runner.addresses[0]), release, ending))
        return wires[-1]

    try:
        yield opened
    finally:
        release.set()
        for wire in wires:
            wire.writer.close()
        await runner.cleanup()


def test_who_is_over_a_limit_is_refused_before_the_body_has_come() -> None:
    async def main() -> None:
        async with served(max_per_consumer=1) as opened:
            one, other = await opened(), await opened()
            one.send(INFER, BODY)
            other.send("GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1")
            assert (await other.answer())[0] == 200
            other.send(INFER, BODY)
            status, headers, told = await other.answer()
            assert (status, headers["Retry-After"], "under way" in told["what"]) == (429, "1", True)
            assert "Connection" not in headers, "what has come is read, the next call is served"
            other.send(f"{INFER}\r\nExpect: 100-continue", size=1_000)
            status, headers, _ = await other.answer()
            assert (status, headers["Connection"]) == (429, "close")
            one.release.set()
            assert (await one.answer())[0] == 200
            one.send(f"{INFER}\r\nExpect: 100-continue", size=len(BODY))
            assert (await one.answer())[0] == 100
            one.writer.write(BODY.encode())
            assert (await one.answer())[0] == 200, "the place was free again"

    asyncio.run(main())


def test_what_is_too_large_is_refused_by_its_length_alone() -> None:
    async def main() -> None:
        async with served(max_body=100_000) as opened:
            wire = await opened()
            wire.send(INFER, size=100_001)
            status, headers, told = await wire.answer()
            assert (status, headers["Connection"]) == (413, "close")
            assert told["what"] == "it is larger than 100000 bytes"
            again = await opened()
            again.writer.write(f"{INFER}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            again.writer.write(b"1ffff\r\n" + bytes(0x1FFFF) + b"\r\n")
            assert (await again.answer())[0] == 413
            third = await opened()
            third.send(f"{INFER}\r\nExpect: the-best", BODY)
            assert (await third.answer())[0] == 417

    asyncio.run(main())


def test_a_body_that_is_no_request_gives_its_place_up() -> None:
    async def main() -> None:
        async with served(max_requests=1) as opened:
            wire = await opened()
            wire.release.set()
            for _ in range(3):
                wire.send(INFER, "{")
                assert (await wire.answer())[0] == 400
            wire.send(INFER, BODY)
            assert (await wire.answer())[0] == 200

    asyncio.run(main())


def test_a_gateway_that_ends_asks_connections_to_end_too() -> None:
    async def main() -> None:
        async with served(admin_token="boss") as opened:
            wire = await opened()
            wire.send("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1")
            assert (await wire.answer())[0] == 401
            wire.send(INFER, BODY)
            await asyncio.sleep(0)
            wire.ending[0] = True
            wire.release.set()
            status, headers, _ = await wire.answer()
            assert (status, headers["Connection"]) == (200, "close")

    asyncio.run(main())

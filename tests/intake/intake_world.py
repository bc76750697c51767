"""An intake whose events go into a list instead of Kafka, and its server on a loopback port."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from aiohttp import web

from schemas.base import Event
from schemas.codec import pack
from streams.embedded.processes import free_port
from workers.intake.delivering import Full, Retry, Undelivered
from workers.intake.http_server import server
from workers.intake.receiving import Receiver
from workers.settings import IntakeSettings


@dataclass
class Sink:
    """Keeps events that Kafka would have; fails as often as it is told, and holds while asked."""

    events: list[Event] = field(default_factory=list)
    failures: list[Retry] = field(default_factory=list)
    tried: int = 0
    held: asyncio.Event | None = None

    async def send(self, events: Sequence[Event]) -> None:
        self.tried += 1
        for event in events:
            pack(event)
        if self.held is not None:
            await self.held.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.events += events

    def full(self) -> None:
        self.failures.append(Full("too many events are on their way"))

    def down(self) -> None:
        self.failures.append(Undelivered("Kafka has not taken the events"))


@dataclass
class Served:
    """A server that runs in a thread of its own."""

    url: str
    sink: Sink
    loop: asyncio.AbstractEventLoop
    ready: bool = True

    def post(self, path: str, body: bytes = b"", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(self.url + path, data=body, headers=named, timeout=20)

    def run(self, call: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(20)


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """Serve the web application of an intake with these settings."""
    own = IntakeSettings(**settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = free_port()
    world = Served(f"http://127.0.0.1:{port}", Sink(), loop)
    runner = server(Receiver(own, world.sink), lambda: world.ready, 5.0)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()

    try:
        world.run(start())
        yield world
        world.run(runner.cleanup())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()

"""One processor in a Faust app: an agent that collects messages, a task that works on them.

The agent only fills an inbox. The task takes what has gathered there, or wakes when a timer is
due, so that a burst becomes one batch and a single event is not kept waiting. Decoding and
deciding run in a thread; the event loop only moves messages.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import faust
from faust import Stream
from faust.types import TP, EventT, StreamT

from schemas.processing import Partition, Spec
from streams.faust.session import Session
from workers.kafka.sending import Outgoing

MAX_BATCH = 500
INBOX = 2000


class Hosted:
    """A processor on the partitions that this worker was given."""

    def __init__(self, app: faust.App, spec: Spec) -> None:
        self.spec = spec
        self._app = app
        self._session: Session | None = None
        self._assigned = asyncio.Event()
        self._inbox: asyncio.Queue[EventT[bytes]] = asyncio.Queue(INBOX)
        self._working = asyncio.Lock()
        self.positions: Mapping[Partition, int] = {}
        """The next offset of each partition it was given: what is before is applied. Never
        changed, only replaced: other threads look at it."""
        self._applied: list[EventT[bytes]] = []
        self._sound = True

    @property
    def ready(self) -> bool:
        """Whether it has been given partitions, or told that there are none for it."""
        return self._session is not None

    def owned(self, assigned: Iterable[TP]) -> list[int]:
        """Return which instances the assigned partitions make."""
        mine = {tp.partition for tp in assigned if tp.topic in self.spec.inputs}
        return [0] if self.spec.singleton and mine else sorted(mine)

    async def suspend(self) -> None:
        """Finish the batch in hand and forget all state; it comes back from snapshots.

        What a step left half done is not kept.
        """
        self._assigned.clear()
        self.positions = {}
        async with self._working:
            if self._session is not None and self._sound:
                await send(self._app, await asyncio.to_thread(self._session.keep))
                self._acknowledge()
            self._session = None
            self.positions = {}
            while not self._inbox.empty():
                self._inbox.get_nowait()

    async def resume(self, session: Session) -> None:
        """Work in this session from now on."""
        async with self._working:
            self._session, self._sound, self._applied = session, True, []
            self.positions = session.positions()
        self._assigned.set()

    async def starts(self) -> dict[Partition, int]:
        """Wait for a session, and return from where its state needs to read on."""
        await self._assigned.wait()
        return self._session.starts() if self._session is not None else {}

    async def collect(self, stream: StreamT[Any]) -> None:
        """Fill the inbox; this is the agent."""
        async for event in cast(Stream[bytes], stream).noack().events():
            await self._inbox.put(event)

    async def work(self) -> None:
        """Work on what comes in until cancelled; this is the task."""
        while True:
            await self._assigned.wait()
            events = await self._gather()
            async with self._working:
                if self._session is not None:
                    await self._step(self._session, events)

    async def _gather(self) -> list[EventT[bytes]]:
        pause = self._session.pause_s() if self._session is not None else 0.0
        try:
            events = [await asyncio.wait_for(self._inbox.get(), pause)]
        except TimeoutError:
            return []
        while len(events) < MAX_BATCH and not self._inbox.empty():
            events.append(self._inbox.get_nowait())
        return events

    async def _step(self, session: Session, events: Sequence[EventT[bytes]]) -> None:
        generation = self._app.consumer_generation_id
        current = [event for event in events if event.message.generation_id == generation]
        self._sound = False
        decided = await asyncio.to_thread(session.decide, [event.message for event in current])
        await send(self._app, decided.outputs)
        await send(self._app, decided.kept)
        self._sound = True
        self._applied += current
        if decided.complete:
            self._acknowledge()
        self.positions = session.positions()

    def _acknowledge(self) -> None:
        for event in self._applied:
            event.ack()
        self._applied = []


async def send(app: faust.App, messages: Iterable[Outgoing]) -> None:
    """Send messages in their order and return when the broker has them all."""
    sent = []
    for message in messages:
        partition = message.partition if message.partition >= 0 else None
        future = app.producer.send(message.topic, message.key, message.value, partition, None, None)
        sent.append(await future)
    await asyncio.gather(*sent)

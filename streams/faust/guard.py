"""A Faust app under guard: /live and /ready tell the truth about it.

Known ways for Faust to stand still: an agent that ends with a rebalance or a missed heartbeat, a
fetcher that is not started again, a partition that nobody fetches, a blocked event loop. All of
them show in positions that stay, or in a loop that does not come round; `streams.guard` looks.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import faust

from schemas.processing import Partition
from streams import health
from streams.faust.app import App
from streams.guard import Guard, Pulse
from workers.settings import Settings

BEAT_S = 0.5


def watch(
    app: App,
    settings: Settings,
    positions: Callable[[], Mapping[Partition, int]],
    ready: Callable[[], bool],
    pulses: Mapping[str, Pulse],
) -> None:
    """Put the app under guard while it runs; `is_ready` and `is_live` ask the guard.

    `positions` are those of its processors, `ready` whether they have all of them, `pulses` what
    else has to come round. Serves health on `settings.host.health_port`, if that is set.
    """
    loop = Pulse()

    async def beat() -> None:
        while True:
            loop.beat()
            await asyncio.sleep(BEAT_S)

    guard = Guard(
        settings.kafka,
        lambda: _read_by(app, positions()),
        {"the event loop": loop, **pulses},
        ready,
        settings.host.patience_s,
    )
    open_until_end = ExitStack()

    async def begin() -> None:
        open_until_end.callback(asyncio.create_task(beat()).cancel)
        port = settings.host.health_port
        open_until_end.enter_context(health.serving(port, app.is_ready, app.is_live))
        open_until_end.enter_context(guard)

    async def end(*_: Any, **_named: Any) -> None:
        await asyncio.to_thread(open_until_end.close)

    app.is_ready = lambda: ready() and guard.live
    app.is_live = lambda: guard.live
    app.begin = begin
    app.on_before_shutdown.connect(end)


def _read_by(app: faust.App, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return where reading goes on: not below what is committed, from where Faust reads."""
    committed = getattr(app.consumer, "_committed_offset", {})
    return {at: max(offset, committed.get(at) or 0) for at, offset in positions.items()}

"""An actuator that hears of a placement looks again soon: the catalogue may be a little late."""

import asyncio
import time
from collections.abc import Iterable
from types import SimpleNamespace

import pytest

from schemas.base import Event
from streams.actuating import actuate as actuating
from workers.settings import Settings


class Looking:
    """Notes when it was asked to act."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def act(self, _: object) -> list[Event]:
        self.at.append(time.monotonic())
        return []

    def end(self, _: object, **_how: bool) -> list[Event]:
        return []

    def since(self, begun: float) -> int:
        return sum(at > begun for at in self.at)


async def send(events: Iterable[Event]) -> None:
    assert list(events) == []


async def looks(looking: Looking, count: int) -> float:
    """Return how long so many looks take after something was heard."""
    acting = actuating.Actuating(Settings(), SimpleNamespace(open=lambda: None))
    work = asyncio.create_task(acting.work(send))
    while not looking.at:
        await asyncio.sleep(0.005)
    heard = time.monotonic()
    acting.hear()
    while looking.since(heard) < count:
        await asyncio.sleep(0.005)
    took = time.monotonic() - heard
    await acting.close(send)
    await work
    return took


def test_after_news_it_looks_several_times_in_less_than_two_periods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looking = Looking()
    monkeypatch.setattr(actuating, "_chosen", lambda *_: looking)
    assert asyncio.run(looks(looking, actuating.SOON)) < 2 * actuating.PERIOD_S

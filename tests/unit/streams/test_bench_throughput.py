"""How long a rate is tried: until every reader has told enough to be judged, within bounds."""

from typing import Any, cast

import pytest

from streams.bench import throughput
from streams.bench.throughput import READERS, SINK, Load, verdict_of

RATE, SECONDS = 1_000.0, 4.0


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Stack:
    """Sends at the rate; its readers tell every so many seconds that they have applied it all."""

    def __init__(self, clock: Clock, every: float) -> None:
        self._clock = clock
        self._every = every

    @property
    def sent(self) -> int:
        return int(RATE * self._clock.now)

    def rate(self, _: float) -> None:
        pass

    def check(self) -> None:
        pass

    def look(self) -> dict[str, int]:
        return dict.fromkeys((*READERS, SINK), self.sent)

    def since(self, _: str, begin: float) -> list[tuple[float, int]]:
        told = [n * self._every for n in range(1, int(self._clock.now / self._every) + 1)]
        return [(at, int(RATE * at)) for at in told if at >= begin]


@pytest.mark.parametrize(
    ("every", "seconds", "reason"),
    [(0.5, SECONDS, ""), (2.0, 8.0, ""), (5.0, 12.0, f"{READERS[0]}: too few samples")],
)
def test_a_try_takes_longer_where_a_reader_tells_seldom(
    every: float, seconds: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    stack = cast(Any, Stack(clock, every))
    verdict = verdict_of(Load(stack, stack, stack).run(RATE, SECONDS), RATE, 0.5)
    assert clock.now == pytest.approx(seconds, abs=0.1)
    assert (verdict.held, verdict.reason) == (not reason, reason)

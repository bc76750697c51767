"""How the sink waits, and how it finds the row that ClickHouse refuses."""

import threading
import time
from collections.abc import Sequence

import polars as pl
import pytest

from schemas.observing import MetricReport
from tests.clickhouse.messages import CLUSTER, Stood, codec, stood
from workers.errors import ClickHouseUnavailable, HostStopped, RowsRefused
from workers.sinking.rows import Unusable
from workers.sinking.storing import REFUSED, Storing
from workers.sinking.waiting import Patience, Pauses

SHORT = Pauses(first_ms=1, longest_ms=4, silence_ms=30)


def test_it_is_not_ready_while_it_waits() -> None:
    ready = threading.Event()
    patience = Patience(threading.Event(), SHORT, ready)
    seen: list[bool] = []

    def away_at_first() -> str:
        seen.append(ready.is_set())
        if len(seen) < 5:
            raise ClickHouseUnavailable("gone")
        return "done"

    patience.follow()
    assert ready.is_set()
    assert patience(away_at_first) == "done"
    assert seen == [True, False, False, False, False]
    assert ready.is_set()


def test_it_is_not_ready_before_it_follows() -> None:
    ready = threading.Event()
    patience = Patience(threading.Event(), SHORT, ready)
    patience(lambda: None)
    assert not ready.is_set()
    patience.away("gone")
    patience.follow()
    assert not ready.is_set()
    patience.back()
    assert ready.is_set()


def test_a_long_silence_counts_as_waiting() -> None:
    ready = threading.Event()
    patience = Patience(threading.Event(), SHORT, ready)
    patience.follow()

    def silent() -> bool:
        deadline = time.monotonic() + 10
        while ready.is_set() and time.monotonic() < deadline:
            time.sleep(0.005)
        return ready.is_set()

    assert patience(silent) is False
    assert ready.is_set()


def test_a_stop_ends_the_waiting() -> None:
    stop = threading.Event()
    stop.set()

    def away() -> None:
        raise ClickHouseUnavailable("gone")

    with pytest.raises(HostStopped, match="gone"):
        Patience(stop, SHORT)(away)


class _Picky:
    """A database that refuses rows with some values; remembers in which order it took rows."""

    def __init__(self, refused: set[float], log: list[str]) -> None:
        self._refused = refused
        self._log = log

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        values = frame["value"].to_list()
        if self._refused & set(values):
            raise RowsRefused("not those", 469)
        self._log += [f"{table} {value:g}" for value in values]


@pytest.mark.parametrize("refused", [{3.0}, {0.0, 7.0}, {4.0, 5.0}, set(range(8)), set()])
def test_rows_keep_their_order_around_what_is_refused(refused: set[float]) -> None:
    log: list[str] = []

    def report(unusable: Sequence[Unusable]) -> None:
        for bad in unusable:
            assert bad.error.kind == REFUSED
            log.append(f"refused {bad.message.offset()}")

    storing = Storing(
        _Picky({float(value) for value in refused}, log),  # type: ignore[arg-type]  # a fake
        codec(),
        CLUSTER,
        lambda action, *args: action(*args),
        report,
    )
    log_of_kafka: list[Stood] = [
        stood(MetricReport(event_time=1, app="a", metric="m", value=float(n)), n) for n in range(8)
    ]
    stored = storing.store(log_of_kafka, {"weir.metrics": 1})
    assert log == [f"refused {n}" if n in refused else f"metrics {n}" for n in range(8)]
    assert (stored.rows, stored.unusable) == (8 - len(refused), len(refused))

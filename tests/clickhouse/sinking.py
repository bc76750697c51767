"""A sink in a thread of a test, and what tests send to it and ask of its tables."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from schemas.base import Event
from schemas.observing import MetricReport
from schemas.topics import key_of, topic_of
from workers.clickhouse import Database, connect
from workers.errors import ClickHouseRefused
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import Settings
from workers.sinking.sink import SinkParams, run

QUICK = SinkParams(age_ms=50, look_ms=200, pause_ms=20, longest_pause_ms=50)


@contextmanager
def sinking(settings: Settings, params: SinkParams = QUICK) -> Iterator[threading.Event]:
    """Run a sink; what is yielded tells when it is ready."""
    ended, ready, failures = threading.Event(), threading.Event(), []

    def work() -> None:
        try:
            run(settings, ended, params, ready)
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ready
    finally:
        ended.set()
        thread.join(60)
    assert not failures
    assert not thread.is_alive()


def send(settings: Settings, *events: Event) -> None:
    producer = kafka.producer(settings.kafka)
    with closing(Registry(settings.registry)) as registry:
        codec = registry.codec()
        for event in events:
            producer.produce(topic_of(event), codec.encode(event), key_of(event))
    assert producer.flush(60) == 0


def send_raw(settings: Settings, topic: str, *values: bytes | None, key: str = "k") -> None:
    producer = kafka.producer(settings.kafka)
    for value in values:
        producer.produce(topic, value, key)
    assert producer.flush(60) == 0


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def counted(database: Database, sql: str) -> int:
    """Return the number that a query gives; -1 while its table is still to be made."""
    try:
        return int(database.query(sql).rows[0][0])
    except ClickHouseRefused as error:
        if error.code in (60, 81):
            return -1
        raise


def metrics(app: str, count: int) -> list[MetricReport]:
    return [
        MetricReport(event_time=n, app=app, service=f"s{n}", metric="m", value=float(n))
        for n in range(count)
    ]


@contextmanager
def asking(settings: Settings) -> Iterator[Database]:
    database = connect(settings.clickhouse)
    try:
        yield database
    finally:
        database.close()

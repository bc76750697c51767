"""What the intake has taken is in Kafka; what Kafka has not is sent again by whoever sent it."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.base import Event
from schemas.decisions import DeadLetter
from schemas.observing import MetricReport
from schemas.topics import TOPICS, Topic, key_of
from streams.embedded.broker import Broker
from streams.embedded.processes import free_port
from workers import retrying
from workers.clock import wall_ms
from workers.intake.delivering import Delivery, Full, Undelivered, Unfit
from workers.intake.qoa4ml_topic import ReportTopic
from workers.intake.receiving import Receiver
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.local import local_codec
from workers.settings import IntakeSettings, KafkaSettings

CODEC = local_codec()
REPORTS = "qoa-reports"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    with Broker(tmp_path_factory.mktemp("broker") / "broker.log") as broker:
        made = KafkaSettings(bootstrap=broker.bootstrap, session_timeout_ms=1000)
        wanted = [TOPICS[f"weir.{name}"] for name in ("metrics", "deadletters", "actions")]
        wanted.append(Topic(REPORTS, (), ()))
        kafka.create_topics(made, wanted)
        yield made


def report(number: int, app: str) -> MetricReport:
    return MetricReport(event_time=number, app=app, metric=f"m{number % 7}", value=float(number))


def events(settings: KafkaSettings, topic: str, kind: type[Event]) -> list[Event]:
    return [CODEC.decode(m.value() or b"", kind) for m in kafka_reading.read_all(settings, [topic])]


def metrics(settings: KafkaSettings, app: str) -> list[float]:
    found = events(settings, "weir.metrics", MetricReport)
    return sorted(e.value for e in found if isinstance(e, MetricReport) and e.app == app)


def test_what_is_sent_is_in_kafka_under_its_key(settings: KafkaSettings) -> None:
    made = [report(number, "sent") for number in range(500)]

    async def work() -> None:
        delivery = Delivery(settings, CODEC, 600, 5)
        await delivery.send([])
        await asyncio.gather(*(delivery.send(made[n : n + 100]) for n in range(0, 500, 100)))
        assert delivery.pending == 0
        delivery.close(5)

    asyncio.run(work())
    assert metrics(settings, "sent") == list(range(500))
    keys = {m.key() for m in kafka_reading.read_all(settings, ["weir.metrics"])}
    assert {key_of(event).encode() for event in made} <= keys


def test_no_more_is_on_its_way_than_may_be() -> None:
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")

    async def work() -> None:
        delivery = Delivery(nowhere, CODEC, 3, 1)
        with pytest.raises(Unfit, match="4 events at once"):
            await delivery.send([report(n, "x") for n in range(4)])
        first = asyncio.create_task(delivery.send([report(n, "x") for n in range(2)]))
        await asyncio.sleep(0)
        with pytest.raises(Full, match="2 events are on their way"):
            await delivery.send([report(n, "x") for n in range(2)])
        with pytest.raises(Undelivered, match="has not taken"):
            await first
        assert delivery.pending == 0
        delivery.close(1)

    began = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - began < 10


def test_an_event_that_is_larger_than_kafka_takes_is_unfit() -> None:
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")

    async def work() -> None:
        delivery = Delivery(nowhere, CODEC, 3, 1)
        large = replace(report(1, "x"), unit="x" * kafka.MAX_MESSAGE_BYTES)
        with pytest.raises(Unfit, match="larger than Kafka takes"):
            await delivery.send([large])
        assert delivery.pending == 0
        delivery.close(1)

    asyncio.run(work())


def reports(app: str) -> list[bytes]:
    stage = {"s": {"metrics": {"cpu": {"i": {"metric_name": "cpu", "records": [0]}}}}}
    made = []
    for number in range(20):
        stage["s"]["metrics"]["cpu"]["i"]["records"] = [number]  # type: ignore[list-item]  # any JSON
        client = {"application_name": app, "instance_id": "i"}
        made.append(json.dumps({"metadata": {"client_config": client}, "service": stage}).encode())
    return [*made, b"{", b'{"service": 5}']


def large(app: str) -> bytes:
    """Return a report of four measurements."""
    measured = {"metric_name": "cpu", "records": [1, 2, 3, 4]}
    client = {"application_name": app, "instance_id": "i"}
    stage = {"s": {"metrics": {"cpu": {"i": measured}}}}
    return json.dumps({"metadata": {"client_config": client}, "service": stage}).encode()


class Flaky:
    """Refuses the first reports that it is given."""

    def __init__(self, delivery: Delivery, failures: int) -> None:
        self._delivery = delivery
        self._failures = failures

    async def send(self, events: list[Event]) -> None:
        if self._failures:
            self._failures -= 1
            raise Undelivered("not now")
        await self._delivery.send(events)


def read_reports(settings: KafkaSettings, app: str, failures: int, most: int = 1000) -> None:
    """Read the topic of reports until its events are in Kafka, so many at a time."""

    async def work() -> None:
        delivery = Delivery(settings, CODEC, most, 5)
        receiver = Receiver(IntakeSettings(), Flaky(delivery, failures))  # type: ignore[arg-type]  # lists are all it gets
        stop = threading.Event()
        reader = ReportTopic(settings, REPORTS, receiver, asyncio.get_running_loop(), "c")
        reading = asyncio.create_task(asyncio.to_thread(reader.run, stop))
        async with asyncio.timeout(30):
            while len(await asyncio.to_thread(metrics, settings, app)) < 20:
                await asyncio.sleep(0.05)
        stop.set()
        await reading
        delivery.close(5)

    asyncio.run(work())


def test_reports_on_a_topic_become_events_and_malformed_ones_dead_letters(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.intake.qoa4ml_topic.RETRY_S", 0.05)
    producer = kafka.producer(settings)
    for body in reports("first"):
        producer.produce(REPORTS, body)
    producer.flush(60)
    read_reports(settings, "first", failures=2)
    assert metrics(settings, "first") == list(range(20))
    letters = events(settings, "weir.deadletters", DeadLetter)
    told = {(e.offset, e.topic, e.error, e.processor) for e in letters if isinstance(e, DeadLetter)}
    assert told == {
        (20, REPORTS, "malformed-report", "intake"),
        (21, REPORTS, "malformed-report", "intake"),
    }
    for body in (large("third"), *reports("second")):
        producer.produce(REPORTS, body)
    producer.flush(60)
    read_reports(settings, "second", failures=0, most=3)
    assert metrics(settings, "first") == list(range(20))
    assert metrics(settings, "second") == list(range(20))
    assert metrics(settings, "third") == []
    letters = events(settings, "weir.deadletters", DeadLetter)
    assert [e.message for e in letters if isinstance(e, DeadLetter) and e.offset == 22] == [
        "4 events at once; at most 3 may be on their way"
    ]


def test_a_letter_of_a_foreign_topic_is_sent_again_by_nobody(settings: KafkaSettings) -> None:
    found = retrying.rehearse(settings, CODEC, lambda cases: cases, retrying.Terms(), wall_ms())
    assert {(outcome.case.place[0], outcome.done) for outcome in found} == {(REPORTS, False)}
    assert all("none of our topics" in outcome.told for outcome in found)


def test_the_record_says_when_a_report_was_made_that_does_not(settings: KafkaSettings) -> None:
    stamps = {m.offset(): m.timestamp()[1] for m in kafka_reading.read_all(settings, [REPORTS])}
    times = {
        e.event_time for e in events(settings, "weir.metrics", MetricReport)
        if isinstance(e, MetricReport) and e.app == "first"
    }  # fmt: skip
    assert times
    assert times <= set(stamps.values())

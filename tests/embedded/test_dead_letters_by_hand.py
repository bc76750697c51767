"""Refused messages are seen, sent again, or given up, on real servers."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from typer.testing import CliRunner

from processors.observing.observe import ObserveParams
from processors.observing.observe import spec as observe
from schemas import files
from schemas.codec import Codec, frame, pack, schema_id_of
from schemas.decisions import DeadLetter
from schemas.events import EVENTS
from schemas.identity import stable_id
from schemas.observing import MetricReport, QualityEvaluated
from schemas.processing import Batch, Output, Spec
from schemas.registrations import ApplicationRegistered
from schemas.topics import TOPICS, key_of
from streams import cli
from streams.embedded.broker import Broker
from tests.embedded.conftest import Server
from tests.examples import example
from tests.hosts.samples import Tally, verdict
from tests.hosts.worlds import Running, wait_until
from workers import registry, retrying
from workers.clock import wall_ms
from workers.deadletters import Refused, dead_letter
from workers.errors import RecoveryRefused
from workers.hosting.host import BatchHost
from workers.hosting.output import encoded
from workers.kafka import clients as kafka
from workers.kafka import reading as kafka_reading
from workers.kafka.resending import Copy, Resender
from workers.registry import Registry
from workers.settings import HostSettings, KafkaSettings, RegistrySettings, Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("letters")
    with Broker(folder / "broker.log") as broker:
        section = KafkaSettings(bootstrap=broker.bootstrap, session_timeout_ms=1000)
        kafka.create_topics(section, TOPICS.values())
        server = Server("streams.embedded.registry", (), folder / "registry.log")
        server.start(WEIR_KAFKA__BOOTSTRAP=broker.bootstrap)
        schemas = RegistrySettings(url=f"http://127.0.0.1:{server.port}")
        host = HostSettings(poll_ms=20, max_bad_share=1.0)
        yield Settings(kafka=section, registry=schemas, host=host, data_dir=folder)
        server.stop()


@pytest.fixture(scope="module")
def codec(settings: Settings) -> Iterator[Codec]:
    opened = Registry(settings.registry)
    opened.register_all()
    yield opened.codec()
    opened.close()


@pytest.fixture
def weir(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> "Weir":
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(registry, "FORGET_UNKNOWN_S", 0.2)
    monkeypatch.setattr(retrying, "FORGET_UNKNOWN_S", 0.0)
    return Weir()


class Weir:
    """The command line, called in this process."""

    def __call__(self, *arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(cli.app, ["deadletters", *arguments])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else ""


class Counting(Tally):
    """Numbers the metrics of each application."""

    def process(self, batch: Batch) -> Sequence[Output]:
        outputs = []
        for record in batch.records:
            app = getattr(record.event, "app")  # noqa: B009 - any event has it here
            self._counts[app] = self._counts.get(app, 0) + 1
            outputs.append(verdict(app, "number", self._counts[app], 0))
        return outputs


def counting(name: str) -> Spec:
    """Return a reader of weir.metrics by its name."""
    return Spec(
        name=name,
        inputs=("weir.metrics",),
        outputs=(QualityEvaluated,),
        build=lambda _: Counting(),
        parameters="1",
    )


def watching() -> Spec:
    """Return observe with windows that no idleness closes."""
    return observe(ObserveParams(size_ms=10_000, allowed_lateness_ms=0, idle_ms=60_000))


def metric(at: int, value: float) -> MetricReport:
    return MetricReport(event_time=at, app="hall", metric="latency", value=value)


Headers = list[tuple[str, str | bytes | None]]


def produce(settings: Settings, *records: tuple[str, bytes, bytes, Headers]) -> None:
    producer = kafka.producer(settings.kafka)
    for topic, key, value, headers in records:
        producer.produce(topic, value, key=key, headers=headers)
    assert producer.flush(60) == 0


def reading(settings: Settings, codec: Codec, topic: str) -> list[Any]:
    found = kafka_reading.read_all(settings.kafka, [topic])
    return [codec.decode(message.value() or b"", *TOPICS[topic].events) for message in found]


def test_what_is_mended_later_is_observed_exactly_once(
    settings: Settings, codec: Codec, weir: Weir
) -> None:
    window = wall_ms() // 10_000 * 10_000 - 20_000
    good = [metric(window + n, float(n)) for n in range(5)]
    late = [metric(window + 5 + n, 5.0 + n) for n in range(3)]
    newest = max(schema_id_of(codec.encode(example(kind))) for kind in EVENTS.values())
    key = key_of(good[0]).encode()
    poison = [frame(newest + 1, pack(event) + b"\x02") for event in late]
    produce(settings, *(("weir.metrics", key, codec.encode(event), []) for event in good))
    traced: Headers = [("trace", b"7")]
    produce(settings, *(("weir.metrics", key, value, traced) for value in poison))
    with Running(BatchHost(watching(), settings, codec=codec)):
        wait_until(lambda: len(reading(settings, codec, "weir.deadletters")) == 3)
        code, rows = weir("list", "--kind", "unknown-schema", "--json")
        assert (code, [row["state"] for row in rows]) == (0, ["open"] * 3)
        assert rows[0]["refused by"] == ["observe"]
        code, told = weir("retry", "--kind", "unknown-schema", "--dry-run", "--json")
        assert (code, [row["done"] for row in told]) == (0, [False] * 3)
        assert "refused again" in told[0]["outcome"]

        wider = json.loads(files.text("MetricReport"))
        wider["fields"].append({"name": "room", "type": "long", "default": 0})
        with SchemaRegistryClient({"url": settings.registry.url}) as client:
            given = client.register_schema("weir.metrics-value", Schema(json.dumps(wider), "AVRO"))
        assert given == newest + 1
        code, told = weir("retry", "--kind", "unknown-schema", "--json")
        assert (code, [row["done"] for row in told]) == (0, [True] * 3)
        produce(settings, ("weir.metrics", key, codec.encode(metric(window + 10_000, 0.0)), []))
        wait_until(lambda: len(reading(settings, codec, "weir.observations")) == 1)
    (seen,) = reading(settings, codec, "weir.observations")
    assert (seen.count, seen.max) == (8, 7.0)
    assert len(reading(settings, codec, "weir.deadletters")) == 3
    check_copies(settings, key, poison)
    check_late_reader(settings, codec)
    check_second_retry(weir)


def check_copies(settings: Settings, key: bytes, poison: list[bytes]) -> None:
    """Each copy is the original with two headers more."""
    found = [m for m in kafka_reading.read_all(settings.kafka, ["weir.metrics"]) if m.headers()]
    originals = [m for m in found if len(m.headers() or ()) == 1]
    copies = [m for m in found if len(m.headers() or ()) == 3]
    assert [m.value() for m in originals] == poison
    assert sorted(m.value() or b"" for m in copies) == sorted(poison)
    for copy in copies:
        headers: dict[str, Any] = dict(copy.headers() or ())
        assert copy.key() == key
        assert (headers["trace"], headers["weir-retry-for"]) == (b"7", b"observe")
        assert headers["weir-retry-of"].startswith(b"weir.metrics/")


def check_late_reader(settings: Settings, codec: Codec) -> None:
    """A reader that comes now finds the originals readable, and passes over the copies."""
    with Running(BatchHost(counting("late"), settings, codec=codec)):
        wait_until(lambda: len(reading(settings, codec, "weir.quality")) >= 9)
    told = [event.score for event in reading(settings, codec, "weir.quality")]
    assert told == [float(n) for n in range(1, 10)]


def check_second_retry(weir: Weir) -> None:
    """What was retried says so; what was discarded is listed no more."""
    _, rows = weir("list", "--kind", "unknown-schema", "--json")
    assert [row["state"] for row in rows] == ["retried"] * 3
    chosen = rows[0]["id"]
    code, told = weir("retry", chosen, "--json")
    assert (code, "settled already" in told[0]["outcome"]) == (4, True)
    code, shown = weir("show", chosen, "--json")
    assert shown["decoded"]["record"] == "MetricReport"
    assert shown["decoded"]["fields"]["app"] == "hall"
    assert [deed["kind"] for deed in shown["deeds"]] == ["deadletter.retried"]
    code, _ = weir("discard", chosen, "--reason", "measured twice", "--json")
    assert (code, len(weir("list", "--kind", "unknown-schema", "--json")[1])) == (0, 2)
    _, everything = weir("list", "--kind", "unknown-schema", "--all", "--json")
    assert sorted(row["state"] for row in everything) == ["discarded", "retried", "retried"]


def refused(settings: Settings, codec: Codec, topic: str, key: bytes, value: bytes) -> DeadLetter:
    """Produce a message and its dead letter, as a reader would."""
    produce(settings, (topic, key, value, []))
    stood = list(kafka_reading.read_all(settings.kafka, [topic]))[-1]
    try:
        codec.decode(value, *TOPICS[topic].events)
    except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the letter
        letter = dead_letter(Refused.of(stood), error, processor="sink", now_ms=wall_ms())  # type: ignore[arg-type]  # a ContractError
    (record,) = encoded([letter], codec)
    produce(settings, (record.topic, record.key, record.value, []))
    return letter


@pytest.mark.faults
def test_large_ones_are_sent_from_the_log_whole(
    settings: Settings, codec: Codec, weir: Weir
) -> None:
    value = b"\x07" + bytes(100_000)
    letter = refused(settings, codec, "weir.labels", b"large", value)
    _, shown = weir("show", letter.event_id[:10], "--json")
    assert (shown["kept"], shown["length"], shown["whole"]) == (65_536, 100_001, False)
    assert "serializer" in shown["mend"]
    code, told = weir("retry", letter.event_id, "--json")
    assert (code, "would be refused again" in told[0]["outcome"]) == (4, True)
    code, told = weir("retry", letter.event_id, "--force", "--json")
    assert (code, told[0]["done"]) == (0, True)
    found = [m.value() for m in kafka_reading.read_all(settings.kafka, ["weir.labels"])]
    assert found == [value, value]


@pytest.mark.parametrize(("partition", "offset"), [(0, 1_000), (-1, -1)])
def test_what_nobody_holds_whole_any_more_is_not_sent(
    settings: Settings, codec: Codec, weir: Weir, partition: int, offset: int
) -> None:
    gone = replace(example(DeadLetter), topic="weir.labels", offset=offset, length=70_000)
    gone = replace(
        gone, event_id=stable_id("gone", offset), partition=partition, detected_at=wall_ms()
    )
    produce(settings, ("weir.deadletters", b"weir.labels", codec.encode(gone), []))
    code, told = weir("retry", gone.event_id, "--force", "--json")
    assert (code, "no longer on the log" in told[0]["outcome"]) == (4, True)


@pytest.mark.faults
def test_an_old_entry_does_not_undo_a_newer_one(
    settings: Settings, codec: Codec, weir: Weir
) -> None:
    letter = refused(settings, codec, "weir.apps", b"hall", b"\x07 no avro")
    newer = replace(example(ApplicationRegistered), app="hall")
    produce(settings, ("weir.apps", b"hall", codec.encode(newer), []))
    code, told = weir("retry", letter.event_id, "--json")
    assert (code, "newer entry" in told[0]["outcome"]) == (4, True)


def test_of_two_who_retry_at_once_one_is_told(settings: Settings) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(Resender(settings.kafka, "weir-deadletters"))
        stack.enter_context(Resender(settings.kafka, "weir-deadletters"))
        with pytest.raises(RecoveryRefused, match="somebody else"):
            first.send([Copy("weir.labels", 0, None, b"x", ())], lambda _: [])


def test_nothing_is_chosen_by_accident(weir: Weir) -> None:
    assert weir("retry")[0] == 2
    assert weir("discard", "--reason", " ", "--topic", "weir.labels")[0] == 2
    with pytest.raises(Exception, match="no time"):
        weir("list", "--since", "yesterday")

"""Following the compacted topics on the embedded broker."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from schemas.errors import ContractError
from schemas.registrations import NodeReported, ServiceRegistered
from tests.examples import example
from tests.hosts.worlds import CODEC, KafkaWorld, kafka_world, wait_until
from workers.bad_entries import BadEntries
from workers.catalogue import CatalogueReader
from workers.errors import KafkaUnavailable
from workers.kafka.clients import RawMessage
from workers.settings import KafkaSettings

KINDS = (ServiceRegistered, NodeReported)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaWorld]:
    with kafka_world(tmp_path_factory.mktemp("broker")) as made:
        yield made


def service(name: str, image: str = "") -> ServiceRegistered:
    return replace(example(ServiceRegistered), service=name, image=image)


def test_it_is_read_to_its_end_before_it_is_ready_and_followed_after(world: KafkaWorld) -> None:
    world.produce([service("a", image=f"a:{n}") for n in range(300)])
    with CatalogueReader(world.settings.kafka, CODEC, KINDS) as reader:
        first = reader.current()
        assert first.of(ServiceRegistered)["a"].image == "a:299"
        assert reader.current() is first
        world.produce([service("b")])
        world.produce_raw("weir.services", None, b"a")
        wait_until(lambda: list(reader.current().of(ServiceRegistered)) == ["b"])
        assert "a" in first.of(ServiceRegistered)


def test_bad_entries_change_nothing_and_become_dead_letters(world: KafkaWorld) -> None:
    world.produce([service("good", image="good:1")])
    world.produce_raw("weir.services", b"no avro", b"good")
    world.produce_raw("weir.services", CODEC.encode(service("good")), b"another key")
    told: list[str] = []
    tell = BadEntries(world.settings.kafka, CODEC)

    def on_bad(message: RawMessage, error: ContractError) -> None:
        told.append(str(error))
        tell(message, error)

    with CatalogueReader(world.settings.kafka, CODEC, KINDS, on_bad) as reader:
        assert reader.current().of(ServiceRegistered)["good"].image == "good:1"
    tell.close()
    assert len(told) == 2
    assert "it must be 'good'" in told[1]
    letters = world.events("weir.deadletters")
    assert [(e.topic, e.processor) for e in letters] == [("weir.services", "catalogue")] * 2  # type: ignore[attr-defined]


def test_a_broker_that_is_not_there_is_named() -> None:
    nowhere = KafkaSettings(bootstrap="127.0.0.1:1")
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        CatalogueReader(nowhere, CODEC, KINDS).start(timeout_s=0.2)


def test_without_kinds_nothing_is_read() -> None:
    with CatalogueReader(KafkaSettings(bootstrap="127.0.0.1:1"), CODEC, ()) as reader:
        assert reader.ready
        assert not reader.current().entries

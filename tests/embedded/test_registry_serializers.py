"""confluent-kafka's Avro serializers, in all their settings, over the embedded registry."""

from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    dual_schema_id_deserializer,
    header_schema_id_serializer,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.embedded.registry_world import A, B, Client, avro, code_of, record, tagged

QUIET = {"auto.register.schemas": False}


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE, headers=[])


def id_in(data: bytes | None) -> int:
    assert data is not None
    assert data[0] == 0
    return int.from_bytes(data[1:5], "big")


def test_without_registering_only_known_schemas_are_written(client: Client) -> None:
    context = value_of("quiet")
    write = AvroSerializer(client, record("Q", A), conf=QUIET)
    assert code_of(lambda: write({"a": "x"}, context)) == 40401
    schema_id = client.register_schema("quiet-value", avro(A, name="Q"))
    data = write({"a": "x"}, context)
    assert id_in(data) == schema_id
    assert AvroDeserializer(client)(data, context) == {"a": "x"}
    other = AvroSerializer(client, record("Q", A, B), conf=QUIET)
    assert code_of(lambda: other({"a": "x", "b": 1}, context)) == 40403


def test_the_newest_version_or_a_given_one_writes(client: Client) -> None:
    context = value_of("chosen")
    old = client.register_schema("chosen-value", avro(A, name="N"))
    new = client.register_schema("chosen-value", avro(A, B, name="N"))
    latest = AvroSerializer(client, conf=QUIET | {"use.latest.version": True})
    assert id_in(latest({"a": "x", "b": 2}, context)) == new
    given = AvroSerializer(client, conf=QUIET | {"use.schema.id": old})
    data = given({"a": "x"}, context)
    assert id_in(data) == old
    read = AvroDeserializer(client, conf={"use.latest.version": True})
    assert read(data, context) == {"a": "x", "b": 0}


def test_metadata_choose_a_version(client: Client) -> None:
    context = value_of("staged")
    old = client.register_schema("staged-value", avro(A, name="S", metadata=tagged(stage="1")))
    client.register_schema("staged-value", avro(A, B, name="S", metadata=tagged(stage="2")))
    conf = QUIET | {"use.latest.with.metadata": {"stage": "1"}}
    assert id_in(AvroSerializer(client, conf=conf)({"a": "x"}, context)) == old


def test_a_schema_written_otherwise_is_the_same_one(client: Client) -> None:
    context = value_of("normal")
    plain = Schema(record("n.R", {"type": {"type": "string"}, "name": "a"}), "AVRO")
    schema_id = client.register_schema("normal-value", plain)
    other = record("R", A, namespace="n")
    for conf in ({}, {"normalize.schemas": True}, QUIET | {"normalize.schemas": True}):
        assert id_in(AvroSerializer(client, other, conf=conf)({"a": "x"}, context)) == schema_id


@pytest.mark.parametrize(
    ("conf", "subject"),
    [
        ({"subject.name.strategy.type": "TOPIC"}, "strategy-value"),
        ({"subject.name.strategy.type": "RECORD"}, "n.Strategy"),
        ({"subject.name.strategy.type": "TOPIC_RECORD"}, "strategy-n.Strategy"),
        ({"subject.name.strategy": topic_record_subject_name_strategy}, "strategy-n.Strategy"),
        ({}, "strategy-value"),
    ],
)
def test_subjects_are_named_by_any_strategy(
    client: Client, conf: dict[str, Any], subject: str
) -> None:
    if subject in client.get_subjects():
        client.delete_subject(subject)
    write = AvroSerializer(client, record("Strategy", A, namespace="n"), conf=conf)
    data = write({"a": "x"}, value_of("strategy"))
    assert client.get_latest_version(subject).schema_id == id_in(data)


def test_the_name_of_a_content_may_stand_in_a_header(client: Client, url: str) -> None:
    context = value_of("headed")
    conf = {"schema.id.serializer": header_schema_id_serializer}
    data = AvroSerializer(client, record("Headed", A), conf=conf)({"a": "headed"}, context)
    assert data == b"\x0cheaded"
    with Client({"url": url}) as fresh:
        either = {"schema.id.deserializer": dual_schema_id_deserializer}
        assert AvroDeserializer(fresh, conf=either)(data, context) == {"a": "headed"}


def test_a_schema_that_refers_to_another_is_written_and_read(client: Client, url: str) -> None:
    context = value_of("referring")
    client.register_schema("ref-part", Schema(record("Part", A, namespace="ref"), "AVRO"))
    whole = record("Whole", {"name": "p", "type": "ref.Part"})
    schema = Schema(whole, "AVRO", [SchemaReference("ref.Part", "ref-part", 1)])
    value = {"p": {"a": "x"}}
    data = AvroSerializer(client, schema)(value, context)
    with Client({"url": url}) as fresh:
        assert AvroDeserializer(fresh)(data, context) == value

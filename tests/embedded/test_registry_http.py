"""The embedded schema registry, asked by confluent-kafka's own client and serializers."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.observing import MetricReport
from streams.embedded.broker import Broker
from tests.embedded.conftest import Server
from workers.registry import Registry
from workers.settings import RegistrySettings


def record(name: str, *fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


A = {"name": "a", "type": "string"}
B = {"name": "b", "type": "long", "default": 0}
B_WITHOUT = {"name": "b", "type": "long"}


def test_serializers_meet_over_it(client: SchemaRegistryClient) -> None:
    context = SerializationContext("serialized", MessageField.VALUE)
    old, new = record("R", A), record("R", A, B)
    old_bytes = AvroSerializer(client, old)({"a": "x"}, context)
    new_bytes = AvroSerializer(client, new)({"a": "y", "b": 5}, context)
    read = AvroDeserializer(client, new)
    assert read(old_bytes, context) == {"a": "x", "b": 0}
    assert read(new_bytes, context) == {"a": "y", "b": 5}
    latest = client.get_latest_version("serialized-value")
    assert (latest.version, latest.schema.schema_str) == (2, new)


def test_the_same_schema_has_one_id_everywhere(client: SchemaRegistryClient) -> None:
    schema = Schema(record("Same", A), "AVRO")
    first = client.register_schema("same-1", schema)
    spaced = Schema(json.dumps(json.loads(record("Same", A)), indent=4), "AVRO")
    assert client.register_schema("same-1", spaced) == first
    assert client.register_schema("same-2", schema) == first
    assert client.get_versions("same-1") == [1]
    assert set(client.get_subjects()) >= {"same-1", "same-2"}
    assert client.lookup_schema("same-2", spaced).schema_id == first
    assert sorted(client.get_subjects_by_schema_id(first)) == ["same-1", "same-2"]


def test_incompatible_schemas_are_refused_with_the_reason(client: SchemaRegistryClient) -> None:
    client.register_schema("strict", Schema(record("R", A), "AVRO"))
    breaking = Schema(record("R", A, B_WITHOUT), "AVRO")
    with pytest.raises(SchemaRegistryError) as caught:
        client.register_schema("strict", breaking)
    assert (caught.value.http_status_code, caught.value.error_code) == (409, 409)
    assert "b" in caught.value.error_message
    assert not client.test_compatibility("strict", breaking)
    client.set_compatibility("strict", "FORWARD")
    assert client.get_compatibility("strict") == "FORWARD"
    assert client.test_compatibility("strict", breaking)
    client.register_schema("strict", breaking)


def test_deleting_is_soft_then_for_good(client: SchemaRegistryClient) -> None:
    first = client.register_schema("gone", Schema(record("Gone", A), "AVRO"))
    client.register_schema("gone", Schema(record("Gone", A, B), "AVRO"))
    assert client.delete_subject("gone") == [1, 2]
    assert "gone" not in client.get_subjects()
    assert "gone" in client.get_subjects(deleted=True)
    assert client.get_schema(first, "gone").schema_str == record("Gone", A)
    with pytest.raises(SchemaRegistryError) as caught:
        client.delete_subject("gone")
    assert caught.value.error_code == 40404
    assert client.delete_subject("gone", permanent=True) == [1, 2]
    assert "gone" not in client.get_subjects(deleted=True)
    client.register_schema("gone", Schema(record("Other", A), "AVRO"))
    assert client.get_versions("gone") == [1]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/subjects/none/versions", None, 40401),
        ("GET", "/subjects/errors/versions/7", None, 40402),
        ("GET", "/subjects/errors/versions/0", None, 42202),
        ("GET", "/schemas/ids/99999", None, 40403),
        ("POST", "/subjects/errors", {"schema": record("Nobody")}, 40403),
        ("POST", "/subjects/errors/versions", {"schema": "{"}, 42201),
        ("POST", "/subjects/errors/versions", {"schema": '{"type": "nothing"}'}, 42201),
        ("POST", "/subjects/errors/versions", {"schema": "{}", "schemaType": "JSON"}, 42201),
        ("POST", "/subjects/errors/versions", [], 422),
        ("PUT", "/config/errors", {"compatibility": "SOMEHOW"}, 42203),
        ("PUT", "/mode/errors", {"mode": "WRITEONLY"}, 42204),
        ("GET", "/config/errors", None, 40408),
        ("DELETE", "/subjects/errors?permanent=true", None, 40405),
        ("PATCH", "/subjects", None, None),
        ("PUT", "/subjects", {}, 405),
        ("GET", "/nothing", None, 404),
    ],
)
def test_errors_have_confluents_codes(
    registry: Server, method: str, path: str, body: Any, code: int | None
) -> None:
    base = f"http://127.0.0.1:{registry.port}"
    requests.post(f"{base}/subjects/errors/versions", json={"schema": record("E", A)}, timeout=60)
    answer = requests.request(method, base + path, json=body, timeout=60)
    assert answer.status_code >= 400
    if code is not None:
        assert answer.json()["error_code"] == code
        assert answer.status_code == int(str(code)[:3])


def test_read_only_subjects_refuse(client: SchemaRegistryClient) -> None:
    client.update_mode("sealed", "READONLY")
    with pytest.raises(SchemaRegistryError) as caught:
        client.register_schema("sealed", Schema(record("S", A), "AVRO"))
    assert caught.value.error_code == 42205
    client.delete_mode("sealed")
    client.register_schema("sealed", Schema(record("S", A), "AVRO"))


def test_our_own_contracts_register_and_a_restart_keeps_them(
    broker: Broker, registry: Server, tmp_path: Path
) -> None:
    ours = Registry(RegistrySettings(url=f"http://127.0.0.1:{registry.port}"))
    ids = ours.register_all()
    assert ours.register_all() == ids
    second = Server("streams.embedded.registry", (), tmp_path / "second.log")
    second.start(WEIR_KAFKA__BOOTSTRAP=broker.bootstrap)
    try:
        again = Registry(RegistrySettings(url=f"http://127.0.0.1:{second.port}"))
        assert again.id_of(MetricReport) == ids[MetricReport]
        assert again.schema_of(ids[MetricReport]) == ours.schema_of(ids[MetricReport])
        again.close()
    finally:
        second.stop()
        ours.close()

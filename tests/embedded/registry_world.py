"""What tests of the embedded registry say to it through confluent-kafka's client."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry import schema_registry_client as classes
from confluent_kafka.schema_registry.error import SchemaRegistryError


def record(name: str, *fields: dict[str, Any], **further: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)} | further)


A = {"name": "a", "type": "string"}
B = {"name": "b", "type": "long", "default": 0}
C = {"name": "c", "type": ["null", "string"], "default": None}
Client = SchemaRegistryClient


def avro(*fields: dict[str, Any], name: str = "R", **further: Any) -> Schema:
    return Schema(record(name, *fields), "AVRO", **further)


def tagged(**properties: str) -> classes.Metadata:
    return classes.Metadata(None, classes.MetadataProperties(properties), [])


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(SchemaRegistryError) as caught:
        call()
    status, code = caught.value.http_status_code, caught.value.error_code
    assert status == int(str(code)[:3])
    assert caught.value.error_message
    return int(code)

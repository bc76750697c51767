"""Compatibility in every mode, against the newest version and against all."""

import json

import pytest

from schemas import evolution, files
from schemas.errors import ContractError


def record(*fields: dict[str, object]) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": list(fields)})


A = {"name": "a", "type": "string"}
B = {"name": "b", "type": "long"}
B_DEFAULT = B | {"default": 0}
ONE = record(A)
WITH_DEFAULT = record(A, B_DEFAULT)
WITHOUT_DEFAULT = record(A, B)


@pytest.mark.parametrize(
    ("mode", "compatible"),
    [
        ("NONE", True),
        ("BACKWARD", False),
        ("BACKWARD_TRANSITIVE", False),
        ("FORWARD", True),
        ("FORWARD_TRANSITIVE", True),
        ("FULL", False),
        ("FULL_TRANSITIVE", False),
    ],
)
def test_a_further_field_without_default_cannot_read_the_old(mode: str, compatible: bool) -> None:
    assert (evolution.incompatibilities(WITHOUT_DEFAULT, [ONE], mode) == []) is compatible


@pytest.mark.parametrize("mode", evolution.MODES)
def test_a_further_field_with_default_is_compatible_in_every_mode(mode: str) -> None:
    assert evolution.incompatibilities(WITH_DEFAULT, [ONE], mode) == []
    assert evolution.incompatibilities(ONE, [WITH_DEFAULT], mode) == []
    assert evolution.incompatibilities(ONE, [], mode) == []


def test_transitive_looks_at_all_versions() -> None:
    history = [ONE, WITH_DEFAULT]
    assert evolution.incompatibilities(WITHOUT_DEFAULT, history, "BACKWARD") == []
    (problem,) = evolution.incompatibilities(WITHOUT_DEFAULT, history, "BACKWARD_TRANSITIVE")
    assert "the new schema cannot read old data" in problem
    assert "b" in problem


def test_a_widened_number_can_be_read_one_way() -> None:
    narrow, wide = record(A, B | {"type": "int"}), record(A, B)
    assert evolution.incompatibilities(wide, [narrow], "BACKWARD") == []
    (problem,) = evolution.incompatibilities(wide, [narrow], "FULL")
    assert "the old schema cannot read new data" in problem


@pytest.mark.parametrize("text", ["", "{}", "7", '"no"', '{"type": "record"}', "[1]", "null"])
def test_what_is_no_schema_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(ContractError, match="not a valid Avro schema"):
        evolution.incompatibilities(text, [], "NONE")
    with pytest.raises(ContractError, match="not a valid Avro schema"):
        evolution.incompatibilities(ONE, [text], "FULL")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ContractError, match="SIDEWAYS"):
        evolution.incompatibilities(ONE, [], "SIDEWAYS")


@pytest.mark.parametrize("name", files.records())
def test_a_defaulted_field_may_be_added_to_every_record(name: str) -> None:
    schema = files.schema(name)
    schema["fields"].append({"name": "later", "type": ["null", "string"], "default": None})
    assert (
        evolution.incompatibilities(json.dumps(schema), [files.text(name)], "FULL_TRANSITIVE") == []
    )
    schema["fields"] = schema["fields"][1:]
    assert evolution.incompatibilities(json.dumps(schema), [files.text(name)], "FULL_TRANSITIVE")

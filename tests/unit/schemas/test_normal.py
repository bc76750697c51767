"""Normal form: equal for equal schemas, whole with references, and still the same schema."""

import json
from itertools import permutations
from typing import Any

import pytest

from schemas import evolution, normal
from schemas.errors import ContractError
from tests.compatibility.histories import histories
from tests.schema_pairs import Maker


def record(name: str, *fields: dict[str, Any], **further: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)} | further)


A = {"name": "a", "type": "string"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"type": "int"}', '"int"'),
        ('["null", {"type": "int"}]', '["null", "int"]'),
        (record("R", A, namespace="n"), record("n.R", A)),
        (record("R", A), record("R", A | {"type": {"type": "string"}})),
        (record("R", A), record("R", A | {"order": "ascending"})),
        (record("n.R", A, aliases=["Old"]), record("n.R", A, aliases=["n.Old"])),
        (
            record("n.R", A, {"name": "b", "type": {"type": "fixed", "name": "F", "size": 1}}),
            record("n.R", A, {"name": "b", "type": {"type": "fixed", "name": "n.F", "size": 1}}),
        ),
    ],
)
def test_ways_to_write_the_same_are_one(one: str, other: str) -> None:
    assert normal.canonical(one) == normal.canonical(other)


@pytest.mark.parametrize(
    "other",
    [
        record("S", A),
        record("m.R", A),
        record("R", A, doc="d"),
        record("R", A | {"default": ""}),
        record("R", A | {"order": "descending"}),
        record("R", A | {"type": {"type": "string", "logicalType": "uuid"}}),
        record("R", A | {"aliases": ["b"]}),
        record("R"),
    ],
)
def test_what_differs_stays_different(other: str) -> None:
    assert normal.canonical(record("R", A)) != normal.canonical(other)


def test_normal_form_is_the_same_schema_and_its_own_normal_form() -> None:
    for history in histories()[:60]:
        for text in history:
            plain = normal.canonical(text)
            assert normal.canonical(plain) == plain
            assert evolution.incompatibilities(plain, [text], "FULL") == []
        for one, other in permutations(history, 2):
            assert (normal.canonical(one) == normal.canonical(other)) is (
                json.loads(one) == json.loads(other)
            )


def test_references_of_references_are_written_once() -> None:
    deep = record("n.Deep", A)
    left = record("n.Left", {"name": "d", "type": "n.Deep"})
    right = record("n.Right", {"name": "d", "type": "Deep"})
    fields = ({"name": n, "type": f"n.{n}"} for n in ("Left", "Right", "Deep"))
    whole = normal.resolved(record("n.Whole", *fields), [deep, left, right])
    evolution.check_schema(whole)
    assert whole.count('"name":"n.Deep"') == 1
    assert json.loads(whole)["fields"][2]["type"] == "n.Deep"


def test_a_type_inside_of_a_reference_may_be_named() -> None:
    holder = record("H", {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["X"]}})
    fields = ({"name": "e", "type": "E"}, {"name": "h", "type": "H"})
    whole = normal.resolved(record("W", *fields), [holder])
    evolution.check_schema(whole)
    assert json.loads(whole)["fields"][0]["type"]["symbols"] == ["X"]


def test_a_name_without_namespace_keeps_none_inside_of_one() -> None:
    inner = {"type": "record", "name": "Bare", "namespace": "", "fields": []}
    whole = normal.canonical(record("n.W", {"name": "b", "type": inner}))
    assert json.loads(whole)["fields"][0]["type"]["namespace"] == ""
    assert normal.canonical(whole) == whole


@pytest.mark.parametrize("text", ["", "{", "{}", '{"type": "record"}', "7", '{"type": 7}'])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="not a valid Avro schema"):
        evolution.check_schema(text)


def test_the_same_seed_makes_the_same_schemas() -> None:
    assert Maker(7).versions(3) == Maker(7).versions(3)
    assert Maker(7).versions(3) != Maker(8).versions(3)

"""Verdicts on hundreds of schemas and what became of them: as Avro's libraries give them."""

import io
import json
from functools import cache
from typing import Any

import fastavro
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from schemas import evolution
from schemas.codec import without_logical_types
from schemas.errors import ContractError
from tests.compatibility.histories import histories, of_java
from tests.schema_pairs import Maker


def readable(reader: str, writer: str) -> bool:
    return not evolution.incompatibilities(reader, [writer], "BACKWARD")


@cache
def parsed(text: str) -> Any:
    return parse(text)


def in_python(reader: str, writer: str) -> bool:
    """What Avro's Python library says, asked for this pair alone."""
    checker = ReaderWriterCompatibilityChecker()
    found = checker.get_compatibility(parsed(reader), parsed(writer)).compatibility
    return found is SchemaCompatibilityType.compatible


def expected(mode: str, new: str, earlier: list[str]) -> bool:
    """What a mode demands, of verdicts of the Java library."""
    against = earlier if mode.endswith("_TRANSITIVE") else earlier[-1:]
    backward = all(of_java()[new, old] for old in against) or mode.startswith("FORWARD")
    forward = all(of_java()[old, new] for old in against) or mode.startswith("BACKWARD")
    return mode == "NONE" or (backward and forward)


def test_every_pair_is_judged_as_the_java_library_judges() -> None:
    said = of_java()
    assert {pair: readable(*pair) for pair in said} == said
    assert 400 < sum(said.values()) < len(said) - 400


def test_every_pair_is_judged_as_the_python_library_judges() -> None:
    assert {pair: in_python(*pair) for pair in of_java()} == of_java()


@pytest.mark.parametrize("mode", evolution.MODES)
def test_every_mode_asks_for_what_it_is_named_for(mode: str) -> None:
    told = [not evolution.incompatibilities(new, [a, b], mode) for a, b, new in histories()]
    assert told == [expected(mode, new, [a, b]) for a, b, new in histories()]
    assert all(told) is (mode == "NONE")


def test_what_is_called_compatible_can_be_read() -> None:
    maker = Maker(0)
    for reader, writer in list(of_java())[:900]:
        wanted, written = (without_logical_types(json.loads(text)) for text in (reader, writer))
        if readable(reader, writer):
            for _ in range(3):
                buffer = io.BytesIO()
                fastavro.schemaless_writer(buffer, written, maker.datum(written))
                fastavro.schemaless_reader(io.BytesIO(buffer.getvalue()), written, wanted)


def test_an_alias_is_meant_in_the_namespace_of_its_type() -> None:
    old = {"type": "record", "name": "Old", "namespace": "n", "fields": []}
    new = old | {"name": "New", "aliases": ["Old"]}
    abroad = new | {"namespace": "m"}
    assert readable(json.dumps(new), json.dumps(old))
    assert not readable(json.dumps(abroad), json.dumps(old))


@pytest.mark.parametrize(
    ("kind", "default", "good"),
    [
        ("int", 2**31 - 1, True),
        ("int", 2**31, False),
        ("int", 1.5, False),
        ("int", True, False),
        ("long", -(2**63), True),
        ("long", 2**63, False),
        ("double", 1, True),
        ("double", None, False),
        ("double", "NaN", True),
        ("boolean", 0, False),
        ("string", 1, False),
        ("bytes", "\u00ff", True),
        ("null", None, True),
        (["null", "int"], 1, True),
        (["null", "int"], "x", False),
        ({"type": "array", "items": "int"}, [1, "x"], False),
        ({"type": "array", "items": "int"}, {}, False),
        ({"type": "map", "values": "int"}, {"k": 1}, True),
        ({"type": "map", "values": "int"}, {"k": None}, False),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "A", True),
        ({"type": "fixed", "name": "F", "size": 1}, 1, False),
        ({"type": "long", "logicalType": "timestamp-millis"}, "x", False),
        ({"type": "record", "name": "N", "fields": [{"name": "b", "type": "int"}]}, {}, False),
        ({"type": "record", "name": "N", "fields": [{"name": "b", "type": "R"}]}, {}, False),
    ],
)
def test_a_default_must_be_of_its_fields_type(kind: Any, default: Any, good: bool) -> None:
    field = {"name": "a", "type": kind, "default": default}
    text = json.dumps({"type": "record", "name": "R", "fields": [field]})
    if good:
        evolution.check_schema(text)
        return
    with pytest.raises(ContractError, match="Invalid default for field a"):
        evolution.check_schema(text)


def test_a_default_that_never_ends_is_refused() -> None:
    field = {"name": "a", "type": "R", "default": {}}
    with pytest.raises(ContractError, match="default"):
        evolution.check_schema(json.dumps({"type": "record", "name": "R", "fields": [field]}))


@pytest.mark.parametrize("name", ["1a", "a-b", "", "a.b"])
def test_a_field_has_a_name_that_readers_can_use(name: str) -> None:
    text = json.dumps({"type": "record", "name": "R", "fields": [{"name": name, "type": "int"}]})
    with pytest.raises(ContractError):
        evolution.check_schema(text)


def test_an_annotation_that_nobody_knows_annotates_nothing() -> None:
    odd, plain = ('{"type": "int", "logicalType": "moons"}', '"int"')
    assert readable(odd, plain)
    assert readable(plain, odd)

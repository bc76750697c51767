"""Published schemas are reviewed, and versions are compared field by field."""

import json
from typing import Any

import pytest

from schemas import files, review
from schemas.errors import UnknownContract
from schemas.review import Difference


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend that MetricReport has the given schemas as its versions."""

    def pretend(*schemas: dict[str, Any]) -> list[str]:
        texts = [json.dumps(schema) for schema in schemas]
        monkeypatch.setattr(files, "versions", lambda _: tuple(range(1, len(texts) + 1)))
        monkeypatch.setattr(files, "text", lambda _, version=None: texts[(version or 0) - 1])
        return review.review("MetricReport")

    return pretend


@pytest.mark.parametrize("name", files.records())
def test_what_is_published_is_in_order(name: str) -> None:
    assert review.review(name) == []


def test_an_unknown_record_is_refused() -> None:
    with pytest.raises(UnknownContract, match="Nothing"):
        review.review("Nothing")


def test_an_incompatible_version_is_found(other: Any) -> None:
    first, second = files.schema("MetricReport"), files.schema("MetricReport")
    second["fields"].append({"name": "zone", "type": "string", "doc": "where"})
    problems = other(first, second)
    assert any("version 2: the new schema cannot read old data" in p for p in problems)
    assert problems[-1] == "version 2 is not what the class MetricReport says"


def test_missing_documentation_maps_and_names_are_found(other: Any) -> None:
    schema = files.schema("MetricReport")
    schema["fields"][1]["doc"] = " "
    schema["fields"].append(
        {"name": "tags", "type": {"type": "map", "values": "string"}, "doc": "d", "default": {}}
    )
    schema["name"] = "Metric"
    problems = other(schema)
    assert "version 1: it is named Metric" in problems
    assert "version 1: it has a map; use an array of KeyValue" in problems
    assert "version 1: Metric.app is not documented" in problems


def test_what_is_no_schema_is_found(other: Any) -> None:
    (problem, _) = other({"type": "record", "name": "MetricReport"})
    assert "not a valid Avro schema" in problem


def test_differences_name_field_and_property() -> None:
    before, after = files.schema("Observation"), files.schema("Observation")
    after["fields"][1]["doc"] = "which time it was said"
    after["fields"][8]["type"] = ["null", "string"]
    after["fields"].append({"name": "more", "type": "string", "default": "", "doc": "more"})
    sources = next(f for f in after["fields"] if f["name"] == "sources")
    del sources["type"]["items"]["fields"][-1]
    found = review.differences(json.dumps(before), json.dumps(after))
    paths = [(d.path, d.what) for d in found]
    assert ("Observation.revision", "doc") in paths
    unit = before["fields"][8]["name"]
    assert Difference(f"Observation.{unit}", "type", '"string"', '["null", "string"]') in found
    assert Difference("Observation.more", "default", "", '""') in found
    assert ("Observation.sources/SourceRange.series", "type") in paths
    assert not review.differences(json.dumps(before), json.dumps(before))

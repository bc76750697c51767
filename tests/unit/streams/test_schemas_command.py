"""`weir schemas`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas import files
from streams.commands.schemas import app

RUN = CliRunner()


def test_check_finds_all_records_in_order() -> None:
    result = RUN.invoke(app, ["check"])
    assert result.exit_code == 0
    assert result.output == f"{len(files.records())} records checked, 0 with problems\n"


def test_check_takes_names_and_answers_in_json() -> None:
    result = RUN.invoke(app, ["check", "MetricReport", "--json"])
    assert json.loads(result.output) == {"checked": 1, "problems": {}}


def test_check_ends_with_4_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = files.schema("GroundTruth")
    del schema["fields"][0]["doc"]
    monkeypatch.setattr(files, "text", lambda *_: json.dumps(schema))
    result = RUN.invoke(app, ["check", "GroundTruth"])
    assert result.exit_code == 4
    assert "GroundTruth: version 1: GroundTruth.request_id is not documented" in result.output


def test_diff_shows_what_a_file_would_change(tmp_path: Path) -> None:
    schema = files.schema("GroundTruth")
    schema["fields"].append({"name": "weight", "type": "double", "doc": "w", "default": 1.0})
    changed = tmp_path / "changed.avsc"
    changed.write_text(json.dumps(schema), "utf-8")
    result = RUN.invoke(app, ["diff", "GroundTruth", "1", str(changed)])
    assert result.exit_code == 0
    assert "GroundTruth.weight type\n  - (none)\n" in result.output
    assert "compatible in the modes NONE, BACKWARD, FORWARD, FULL" in result.output
    answer = RUN.invoke(app, ["diff", "GroundTruth", str(changed), "--json"])
    assert {d["path"] for d in json.loads(answer.output)["differences"]} == {"GroundTruth.weight"}


@pytest.mark.parametrize("content", [None, "no schema"])
def test_diff_refuses_a_file_that_is_no_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("x.avsc")
    if content is not None:
        path.write_text(content, "utf-8")
    result = RUN.invoke(app, ["diff", "GroundTruth", str(path)])
    assert result.exit_code == 2
    assert "x.avsc" in result.output

"""`weir apps validate` and `show` on files: mistakes with their places, the graph as a picture."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from streams.commands.apps import app
from streams.errors import RegistrationError
from streams.graphing import reading
from workers.handover.errors import DocumentRefused

RUN = CliRunner()
GOOD = """
app: cameras
owner: ops
quorum: 2
services:
  - {service: small, stage: detect}
stages:
  - stage: crop
    kind: preprocess
    services: [cropper]
    gives: [{name: x, dtype: float32, shape: [3, 8]}]
  - stage: detect
    kind: cascade
    services: [small, large]
    escalate_below: 0.8
    inputs: [crop]
    takes: [{name: x, dtype: float32, shape: [3, 8]}]
  - stage: again
    services: [huge]
    optional: true
    conditions: [{stage: detect, on: confidence, operator: "<", threshold: 0.6}]
  - stage: trial
    kind: split
    services: [a, b]
    splits: [{service: a, weight: 90}, {service: b, weight: 10, role: canary}]
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "app.yaml"
    file.write_text(GOOD)
    return file


def test_a_good_graph_is_valid_and_drawn(good: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["validate", "-f", str(good), "--offline", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"app": "cameras", "valid": True, "problems": []}
    picture = tmp_path / "graph.svg"
    shown = RUN.invoke(app, ["show", "--file", str(good), "--picture", str(picture)])
    assert shown.exit_code == 0, shown.output
    for line in (
        "cameras: 4 stages, early with 2 answers",
        "2. detect (cascade)",
        "asks small, large in turn while confidence is below 0.8",
        "if confidence of detect < 0.6",
        "asks a 90 active, b 10 canary",
        "the answer may do without it",
    ):
        assert line in shown.stdout
    drawn = ET.fromstring(picture.read_text())
    texts = [part.text for part in drawn.iter() if part.tag.endswith("text")]
    assert {"crop", "detect", "again", "trial", "small, large"} <= set(texts)


def test_mistakes_are_told_with_places_and_end_with_4(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    stages = [
        {"stage": "a", "inputs": ["b"]},
        {"stage": "b", "inputs": ["a"], "combine": "magic"},
    ]
    file.write_text(json.dumps({"app": "x", "owner": "o", "stages": stages}))
    done = RUN.invoke(app, ["validate", "-f", str(file), "--offline"])
    assert done.exit_code == 4
    assert "wrong: stages[0]: stages wait in a cycle: a -> b -> a;" in done.stdout
    assert "wrong: stages[1].combine: there is no combiner 'magic'; name one of" in done.stdout
    assert "2 mistakes, 0 doubts" in done.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- 1", "must be a table with named fields"),
        ("app: [", "is no YAML"),
        ("app: x\napp: y", "stands twice"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(text)
    with pytest.raises(DocumentRefused, match=told):
        reading.table(file)


def test_fields_that_no_application_has_are_told_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text('app = "x"\n[[stages]]\nstage = "a"\nspeed = 3\n')
    with pytest.raises(RegistrationError, match=r"app.toml: Stage has no field stages\[0\].speed"):
        reading.application(file, 0)


def test_an_application_or_a_file_is_shown_not_both(good: Path) -> None:
    assert RUN.invoke(app, ["show"]).exit_code == 2
    assert RUN.invoke(app, ["show", "cameras", "--file", str(good)]).exit_code == 2

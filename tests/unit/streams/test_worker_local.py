"""`weir worker smoke`, `run`, `report` and `template`: what they take, print, and refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streams import toml
from tests.commanding import command
from workers.smoke.checks import NAMES
from workers.smoke.samples import write_models

RUN = """\
version = 1
name = "one"
duration_ms = 60
[[services]]
name = "readings"
budget_ms = 20000
model = { artifact = "dense.onnx" }
arrivals = { kind = "periodic", every_ms = 10 }
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    for path in models.glob("*.onnx"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "one.toml").write_text(RUN, "utf-8")
    return tmp_path


def weir(folder: Path, *arguments: str) -> Any:
    return command("worker", *arguments, environ={"WEIR_DATA_DIR": str(folder / "data")})


def run(folder: Path, name: str = "one.toml", *more: str) -> Any:
    output = folder / "run.json"
    return weir(folder, "run", "--config", str(folder / name), "--output", str(output), *more)


def test_a_run_executes_real_models_and_is_told_again(folder: Path) -> None:
    done = run(folder, "one.toml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "run.json").read_text("utf-8"))
    assert json.loads(done.stdout) == found
    assert (found["frames"], found["complete"], found["mode"]) == (6, True, "normal")
    assert 0 <= found["behind_ms"] < 20_000
    readings = found["work"]["services"]["readings"]
    assert (readings["arrived"], readings["in_time"], readings["failed"]) == (6, 6, 0)
    model = found["models"]["readings"]
    assert (model["provider"], model["inputs"]) == ("CPUExecutionProvider", {"x": "float32:?x512"})
    assert found["resources"]["process.memory"]["max"] > 0
    assert found["versions"]["onnxruntime"]
    told = weir(folder, "report", str(folder / "run.json"))
    assert (told.returncode, "readings" in told.stdout) == (0, True)
    again = weir(folder, "report", str(folder / "run.json"), "--json")
    assert json.loads(again.stdout) == found


@pytest.fixture(scope="module")
def document(models: Path) -> str:
    (models / "kept.toml").write_text(RUN, "utf-8")
    assert run(models, "kept.toml", "--frames", "1").returncode == 0
    return (models / "run.json").read_text("utf-8")


def test_a_run_is_told_as_the_summary_of_another_tool(folder: Path, document: str) -> None:
    (folder / "run.json").write_text(document, "utf-8")
    form = "inferedge-orchestration-summary-v1"
    done = weir(folder, "report", str(folder / "run.json"), "--format", form)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["schema_version"], found["run"]["name"]) == (form, "one")
    assert found["agent_runtime_summary"]["agents"]["readings"]["latency_budget_ms"] == 20000
    assert weir(folder, "report", str(folder / "run.json"), "--format", "x").returncode == 2


@pytest.mark.parametrize("place", [["work"], ["work", "total"], ["models", "readings"]])
def test_a_damaged_document_is_told_by_its_field(
    folder: Path, document: str, place: list[str]
) -> None:
    found = json.loads(document)
    *before, last = place
    inside = found
    for step in before:
        inside = inside[step]
    inside[last] = 3
    (folder / "bad.json").write_text(json.dumps(found), "utf-8")
    done = weir(folder, "report", str(folder / "bad.json"))
    assert (done.returncode, ".".join(place) in done.stderr) == (4, True)
    assert "a table of fields" in done.stderr


def test_frames_and_modes_say_how_much_comes(folder: Path) -> None:
    assert run(folder, "one.toml", "--frames", "2").returncode == 0
    assert json.loads((folder / "run.json").read_text("utf-8"))["frames"] == 2
    assert run(folder, "one.toml", "--mode", "overload").returncode == 0
    found = json.loads((folder / "run.json").read_text("utf-8"))
    assert (found["frames"], found["load"], found["mode"]) == (18, 3.0, "overload")


def test_files_are_the_input_of_a_run(folder: Path) -> None:
    np.save(folder / "x.npy", np.ones((40, 512), np.float32))  # more than a request can carry
    given = 'input = { kind = "files", path = "x.npy" }\n'
    (folder / "files.toml").write_text(RUN + given, "utf-8")
    done = run(folder, "files.toml", "--mode", "device-local", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["work"]["total"]["in_time"] == 6


def test_the_template_can_be_run_and_is_never_overwritten(tmp_path: Path) -> None:
    to = tmp_path / "begun"
    assert weir(tmp_path, "template", "--to", str(to)).returncode == 0
    assert weir(tmp_path, "template", "--to", str(to)).returncode == 2
    printed = weir(tmp_path, "template").stdout
    assert printed == (to / "worker.toml").read_text("utf-8")
    done = run(to, "worker.toml", "--frames", "4")
    assert done.returncode == 0, done.stderr
    schema = json.loads(weir(tmp_path, "template", "--schema").stdout)
    assert set(toml.parsed(printed)) <= set(schema["properties"])


def changed(**fields: Any) -> str:
    content = toml.parsed(RUN)
    for place, value in fields.items():
        inside: Any = content["services"][0] if place.startswith("s_") else content
        inside[place.removeprefix("s_")] = value
    return yaml.safe_dump(content)


@pytest.mark.parametrize(
    ("text", "field", "remedy"),
    [
        (changed(duration="1"), "duration", "did you mean 'duration_ms'"),
        (changed(s_queue={"tasks": 0}), "services[0].queue.tasks", "write a larger number"),
        (changed(s_budget_ms=float("nan")), "services[0].budget_ms", "finite number"),
        (changed(s_budget_ms=-1.0), "services[0].budget_ms", "write a larger number"),
        (changed(s_priority=1.5), "services[0].priority", "whole number"),
        (changed(services=[]), "services", "at least one"),
        (changed(services=[toml.parsed(RUN)["services"][0]] * 2), "services", "name of its own"),
        (changed(version=2), "version", "should be 1"),
        (changed(mode="panic"), "mode", "normal, overload, sustained, device-local"),
        (changed(worker={"order": "none"}), "worker.order", "weir"),
        (changed(duration_ms=1e9, s_arrivals={"kind": "poisson", "rate_per_s": 1e5}),
         "duration_ms", "shorten"),
        (changed(s_model={"artifact": "not.onnx"}),
         "services[0].model", "not.onnx: No such file or directory; name a file that"),
        (changed(s_model={"artifact": "ftp://host/a.onnx"}),
         "services[0].model", "give a file, http, https or s3 URI"),
        (changed(s_model={"artifact": "dense.onnx", "digest": "0" * 64}),
         "services[0].model", "SHA-256"),
        (changed(s_model={"artifact": "one.toml"}), "services[0].model", "one.toml"),
        (changed(s_model={"artifact": "dense.onnx", "format": "tflite"}),
         "services[0].model", "known: onnx"),
        (changed(s_model={"artifact": "dense.onnx", "device": "npu"}),
         "services[0].model", "known: cpu"),
        (changed(s_model={"artifact": "dense.onnx", "options": {"thread": "2"}}),
         "services[0].model", "threads"),
        (changed(s_model={"artifact": "https://host/a.onnx"}), "services[0].model", "SHA-256"),
        (changed(s_input={"kind": "files", "path": "narrow.npy"}),
         "services[0].input", "the model takes ?x512"),
        (changed(s_input={"kind": "files", "path": "none.csv"}),
         "services[0].input.path", "No such file"),
        (changed(s_input={"kind": "files", "path": "narrow.npy", "size": "99999x99999"}),
         "services[0].input", "WIDTHxHEIGHT"),
        (changed(s_input={"kind": "files", "path": "narrow.npy", "size": "big"}),
         "services[0].input.size", "WIDTHxHEIGHT"),
        (changed(s_model={"artifact": "dense.onnx", "digest": "abc"}),
         "services[0].model.digest", "64 hexadecimal digits"),
        (changed(modes={"two words": {}}), "modes.two words", "letters"),
        (changed(modes={"hot": {"load": 0}}), "modes.hot.load", "write a larger number"),
        (changed(s_batch={"max": 2, "preferred": [4]}), "services[0].batch", "at most max"),
        (changed(s_input={"kind": "synthetic", "different": 0}),
         "services[0].input.different", "write a larger number"),
        (changed(s_input={"kind": "radio"}), "services[0].input.kind", "files"),
        (changed(s_arrivals={"kind": "trace", "file": "no.txt"}), "services[0]", "no.txt"),
        (changed(mode="device-local"), "services[0].input", "kind = 'files'"),
        (changed(mode="device-local", s_model={"artifact": "s3://b/k"}),
         "services[0].model.artifact", "files of this device"),
        ("just words", "", "table of fields"),
        ("a: 1\na: 2\n", "", "keep one"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_sentence(
    folder: Path, text: str, field: str, remedy: str
) -> None:
    np.save(folder / "narrow.npy", np.ones((1, 3), np.float32))
    (folder / "bad.yaml").write_text(text, "utf-8")
    done = run(folder, "bad.yaml")
    assert done.returncode == 4, done.stderr
    assert "bad.yaml" in done.stderr
    assert field in done.stderr
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (folder / "run.json").exists()


def test_a_file_that_is_not_there(folder: Path) -> None:
    done = run(folder, "absent.toml")
    assert (done.returncode, "template" in done.stderr) == (4, True)


def test_a_document_that_could_not_be_written_is_told_before_the_run(folder: Path) -> None:
    place = str(folder / "none" / "run.json")
    done = weir(folder, "run", "--config", str(folder / "one.toml"), "--output", place)
    assert (done.returncode, "--output" in done.stderr) == (4, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "format"),
        ('{"format": "weir-worker-run", "version": 7}', "version: it is 7"),
        ('{"format": "weir-worker-run", "version": 1, "name": "a"}', "mode: it is missing"),
        ('{"format": "weir-worker-run", "version": 1, "name": 3}', "name: it is 3 and should be"),
    ],
)
def test_a_document_of_something_else_is_refused(folder: Path, text: str, told: str) -> None:
    (folder / "bad.json").write_text(text, "utf-8")
    done = weir(folder, "report", str(folder / "bad.json"))
    assert (done.returncode, told in done.stderr) == (4, True)
    assert "bad.json" in done.stderr


def test_smoke_says_what_is_there_and_ends_as_required(folder: Path) -> None:
    done = weir(folder, "smoke", "--seconds", "0.3", "--json")
    found = json.loads(done.stdout)
    checks = {check["name"]: check["status"] for check in found["checks"]}
    assert tuple(checks) == NAMES
    assert checks["onnxruntime-cpu"] == "ok"
    assert checks["resources"] == "ok"
    assert found["ok"] == (done.returncode == 0) == (not found["wrong"])
    assert {"python", "numpy", "onnxruntime"} <= found["versions"].keys()
    assert found["contention"]["work"]["total"]["arrived"] == 125
    assert weir(folder, "smoke", "--seconds", "0.2", "--require", "warp").returncode == 2

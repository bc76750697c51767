"""`weir services import-result` and `import-manifest`: what they show, and what they refuse."""

import json
from pathlib import Path

import pytest
import tomllib

from schemas.registrations import ServiceRegistered
from streams import registration
from tests.commanding import command
from workers.inference.serving import serving_of


@pytest.fixture
def result(tmp_path: Path) -> Path:
    file = tmp_path / "result.json"
    file.write_text('{"runtime": {"summary": {"expected_latency_ms": 42.2}}}', "utf-8")
    return file


def test_what_is_shown_can_be_registered_from_a_file(result: Path) -> None:
    done = command("services", "import-result", str(result), "--service", "gate", environ={})
    assert done.returncode == 0
    first, *lines, last = done.stdout.splitlines()
    assert "budget 64 ms" in first
    assert last == "nothing was sent; --register does"
    plain = tomllib.loads("\n".join(lines))
    assert plain == {
        "service": "gate",
        "latency_ms": 42.2,
        "environment": {"serve.budget_ms": "64"},
    }
    made = registration.service({**plain, "app": "yard", "stage": "s", "artifact": "a"}, "r", 7)
    assert serving_of(made).budget_ms == 64.0


def test_programs_get_json(result: Path) -> None:
    done = command("services", "import-result", str(result), "--json", environ={})
    told = json.loads(done.stdout)
    assert (told["field"], told["budget_ms"]) == ("runtime.summary.expected_latency_ms", 64.0)
    assert told["registered"] is False


def test_a_manifest_finds_its_model_beside_it(tmp_path: Path) -> None:
    (tmp_path / "gate.onnx").write_bytes(b"model")
    manifest = tmp_path / "manifest.json"
    plain = {
        "schema_version": "inferedge-agent-manifest-v1",
        "agent_id": "gate",
        "runtime_artifact_path": "gate.onnx",
    }
    manifest.write_text(json.dumps(plain), "utf-8")
    done = command(
        "services", "import-manifest", str(manifest), "--app", "yard", "--json", environ={}
    )
    made = json.loads(done.stdout)["registration"]
    assert made["artifact"] == str(tmp_path / "gate.onnx")
    assert (made["service"], made["app"]) == ("gate", "yard")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file or directory; name a file of JSON"),
        ("", "is no JSON"),
        ("[", "is no JSON"),
        ('{"latency_ms": NaN}', "latency_ms is nan; write a finite number above 0"),
        ('{"a": 1, "a": 2}', "a stands twice in one table"),
        ('{"latency_ms": -3}', "latency_ms is -3; write a finite number above 0"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_cannot_be_used_is_bad_data(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "r.json"
    if text is not None:
        file.write_text(text, "utf-8")
    done = command("services", "import-result", str(file), environ={})
    assert done.returncode == 4
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert str(file) in done.stderr


def test_what_was_measured_replaces_only_that() -> None:
    plain = {
        "service": "gate",
        "app": "yard",
        "stage": "s",
        "artifact": "a",
        "latency_ms": 5.0,
        "environment": {"serve.budget_ms": "10", "runtime.threads": "2"},
    }
    known = registration.service(plain, "r", 7)
    made = registration.measured(known, 42.2, {"serve.budget_ms": "64"}, 9)
    again = registration.measured(known, 42.2, {"serve.budget_ms": "64"}, 11)
    assert isinstance(made, ServiceRegistered)
    assert (made.latency_ms, made.service_id, made.registered_at) == (42.2, known.service_id, 9)
    assert {e.key: e.value for e in made.environment} == {
        "serve.budget_ms": "64",
        "runtime.threads": "2",
    }
    assert made.event_id == again.event_id != known.event_id
    kept = registration.measured(known, None, {}, 9)
    assert kept.event_id == known.event_id

"""`weir dispatch plan`: what it shows from files, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.commanding import command
from tests.unit.workers.remote_documents import REGISTRY, REQUEST

THEN = "2026-05-20T00:00:05+00:00"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    for name, content in (("registry", REGISTRY), ("request", REQUEST)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return str(tmp_path / "registry.json"), str(tmp_path / "request.json")


def test_a_plan_says_who_is_asked_when_and_why(files: tuple[str, str]) -> None:
    registry, request = files
    given = ("dispatch", "plan", "--registry", registry, "--request", request, "--at", THEN)
    told = json.loads(command(*given, "--timeout-ms", "20", "--json", environ={}).stdout)
    assert (told["selected"], told["task"]) == ("edge-1", "t7")
    assert "healthy, expected after 5.0 ms" in told["reason"]
    assert [one["kind"] for one in told["attempts"]] == ["first", "retry"]
    assert told["attempts"][0] == {
        "worker": "edge-1", "kind": "first", "at_ms": 0.0, "until_ms": 20.0
    }  # fmt: skip
    shown = command(*given, environ={})
    assert shown.returncode == 0
    assert "edge-1 is asked first" in shown.stdout


def test_nobody_to_ask_is_exit_code_3_with_the_reasons(files: tuple[str, str]) -> None:
    done = command("dispatch", "plan", "gate", "--registry", files[0], environ={})
    assert done.returncode == 3
    assert "heartbeat has expired" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--registry", "none.json", "gate"], 4, "none.json: No such file"),
        (["--request", "none.json"], 4, "none.json: No such file"),
        ([], 2, "name a service, or give --request"),
        (["gate", "--budget-ms", "nan"], 2, "--budget-ms must be above 0"),
        (["gate", "--timeout-ms", "0"], 2, "timeout_ms is 0.0"),
        (["gate", "--hedge-ms", "-1"], 2, "hedge_ms is -1.0"),
        (["gate", "--at", "soon"], 2, "'soon' is no time"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(arguments: list[str], code: int, told: str) -> None:
    done = command("dispatch", "plan", *arguments, environ={})
    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", "").split())

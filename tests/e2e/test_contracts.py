"""Contracts over the real path: registered by the command line, judged by their process, told."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.observing import Observation
from streams.embedded.stack import App, Stack
from streams.entries import Entries
from tests.commanding import command
from tests.contracts.making import START, observation
from workers.clock import wall_ms
from workers.settings import Settings

pytestmark = pytest.mark.faults
PATIENCE_S = 60.0
FILE = """
contracts:
  - contract: desk
    app: digits
    consumer: shop
    clauses:
      - promise: "quick: response_latency <= 50 over 2s"
        objective: 0.5
        period: 1h
        severity: critical
      - joy >= 1 over 2s
"""
Weir = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("stack"))
    apps = (App("contract", ("run", "contract")), App("sink", ("run", "sink")))
    with Stack(settings, apps=apps) as running:
        yield running


@pytest.fixture
def weir(stack: Stack) -> Weir:
    return partial(
        command, environ={"WEIR_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}
    )


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def windows(second: int, begin: int, answer: float, large: float) -> list[Observation]:
    """Return the answers and the services of a second, as observe tells them."""
    made = [
        observation(answer, 1_000 * second, metric="response_latency"),
        observation(20.0, 1_000 * second, metric="latency", stage="classify", service="small"),
        observation(large, 1_000 * second, metric="latency", stage="classify", service="large"),
    ]
    return [
        replace(
            one,
            event_id=f"{one.event_id}-{second}",
            window_start=one.window_start - START + begin,
            window_end=one.window_end - START + begin,
        )
        for one in made
    ]


def test_a_promise_is_registered_broken_explained_and_accounted_for(
    stack: Stack, weir: Weir, tmp_path: Path
) -> None:
    file = tmp_path / "contracts.yaml"
    file.write_text(FILE)
    refused = weir("contracts", "register", "-f", str(file))
    assert (refused.returncode, "unknown metric 'joy'" in refused.stderr) == (4, True)
    registered = told(weir("contracts", "register", "-f", str(file), "--undeclared", "--json"))
    assert (registered["changed"], registered["version"]) == (True, 1)

    status = ("contracts", "status", "desk", "--json")
    begin = wall_ms() - 60_000
    with Entries(stack.settings) as entries:
        for second in range(1, 31):
            slow = second > 20
            entries.send(windows(second, begin, 130.0 if slow else 40.0, 120.0 if slow else 30.0))
            time.sleep(0.6 if second in (1, 19, 20) else 0.02)

    rows = until(lambda: told(weir(*status)), lambda found: found[0]["status"] == "violated")
    assert [row["status"] for row in rows] == ["violated", "unobserved"]
    assert 0.99 < rows[0]["budget_left"] <= 1.0

    explained = until(
        lambda: weir("contracts", "explain", "desk/quick", "--json"),
        lambda done: done.returncode == 0,
    )
    found = json.loads(explained.stdout)
    parts = found["contributions"]
    assert (parts[0]["service"], found["severity"]) == ("large", "critical")
    assert sum(part["amount"] for part in parts) == pytest.approx(found["excess"], rel=1e-12)
    assert "violated" in weir("contracts", "show", "desk").stdout
    assert [row["clause"] for row in told(weir("contracts", "history", "--json"))] == ["quick"]
    changed = told(
        weir("contracts", "register", "desk", "--app", "digits", "--owner", "shop",
             "--consumer", "shop", "--clause", "quick: response_latency <= 500 over 2s", "--json")
    )  # fmt: skip
    assert changed["version"] == 2
    until(lambda: told(weir("contracts", "history", "--json")), lambda rows: rows[0]["until"])


def test_a_contract_of_qoa4ml_is_imported_and_removed(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    quality = {"mlmodels": {"Accuracy": {"operators": ["min"], "value": "0.9"}}}
    file.write_text(json.dumps({"quality": quality, "resources": {"data": [{"id": "d"}]}}))
    found = told(weir("contracts", "import", str(file), "--app", "digits", "--register", "--json"))
    assert (found["changed"], found["clauses"]) == (
        True,
        {"model_accuracy": "accuracy.mean >= 0.9 over 1min"},
    )
    assert [one.partition(":")[0] for one in found["left_out"]] == ["resources.data[0]"]
    assert told(weir("contracts", "get", "theirs"))["source"] == "qoa4ml"
    assert told(weir("contracts", "status", "theirs", "--json"))[0]["status"] == "unobserved"
    assert weir("contracts", "remove", "theirs").returncode == 0
    assert weir("contracts", "status", "theirs").returncode == 4

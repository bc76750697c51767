"""`weir observe` as an operator uses it, against the servers of a stack without apps."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.observing import Observation
from schemas.registrations import MetricDefined, WindowDefined
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from streams.embedded.stack import Stack
from streams.entries import Entries
from tests.examples import example
from workers.clickhouse import connect
from workers.settings import Settings
from workers.sinking.migrations import migrate

pytestmark = pytest.mark.faults
Weir = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = """
app = "fraud"

[[windows]]
name = "fraud-latency"
metric = "latency"
size = "10s"
interval = "1s"

[[metrics]]
name = "fraud-slow"
metric = "slow_share"
expression = 'ratio(value > 200 where metric == "latency")'
window = "fraud-latency"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("stack")), apps=()) as started:
        yield started


@pytest.fixture(scope="module")
def environ(stack: Stack) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    return kept | {"WEIR_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}


@pytest.fixture
def weir(environ: dict[str, str]) -> Weir:
    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "streams.cli", "observe", *arguments]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return call


def listed(weir: Weir) -> dict[str, dict[str, Any]]:
    done = weir("list", "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_definitions_are_applied_listed_stopped_and_removed(
    weir: Weir, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "fraud.toml"
    file.write_text(FILE, "utf-8")
    first, again = (weir("apply", "-f", str(file), "--json") for _ in range(2))
    assert json.loads(first.stdout)["changed"] == ["fraud-latency", "fraud-slow"]
    assert "application fraud is not registered" in first.stderr
    assert json.loads(again.stdout)["changed"] == []
    rows = listed(weir)
    assert {name: row["state"] for name, row in rows.items()} == {
        "fraud-latency": "in force",
        "fraud-slow": "in force",
    }
    assert rows["fraud-latency"]["how"] == "10 s each 1 s"
    assert abs(rows["fraud-slow"]["since"] / 1000 - time.time()) < 60
    stopped = weir("stop", "fraud-latency")
    assert stopped.stdout == "stopped: window fraud-latency\n"
    assert stopped.stderr == "weir: warning: no values without window fraud-latency: fraud-slow\n"
    assert {name: row["state"] for name, row in listed(weir).items()} == {
        "fraud-latency": "stopped",
        "fraud-slow": "waits: window fraud-latency is stopped",
    }
    assert weir("apply", "-f", str(file), "--json").returncode == 0
    assert listed(weir)["fraud-latency"]["state"] == "in force"
    for name in ("fraud-latency", "fraud-slow"):
        assert weir("remove", name).returncode == 0
    with Entries(stack.settings) as entries:
        assert not entries.of(WindowDefined)
        assert not entries.of(MetricDefined)


def test_nothing_of_a_wrong_file_is_sent(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / "fraud.toml"
    file.write_text(FILE.replace("200 where", '"much" where'), "utf-8")
    done = weir("apply", "-f", str(file))
    assert done.returncode != 0
    assert "column 15" in done.stderr
    assert "Traceback" not in done.stderr
    assert listed(weir) == {}
    missing = weir("remove", "nobody")
    assert missing.returncode != 0
    assert "no window or metric 'nobody'" in missing.stderr


def test_the_latest_observations_are_scraped(
    stack: Stack, environ: dict[str, str], tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "serve.log"
    command = [sys.executable, "-m", "streams.cli", "observe", "serve", "--port", str(port)]
    process = launch(command, log, environ)
    seen = replace(example(Observation), final=True, instance="i", p95=2.5)
    try:
        wait_until(lambda: listens(port), process, "serve", log, 60)
        found: set[float] = set()
        with Entries(stack.settings) as entries:
            until = time.monotonic() + 30
            while not found and time.monotonic() < until:
                entries.send([seen])
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    families = text_string_to_metric_families(answer.read().decode())
                    found = {
                        sample.value
                        for family in families
                        for sample in family.samples
                        if sample.name == "weir_observation_p95"
                    }
        assert found == {2.5}
    finally:
        stop(process, 60)
    assert process.returncode == 0


def test_what_clickhouse_holds_is_exported(weir: Weir, stack: Stack, tmp_path: Path) -> None:
    database = connect(stack.settings.clickhouse)
    migrate(database)
    database.close()
    file = tmp_path / "out.csv"
    done = weir("export", "--app", "fraud", "--since", "2h", "-o", str(file), "--json")
    assert json.loads(done.stdout) == {"file": str(file), "rows": 0}
    assert file.read_text("utf-8").startswith('"app","stage"')
    wrong = weir("export", "--app", "fraud", "--since", "2026-01-01T00:00:00", "-o", str(file))
    assert wrong.returncode == 2
    assert "say its offset" in wrong.stderr.replace("\n", " ")

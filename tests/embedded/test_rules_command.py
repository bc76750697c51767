"""`weir rules`, `silences` and `quality` as an operator uses them, with the processor running."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.observing import Observation
from streams.embedded.stack import App, Stack
from streams.entries import Entries
from tests.commanding import command
from tests.contracts.making import START, observation
from workers.settings import Settings

pytestmark = pytest.mark.faults
QUALITY = App("data", ("run", "quality"))
FILE = """
app = "digits"

[[rules]]
name = "slow"
when = "latency.p95 > 200"
critical = 1000
service = "camera"

[[rules]]
name = "slower"
when = "latency > 150"
depends_on = ["slow"]

[[rules]]
name = "silent"
metric = "heartbeats"
absent = "5s"
"""
Weir = Callable[..., str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with Stack(Settings(data_dir=folder), apps=(QUALITY,)) as started:
        yield started


@pytest.fixture
def weir(stack: Stack) -> Weir:
    """Call the command line; it must say what it says without an error."""
    environ = {"WEIR_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}

    def call(*arguments: str, code: int = 0) -> str:
        done = command(*arguments, environ=environ)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return call


def raised(weir: Weir, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return what is raised, by rule, once it is as it should be."""
    patience = time.monotonic() + 40
    while True:
        found = {row["rule"]: row for row in json.loads(weir("quality", "--json"))}
        if until(found) or time.monotonic() > patience:
            return found
        time.sleep(0.2)


def test_rules_are_registered_judged_silenced_and_removed(
    weir: Weir, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(FILE, "utf-8")
    assert "slow: p95 of latency > 200" in weir("rules", "check", "-f", str(file))
    assert json.loads(weir("rules", "list", "--json")) == []
    first = json.loads(weir("rules", "register", "-f", str(file), "--json"))
    assert first["changed"] == ["slow", "slower", "silent"]
    assert json.loads(weir("rules", "register", "-f", str(file), "--json"))["changed"] == []
    assert json.loads(weir("rules", "show", "slow"))["critical_threshold"] == 1000.0
    states = {row["rule"]: row["state"] for row in json.loads(weir("rules", "list", "--json"))}
    assert set(states.values()) == {"in force"}
    weir("silences", "add", "upkeep", "--rule", "silent", "--reason", "not yet", "--for", "1h")

    with Entries(stack.settings) as entries:
        entries.send(_seen(300.0))
        found = raised(weir, lambda rows: rows.keys() == {"slow", "slower", "silent"})
        assert found["slow"]["silenced_by"] == ""
        assert found["slower"]["silenced_by"] == "rule slow"
        assert found["silent"]["silenced_by"] == "silence upkeep"
        assert [row["severity"] for row in found.values()] == ["warning"] * 3
        entries.send(_seen(2_000.0, 2))
        found = raised(weir, lambda rows: rows["slow"]["severity"] == "critical")
        assert found["slow"]["severity"] == "critical"
        weir("silences", "end", "upkeep")
        found = raised(weir, lambda rows: not rows["silent"]["silenced_by"])
        assert found["silent"]["silenced_by"] == ""
        entries.send(_seen(10.0, 3))
        assert raised(weir, lambda rows: rows.keys() == {"silent"}).keys() == {"silent"}
    weir("rules", "remove", "silent")
    assert raised(weir, lambda rows: not rows) == {}
    assert "critical" not in weir("quality")


def test_nothing_of_a_wrong_file_is_sent(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    good, bad = '[[rules]]\nname = "fine"\nwhen = "a > 1"\n', '[[rules]]\nname = "r"\nwhen = "a"\n'
    file.write_text(good + bad, "utf-8")
    assert "rule r: when is 'a'; write metric" in weir("rules", "register", "-f", str(file), code=4)
    assert "fine" not in weir("rules", "list")
    assert "no silence 'x'" in weir("silences", "end", "x", code=4)
    file.write_text(good, "utf-8")
    (told,) = json.loads(weir("rules", "check", "-f", str(file), "--json"))["warnings"]
    assert "rule fine: nobody declares 'a'" in told
    taken = '[[rules]]\nname = "upkeep"\nwhen = "a > 1"\n'
    file.write_text(taken, "utf-8")
    assert "name of a silence" in weir("rules", "register", "-f", str(file), code=4)


def _seen(value: float, second: int = 1) -> list[Observation]:
    now = int(time.time() * 1_000) - START
    one = observation(value, now + second, metric="latency", service="camera")
    return [replace(one, emitted_at=START + now)]

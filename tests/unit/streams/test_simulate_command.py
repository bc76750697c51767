"""`weir simulate worker` and `weir compare worker`: what they take, print, and refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams import scenario_files
from streams.commands.compare import app as comparing
from streams.commands.simulate import app as simulating
from streams.exits import explain
from workers.scheduling.orders.names import OWN
from workers.simulation.errors import ScenarioRefused
from workers.simulation.scenario import Scenario

RUN = CliRunner()
YAML = """\
name: load
duration_ms: 200
services:
  - name: camera
    budget_ms: 20
    arrivals: {kind: trace, file: instants.txt}
    service_time: {kind: constant, ms: 8}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "instants.txt").write_text("0\n10.5  # the second\n\n30\n", "utf-8")
    (tmp_path / "load.yaml").write_text(YAML, "utf-8")
    return tmp_path


def test_every_shipped_scenario_can_be_read_and_has_its_own_seed() -> None:
    names = scenario_files.shipped()
    assert len(names) >= 12
    read = [scenario_files.read(name) for name in names]
    assert [scenario.name for scenario in read] == names
    assert len({scenario.seed for scenario in read}) == len(names)
    assert all(scenario.description for scenario in read)


def test_three_formats_say_the_same(folder: Path) -> None:
    plain = {
        "name": "load",
        "duration_ms": 200,
        "services": [
            {
                "name": "camera",
                "budget_ms": 20,
                "arrivals": {"kind": "trace", "file": "instants.txt"},
                "service_time": {"kind": "constant", "ms": 8},
            }
        ],
    }
    (folder / "load.json").write_text(json.dumps(plain), "utf-8")
    (folder / "load.toml").write_text(
        'name = "load"\nduration_ms = 200\n[[services]]\nname = "camera"\nbudget_ms = 20\n'
        'arrivals = { kind = "trace", file = "instants.txt" }\n'
        'service_time = { kind = "constant", ms = 8 }\n',
        "utf-8",
    )
    read = [scenario_files.read(str(folder / f"load.{end}")) for end in ("yaml", "json", "toml")]
    assert read[0] == read[1] == read[2]
    assert read[0].services[0].arrivals.at_ms == (0, 10.5, 30)  # type: ignore[union-attr] # a trace


def test_a_report_is_for_people_or_for_programs(folder: Path) -> None:
    file = str(folder / "load.yaml")
    told = RUN.invoke(simulating, ["worker", file])
    assert told.exit_code == 0
    assert "camera" in told.output
    found = json.loads(RUN.invoke(simulating, ["worker", file, "--json"]).output)
    assert found["services"]["camera"]["in_time"] == 3
    assert found["order"] == "weir"


def test_the_schema_is_that_of_the_scenarios() -> None:
    printed = RUN.invoke(simulating, ["worker", "--schema"]).output
    assert json.loads(printed) == Scenario.model_json_schema()


def test_orders_are_compared_on_the_same_arrivals(folder: Path) -> None:
    file = str(folder / "load.yaml")
    found = json.loads(RUN.invoke(comparing, ["worker", file, "--json"]).output)
    assert list(found["orders"]) == ["plain-fifo", *OWN]
    assert {told["total"]["arrived"] for told in found["orders"].values()} == {3}
    some = ["worker", "peer", "--orders", "plain-fifo, weir", "--by-service", "--optimum", "2"]
    told = RUN.invoke(comparing, some).output
    assert "782" in told
    assert "0.9273 is a bound of this scenario" in told


def test_a_seed_of_the_command_line_wins() -> None:
    reports = [
        RUN.invoke(simulating, ["worker", "random", "--json", *more]).output
        for more in ([], ["--seed", "112"], ["--seed", "7"])
    ]
    assert reports[0] == reports[1] != reports[2]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("absent.yaml", None, "absent.yaml: No such file or directory; shipped are batching"),
        ("load.txt", "x", "its name ends in none of .toml, .json, .yaml, .yml"),
        ("load.json", "{", "load.json is no JSON: Expecting property name"),
        ("load.toml", "=", "load.toml is no TOML"),
        ("load.toml", f"x = {'9' * 5000}", "is no TOML: a number has more than 4300 digits"),
        ("load.json", "9" * 5000, "is no JSON: a number has more than 4300 digits"),
        ("load.yaml", "a: [", "load.yaml is no YAML"),
        ("load.yaml", "a: 1\na: 2", "a stands twice in one table; keep one"),
        ("load.json", '{"a": 1, "a": 2}', "a stands twice in one table; keep one"),
        ("load.json", "[" * 100_000, "load.json is no JSON"),
        ("load.yaml", YAML.replace(": 20\n", ": .nan\n"), "services[0].budget_ms: it is nan"),
        ("load.yaml", YAML.replace("instants", "other"), "other.txt: No such file"),
        ("load.yaml", YAML.replace("instants.txt", "empty.txt"), "it holds no instants"),
        ("load.yaml", YAML.replace("instants.txt", "wrong.txt"), "line 2: 'soon' is no number"),
        (
            "load.yaml",
            YAML.replace("instants.txt", "odd.txt"),
            "odd.txt, line 1: 'nan' is no number",
        ),
    ],
)
def test_what_cannot_be_used_ends_with_4(
    folder: Path, name: str, text: str | None, told: str
) -> None:
    (folder / "empty.txt").write_text("# nothing\n", "utf-8")
    (folder / "wrong.txt").write_text("1\nsoon\n", "utf-8")
    (folder / "odd.txt").write_text("nan\n", "utf-8")
    if text is not None:
        (folder / name).write_text(text, "utf-8")
    with pytest.raises(ScenarioRefused) as caught:
        scenario_files.read(str(folder / name))
    message, code = explain(caught.value)
    assert told in message
    assert code == 4
    assert "\n" not in message or message.endswith("^")  # marks below a place have their line


def test_an_order_that_nobody_knows_ends_with_4(folder: Path) -> None:
    result = RUN.invoke(simulating, ["worker", str(folder / "load.yaml"), "--order", "best"])
    assert isinstance(result.exception, ScenarioRefused)
    assert explain(result.exception)[1] == 4


def test_an_order_of_a_file_that_nobody_knows_is_told_with_the_file(folder: Path) -> None:
    path = folder / "load.yaml"
    path.write_text(f"order: best\n{YAML}", "utf-8")
    found = RUN.invoke(simulating, ["worker", str(path)])
    assert isinstance(found.exception, ScenarioRefused)
    message, code = explain(found.exception)
    assert "load.yaml: order: 'best' is unknown; one of fifo, least-laxity" in message
    assert code == 4

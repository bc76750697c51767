"""`weir simulate placement`: what it takes, prints, and refuses; and algorithms of others."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from placement.errors import TraceRefused
from streams.commands.simulate import app
from streams.exits import explain
from tests.distributions import distribution, refusals
from workers import placement_plugins

RUN = CliRunner()
ENTRIES = "[weir.scores]\nlast = algorithms_of_others:Last\nfgd = algorithms_of_others:Last\n"
MODULE = """
import numpy as np
from placement.algorithms.base import Algorithm, plain

class Last(Algorithm):
    name = "last"
    def score(self, need, rows):
        return plain(rows.astype(np.float64))

def broken(columns, mix, seed):
    return "no algorithm"
"""


@pytest.fixture
def trace(tmp_path: Path) -> list[str]:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na,8000,9000,1,T4\nb,8000,9000,1,T4\n")
    rows = ["name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time"]
    rows += ["x,1000,100,1,400,0,5", "y,2000,100,1,1000,1,", "z,500,10,0,0,2,9"]
    pods.write_text("\n".join(rows))
    return ["placement", "--nodes", str(nodes), "--pods", str(pods)]


@pytest.mark.parametrize("timed", [[], ["--timed"]])
def test_it_prints_a_report(trace: list[str], timed: list[str]) -> None:
    done = RUN.invoke(app, [*trace, "--algorithm", "fgd", "--seed", "4", "--json", *timed])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["algorithm"], found["seed"], found["nodes"]) == ("fgd", 4, 2)
    assert found["placed"] + found["rejected"]["copies"] == found["arrived"]
    assert found["over_time"][-1]["allocation"] == found["allocation"]
    again = json.loads(
        RUN.invoke(app, [*trace, "--algorithm", "fgd", "--seed", "4", "--json", *timed]).stdout
    )
    for told in (found, again):
        del told["seconds"], told["decision_ms"]
    assert again == found


def test_it_prints_a_table(trace: list[str]) -> None:
    done = RUN.invoke(app, [*trace, "--algorithm", "first-fit", "--arrivals", "2"])
    assert done.exit_code == 0
    assert "first-fit, seed 0: " in done.stdout
    assert "allocation" in done.stdout


def test_an_unknown_algorithm_is_answered_with_the_known_ones(trace: list[str]) -> None:
    done = RUN.invoke(app, [*trace, "--algorithm", "nix"])
    assert done.exit_code == 2
    assert "dot-product" in done.stderr


def test_a_wrong_file_is_bad_data(trace: list[str]) -> None:
    Path(trace[2]).write_bytes(b"sn\xff")
    done = RUN.invoke(app, trace)
    assert isinstance(done.exception, TraceRefused)
    told, code = explain(done.exception)
    assert (told, code) == (f"{trace[2]}: it is no text in UTF-8; save it as such", 4)
    trace[2] = f"{trace[2]}.absent"
    told, code = explain(RUN.invoke(app, trace).exception)
    assert "No such file or directory; name a CSV file" in told
    assert code == 4


def test_algorithms_of_others_are_found(
    trace: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refusals(monkeypatch)
    entries = ENTRIES + "broken = algorithms_of_others:broken\n"
    distribution(tmp_path, monkeypatch, "algorithms_of_others", MODULE, entries)
    assert list(placement_plugins.installed()) == ["last"]
    assert "has the name of a built-in algorithm" in told[1]
    assert "makes a str, which is no Algorithm" in told[0]
    done = RUN.invoke(app, [*trace, "--algorithm", "last", "--json"])
    assert json.loads(done.stdout)["algorithm"] == "last"

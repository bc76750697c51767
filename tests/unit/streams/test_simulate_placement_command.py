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


def test_nodes_fail_by_the_seed_or_by_a_file(trace: list[str], tmp_path: Path) -> None:
    def found(told: str) -> dict:
        done = RUN.invoke(app, [*trace, "--json", "--algorithm", "first-fit", "--failures", told])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert found("3")["failures"] >= 1
    file = tmp_path / "failures.toml"
    file.write_text('[[failures]]\nnode = "a"\nat = 1\nback = 2\n')
    assert found(str(file))["failures"] == 1
    assert found("")["failures"] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[failures]]\nnode = "a"\n', "failures[0].at: it is missing; add it"),
        ('[[failures]]\nnode = "a"\nat = -1\n', "failures[0].at: it is -1"),
        ('[[failures]]\nnode = "nix"\nat = 1\n', "failures[0].node: 'nix' is no node"),
    ],
)
def test_wrong_failures_are_bad_data(
    trace: list[str], tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "failures.toml"
    file.write_text(text)
    error = RUN.invoke(app, [*trace, "--failures", str(file)]).exception
    assert isinstance(error, Exception)
    message, code = explain(error)
    assert told in message
    assert code == 4


def test_the_schema_of_failures_is_told() -> None:
    found = json.loads(RUN.invoke(app, ["placement", "--schema"]).stdout)
    assert found["properties"]["failures"]["type"] == "array"


@pytest.mark.parametrize("ending", ["svg", pytest.param("png", marks=pytest.mark.faults)])
def test_a_picture_is_drawn(trace: list[str], tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{number}.{ending}" for number in range(2)]
    for file in files:
        asked = [*trace, "--algorithm", "best-fit", "--timed", "--picture", str(file)]
        assert RUN.invoke(app, asked).exit_code == 0
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_pictures_of_other_kinds_are_refused(trace: list[str]) -> None:
    done = RUN.invoke(app, [*trace, "--picture", "a.gif"])
    assert done.exit_code == 2
    assert "ends in none of .png, .svg" in " ".join(done.stderr.split())


def test_weights_are_learned_written_and_used(trace: list[str], tmp_path: Path) -> None:
    out = tmp_path / "weights.json"
    asked = ["train", "--out", str(out), "--rounds", "1", "--draws", "2", "--fillings", "1"]
    done = RUN.invoke(app, [*asked, *trace[1:], "--json"])
    assert done.exit_code == 0
    provenance = json.loads(done.stdout)
    assert provenance["trained_on"] == "a trace"
    assert set(provenance["sha256"]) == {"nodes.csv", "pods.csv"}
    assert provenance["allocation"]["learned"] >= provenance["allocation"]["prior"]
    used = RUN.invoke(app, [*trace, "--algorithm", "learned", "--weights", str(out), "--json"])
    assert json.loads(used.stdout)["algorithm"] == "learned"
    assert RUN.invoke(app, [*trace, "--weights", str(out)]).exit_code == 2
    document = json.loads(out.read_text())
    del document["weights"]["share"]["stranded"]
    out.write_text(json.dumps(document))
    error = RUN.invoke(app, [*trace, "--algorithm", "learned", "--weights", str(out)]).exception
    assert isinstance(error, Exception)
    assert "weights.share.stranded: it is missing" in explain(error)[0]


def test_half_a_trace_is_refused(trace: list[str]) -> None:
    assert RUN.invoke(app, trace[:3]).exit_code == 2
    assert RUN.invoke(app, ["train", "--out", "x.json", *trace[1:3]]).exit_code == 2

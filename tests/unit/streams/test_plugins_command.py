"""`weir plugins`: the worked example keeps the laws, and what others break is said in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from placement.algorithms.guarded import Guarded
from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.choosing.laws import broken_by_assigner, broken_by_filter, broken_by_score
from placement.cluster.columns import Columns
from streams import toml
from streams.commands.plugins import app
from streams.commands.simulate import app as simulating
from streams.topology import spec_named
from tests.distributions import distribution, refusals
from tests.unit.placement.clusters import chooser, machine, need
from tests.unit.processors import routing_world as w
from tests.unit.processors import selecting_cases
from workers import placement_plugins

RUN = CliRunner()
EXAMPLE = Path(__file__).parents[2] / "example_plugins"
BROKEN = """
import numpy as np
from placement.algorithms.base import Algorithm, Scored, Wish, plain

class Drifts(Algorithm):
    asked = 0
    def score(self, need, rows):
        Drifts.asked += 1
        return plain(np.full(len(rows), float(Drifts.asked)))

class Takes(Algorithm):
    def score(self, need, rows):
        self.columns.take(int(rows[0]), need, self.columns.tightest(int(rows[0]), need))
        return plain(np.zeros(len(rows)))

class Short(Algorithm):
    def score(self, need, rows):
        return Scored(np.zeros(1 + len(rows)), np.zeros(len(rows), np.int64))

class NotFinite(Algorithm):
    def score(self, need, rows):
        return Scored(np.full(len(rows), np.nan), np.full(len(rows), 9))

class Raises(Algorithm):
    def score(self, need, rows):
        raise SystemExit(3)
    def wishes(self, needs):
        return 1 / 0

def by_room(columns, need):
    return columns.free[:, 0] > 3000

def numbers(columns, need):
    return columns.free[:, 0]

def away(columns, need):
    raise OSError("no file")

def everything(columns, needs):
    return [Wish(0)] * len(needs)

def nowhere(columns, needs):
    return [Wish(99)] * len(needs)

def few(columns, needs):
    return []

class AllOfThem:
    def rank(self, problem):
        return [[one.service for one in problem.candidates]]

class Forgetful:
    width = 1
    asked = 0
    def strangeness(self, memory, time_ms, value):
        self.asked += 1
        return float(self.asked) if self.asked < 9 else float("nan")
    def learn(self, memory, time_ms, value):
        memory[0] = self.asked
        self.asked += 1

TOLD = []

def moody(votes, total):
    from processors.routing.votes import Verdict
    TOLD.append(1)
    return Verdict("nobody said this", len(TOLD) % 2)

class Nervous:
    width = 0
    asked = 0
    def update(self, memory, value):
        self.asked += 1
        return self.asked % 100 == 0
"""
SCORES = ("Drifts", "Takes", "Short", "NotFinite", "Raises")


def entries(groups: dict[str, dict[str, str]]) -> str:
    """Return entry points as an installer writes them."""
    return "\n".join(
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    )


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worked example, as `pip install` leaves it."""
    about = toml.parsed((EXAMPLE / "pyproject.toml").read_text("utf-8"))
    text = (EXAMPLE / "example_plugins.py").read_text("utf-8")
    points = entries(about["project"]["entry-points"])
    distribution(tmp_path, monkeypatch, "example_plugins", text, points)


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {
        "weir.scores": {name.lower(): f"broken_plugins:{name}" for name in SCORES},
        "weir.filters": {n: f"broken_plugins:{n}" for n in ("by_room", "numbers", "away")},
        "weir.assigners": {n: f"broken_plugins:{n}" for n in ("everything", "nowhere", "few")},
    }
    groups["weir.combiners"] = {"moody": "broken_plugins:moody", "mean": "broken_plugins:moody"}
    groups["weir.detectors"] = {"forgetful": "broken_plugins:Forgetful"}
    groups["weir.drift_detectors"] = {"nervous": "broken_plugins:Nervous"}
    groups["weir.selectors"] = {"allofthem": "broken_plugins:AllOfThem"}
    groups["weir.selectors"]["exp3"] = "broken_plugins:AllOfThem"
    groups["weir.scores"]["weir"] = "broken_plugins:Drifts"
    distribution(tmp_path, monkeypatch, "broken_plugins", BROKEN, entries(groups))


@pytest.mark.usefixtures("example")
def test_the_worked_example_keeps_the_laws() -> None:
    listed = json.loads(RUN.invoke(app, ["list", "--json"]).stdout)
    found = {(row["group"], row["name"]): row["state"] for row in listed}
    assert found == {
        ("weir.metrics", "outliers"): "usable",
        ("weir.detectors", "steps"): "usable",
        ("weir.drift_detectors", "cusum"): "usable",
        ("weir.selectors", "cheapest"): "usable",
        ("weir.remedies", "less-load"): "usable",
        ("weir.combiners", "surest"): "usable",
        ("weir.rules", "jump"): "usable",
        ("weir.orders", "newest-first"): "usable",
        ("weir.scores", "cool-aisle"): "usable",
        ("weir.assigners", "largest-first"): "usable",
        ("weir.filters", "quarantine"): "usable",
    }
    done = RUN.invoke(app, ["check"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("it keeps the laws") == len(found)


@pytest.mark.usefixtures("example")
def test_the_worked_example_selects_and_combines_where_processes_are_made() -> None:
    world = selecting_cases.World(None, selecting_cases.contract(algorithm="cheapest"))
    world.processor = spec_named("select").build(selecting_cases.PARTITION)
    world.seconds(3)
    assert world.ensembles[-1].algorithm == "cheapest"
    assert set(world.members) == {"tree", "bayes", "mlp"}
    routed = w.World(w.usual(w.application(combine="surest")))
    built = spec_named("route")
    assert built.sized is not None
    routed.router = built.sized(1).build(0)  # type: ignore[assignment]  # a router
    sure = {"a": 0.5, "b": 0.99, "c": 0.6}
    asked = w.tasks(routed.step(0, w.request()))
    came = [w.result(t, f"of {t.service}", confidence=sure[t.service]) for t in asked]
    (answer,) = w.responses(routed.step(1, *came))
    assert (answer.label, answer.confidence) == ("of b", 0.99)


@pytest.mark.usefixtures("example")
def test_the_worked_example_places() -> None:
    cool = {"labels": (("aisle", "cool"),)}
    machines = [machine("a", 2000), machine("b", **cool), machine("c")]
    needs = [need(1000), need(3000)]
    columns = Columns(machines)
    made = placement_plugins.installed()
    assert sorted(made) == ["cool-aisle", "largest-first"]
    judging = made["cool-aisle"](columns, mix_of(needs), 0)
    assert judging.score(need(), np.arange(3)).score.argmax() == 1
    wished = made["largest-first"](columns, mix_of(needs), 0).wishes(needs)
    assert [wish and wish.row for wish in wished] == [0, 1]
    machines[1] = machine("b", labels=(("quarantine", "yes"),))
    passing = placement_plugins.filters()["quarantine"](Columns(machines), need())
    assert passing.tolist() == [True, False, True]


@pytest.mark.usefixtures("example")
def test_an_algorithm_of_others_is_replayed(tmp_path: Path) -> None:
    nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na,8000,9000,1,T4\n")
    pods.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\nx,1000,100,1,400\n")
    asked = ["placement", "--nodes", str(nodes), "--pods", str(pods), "--together", "2"]
    for name in ("largest-first", "cool-aisle"):
        done = RUN.invoke(simulating, [*asked, "--algorithm", name, "--json"])
        assert json.loads(done.stdout)["placed"] == 2


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("drifts", "with one seed, score differently"),
        ("takes", "scoring changed the columns"),
        ("short", "one score and one GPU for each row"),
        ("notfinite", "a score is not finite; two that were made alike"),
        ("notfinite", "names a GPU on which the copy does not fit"),
        ("raises", "it raised SystemExit: 3"),
        ("weir", "it has the name of a built-in algorithm"),
        ("by_room", "it depends on what is free"),
        ("numbers", "an array of bools"),
        ("away", "it raised OSError: no file"),
        ("everything", "it wishes for a node that has no room"),
        ("nowhere", "a row that is not there"),
        ("few", "a Wish or None for each copy"),
        ("forgetful", "is nan strange"),
        ("forgetful", "judged one value differently: it remembers more; "),
        ("forgetful", "learned one value differently"),
        ("allofthem", "an ensemble has 1 to 3 members, none twice"),
        ("exp3", "it has the name of one of Weir's own"),
        ("moody", "the same votes gave another verdict"),
        ("moody", "'nobody said this', which nobody knows of"),
        ("mean", "it has the name of one of Weir's own"),
        ("nervous", "of noise alone gave an alarm"),
        ("nervous", "took one value differently: it remembers more"),
    ],
)
def test_what_a_plug_in_breaks_is_said_in_words(name: str, told: str) -> None:
    done = RUN.invoke(app, ["check", name])
    assert done.exit_code == 4
    assert told in done.stdout
    rows = json.loads(RUN.invoke(app, ["check", name, "--json"]).stdout)
    assert any(row["breaks"] for row in rows)


def test_what_is_not_there_is_told() -> None:
    done = RUN.invoke(app, ["check", "nix"])
    assert (done.exit_code, done.stderr.split(";")[0]) == (4, "no plug-in is named 'nix'")
    assert RUN.invoke(app, ["check", "--group", "weir.nix"]).exit_code == 2
    assert RUN.invoke(app, ["check", "--artifact", "/no/such"]).exit_code == 2
    assert "weir.filters" in RUN.invoke(app, ["list", "--groups"]).stdout


@pytest.mark.usefixtures("broken")
def test_what_others_raise_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machines, needs = [machine("a"), machine("b", 4000)], [need(gpus=0)]
    columns = Columns(machines)
    told = refusals(monkeypatch)
    made = placement_plugins.installed()
    assert "built-in algorithm" in told[0]
    default = OWN["weir"](columns, mix_of(needs), 0).score(need(), np.arange(2))
    for name in ("raises", "notfinite", "short"):
        judging = made[name](columns, mix_of(needs), 0)
        assert judging.score(need(), np.arange(2)).score.tolist() == default.score.tolist()
        assert judging.trouble
    raising = made["raises"](columns, mix_of(needs), 0)
    assert raising.wishes(needs) == [None]
    assert raising.trouble == "raises raised ZeroDivisionError: division by zero"
    assert made["few"](columns, mix_of(needs), 0).wishes(needs) == [None]
    warned = refusals_of(monkeypatch)
    for passing in placement_plugins.filters().values():
        assert passing(columns, need()).shape == (2,)
    assert not placement_plugins.filters()["away"](columns, need()).any()
    assert any("OSError: no file" in line for line in warned)


def refusals_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will hold what is logged of filters that fail."""
    told: list[str] = []

    class Listening:
        def warning(self, event: str, **said: object) -> None:
            told.append(f"{event} {said}")

    monkeypatch.setattr(placement_plugins, "logger", lambda _: Listening())
    return told


@pytest.mark.parametrize("name", OWN)
def test_what_is_built_in_keeps_the_laws(name: str) -> None:
    assert broken_by_score(OWN[name]) == []


def test_guarded_algorithms_decide_as_they_would_alone() -> None:
    machines = [machine(f"n{number}", gpus=number % 3) for number in range(6)]
    needs = [need(2000, gpus=1, milli=400), need(1000)] * 3
    alone, guarded = chooser("fgd", machines, needs), chooser("fgd", machines, needs)
    columns, mix = guarded.columns, mix_of(needs)
    guarded._algorithm = Guarded(OWN["fgd"](columns, mix, 0), "fgd", columns, mix, 0)
    assert alone.place_all(needs) == guarded.place_all(needs)


def test_laws_can_be_asked_for_in_a_test_of_an_author() -> None:
    assert broken_by_filter(lambda columns, _: np.ones(len(columns), np.bool_)) == []
    assert broken_by_assigner(lambda _, needs: [None] * len(needs)) == []

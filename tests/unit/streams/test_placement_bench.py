"""`weir bench placement`: what its parts measure, on small cases."""

import json
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from placement.cluster.needs import Gpu, Machine, Need
from streams.bench import (
    placement_churn,
    placement_gap,
    placement_kubernetes,
    placement_openb,
    placement_peer,
    placement_scale,
)
from streams.commands.bench import app

RUN = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    nodes = "sn,cpu_milli,memory_mib,gpu,model\na,8000,9000,2,T4\nb,8000,9000,2,T4\n"
    (tmp_path / placement_openb.NODES).write_text(nodes)
    pods = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\nx,1000,100,1,1000\ny,100,100,1,500\n"
    (tmp_path / placement_openb.PODS).write_text(pods)
    return tmp_path


def test_small_clusters_have_a_gap() -> None:
    pytest.importorskip("ortools")
    found = placement_gap.measure(4, 5.0, 1)
    assert found["instances"] == 4
    assert (found["infeasible"], found["unproven"]) == (0, 0)
    assert 0 <= found["mean"] <= found["max"] < 5


@pytest.mark.parametrize("seed", range(40))
def test_instances_are_small_and_those_that_were_cut_fit(seed: int) -> None:
    machines, needs = placement_gap.instance(seed)
    assert 2 <= len(machines) <= placement_gap.NODES
    assert len(needs) <= placement_gap.COPIES
    assert (machines, needs) == placement_gap.instance(seed)
    if seed % 2:
        assert sum(n.cpu_milli for n in needs) <= sum(m.cpu_milli for m in machines)
        assert sum(n.gpu_total for n in needs) <= sum(1000 * len(m.gpus) for m in machines)


def test_the_trace_is_filled_by_each_algorithm(folder: Path) -> None:
    found = placement_openb.measure(folder, ["fgd", "random"], 2, {}, lambda _: None)
    assert list(found) == ["fgd", "random"]
    assert found["fgd"]["published"] == 95.39
    assert 75 <= found["fgd"]["allocation"] <= 100


def test_the_peer_takes_the_emptiest_node_and_refuses_a_perfect_fit() -> None:
    machines = [
        Machine(name=n, cpu_milli=c, memory_mib=1000) for n, c in (("a", 4000), ("b", 8000))
    ]
    nodes = placement_peer.peer_nodes(machines)
    wanted = Need(cpu_milli=1500, memory_mib=100)
    assert placement_peer.allocate(nodes, [wanted]) == 1
    assert [node.cpu for node in nodes] == [4000, 6500]
    assert sorted(nodes[1].cores) == [0, 0, 0, 0, 0, 0, 50, 100]
    perfect = placement_peer.peer_nodes(machines[:1])
    assert placement_peer.allocate(perfect, [Need(cpu_milli=4000, memory_mib=1000)]) == 0
    one = [Machine(name="a", cpu_milli=4000, memory_mib=9, gpus=(Gpu("T4"),))]
    whole = Need(cpu_milli=100, memory_mib=1, gpus=1, gpu_milli=1000)
    assert placement_peer.allocate(placement_peer.peer_nodes(one), [whole]) == 0


def test_clusters_and_services_are_as_drawn() -> None:
    machines = placement_scale.cluster(50, Random(1), placement_scale._SORTS)
    assert len({machine.name for machine in machines}) == 50
    assert all(need.gpus == 0 for need in placement_scale.services(20, Random(1), gpus=False))


def test_the_command_prints_all_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ortools")
    scale = {"place_s": 0.5, "one_more_ms": 0.1, "against_rohe": {}}
    monkeypatch.setattr(placement_scale, "measure", lambda *_: scale)
    asked = ["placement", "--openb", str(folder), "--algorithm", "fgd", "--instances", "2"]
    done = RUN.invoke(app, [*asked, "--seeds", "1", "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["openb"]["fgd"]["allocation"] > 0
    assert found["gap"]["instances"] == 2
    assert found["scale"] == scale
    table = RUN.invoke(app, [*asked, "--quick"])
    assert "95.39" in table.stdout


def test_kubernetes_is_measured_where_there_is_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (placement_gap, placement_scale):
        monkeypatch.setattr(part, "measure", lambda *_: {})
    monkeypatch.setattr(placement_kubernetes, "measure", lambda *asked: {"asked": asked[:2]})
    monkeypatch.delenv("KUBECONFIG", raising=False)
    without = RUN.invoke(app, ["placement", "--json"])
    assert "kubernetes" not in json.loads(without.stdout)
    assert "NOTHING WAS APPLIED TO KUBERNETES: name a cluster by --kubeconfig" in without.stderr
    monkeypatch.setenv("KUBECONFIG", "there")
    done = RUN.invoke(app, ["placement", "--json", "--quick"])
    assert json.loads(done.stdout)["kubernetes"] == {"asked": ["there", 20]}


def test_a_churn_goes_on_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_churn, "HELD", 200)
    kinds = placement_scale.services(20, Random(1))
    machines = placement_scale.cluster(10, Random(2), placement_scale._LARGER)
    placing = placement_scale.chooser(machines, kinds, "best-fit")
    found = placement_churn.measure(placement_churn.Churn(placing, kinds, Random(3)), 400)
    assert found["decisions"] == 400
    assert 0 < found["refused"] < 400
    assert 0.1 < found["time_ratio"] < 10
    assert 0.5 < found["memory_ratio"] < 1.5


@pytest.mark.faults
def test_our_best_fit_is_measured_against_the_peers() -> None:
    found = placement_scale._peer(Random(4), lambda _: None)
    assert found["services"] == 1000
    assert found["times_quoted"][0] == pytest.approx(5.7 / found["ours_s"], rel=0.05)


def test_what_decides_like_another_is_left_out(folder: Path) -> None:
    found = placement_openb.measure(folder, None, 1, {}, lambda _: None)
    assert "exact" not in found
    assert {"network", "energy", "gradient", "learned", "weir"} <= set(found)

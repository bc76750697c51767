"""Traces as files tell them, and what is wrong with a file in one line."""

import pytest

from placement.cluster.needs import Gpu, Need
from placement.errors import TraceRefused
from placement.replay.traces import machines_of, pods_of

NODES = "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,P100\nb,8000,1024,0,\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\nx,1000,100,1,460\ny,500.0,10,0,0\n"


def test_nodes_are_read() -> None:
    one, other = machines_of(NODES, "nodes.csv")
    assert (one.name, one.cpu_milli, one.memory_mib) == ("a", 64_000, 262_144)
    assert one.gpus == (Gpu("P100"), Gpu("P100"))
    assert other.gpus == ()


def test_without_a_column_of_models_any_will_do() -> None:
    one, other = pods_of("\ufeff" + PODS, "pods.csv")
    assert one.need == Need(cpu_milli=1000, memory_mib=100, gpus=1, gpu_milli=460)
    assert (one.created, one.deleted) == (None, None)
    assert other.need == Need(cpu_milli=500, memory_mib=10)


def test_models_and_times_are_read_where_they_are_told() -> None:
    told = "num_gpu,name,cpu_milli,gpu_spec,memory_mib,gpu_milli,creation_time,deletion_time,qos\n"
    one, other = pods_of(told + "1,x,1,V100|T4 ,1,1000,5,9,LS\n1,y,1,,1,1000,,,BE\n", "pods.csv")
    assert one.need.models == ("T4", "V100")
    assert (one.created, one.deleted) == (5, 9)
    assert (other.need.models, other.created, other.deleted) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "n.csv, line 1: sn: no such column"),
        ("sn,cpu_milli,memory_mib,gpu\na,1,1,0\n", "n.csv, line 1: model: no such column"),
        ("sn,cpu_milli,memory_mib,gpu,model\n", "n.csv: it holds no rows"),
        (NODES + "a,1,1,0,\n", "n.csv, line 4: sn: 'a' stands twice; name every node once"),
        (NODES + ",1,1,0,\n", "n.csv, line 4: sn: it is empty; name the node"),
        (NODES + "c,many,1,0,\n", "line 4: cpu_milli: 'many' is no number; write a whole one"),
        (NODES + "c,nan,1,0,\n", "line 4: cpu_milli: 'nan' is no number"),
        (NODES + "c,1e999,1,0,\n", "line 4: cpu_milli: '1e999' is no number"),
        (NODES + "c,1,-1,0,\n", "line 4: memory_mib: it is -1; write a whole number, 0 to"),
        (NODES + "c,1,1.5,0,\n", "line 4: memory_mib: it is 1.5; write a whole number"),
        (NODES + "c,1,1,65,\n", "line 4: gpu: it is 65; write a whole number, 0 to 64"),
        (NODES + "c,1\n", "line 4: gpu: '' is no number"),
        (NODES + "c,1,1,0,T4,more\n", "line 4: model: more cells follow than there are columns"),
        (NODES + '"c,1,1,0,\n', "it is no CSV"),
    ],
)
def test_a_wrong_file_of_nodes_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(TraceRefused) as caught:
        machines_of(text, "n.csv")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("z,1,1,1,0", "p.csv, line 2: gpu_milli: it is 0 though num_gpu is not; write 1 to 1000"),
        ("z,1,1,0,5", "p.csv, line 2: num_gpu: it is 0 though gpu_milli is not; write 1 or more"),
        ("z,1,1,1,1001", "gpu_milli: it is 1001; write a whole number, 0 to 1000"),
        ("z,1,1,1,5,9,8", "deletion_time: it is before creation_time; write a later one"),
    ],
)
def test_a_wrong_pod_is_refused_in_one_line(row: str, told: str) -> None:
    head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time\n"
    with pytest.raises(TraceRefused, match=told.replace("(", r"\(")):
        pods_of(head + row, "p.csv")

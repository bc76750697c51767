"""Nodes and services in files: every field can be given, what is wrong is told with its place."""

import json
import math
import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schemas.events import event_named
from schemas.registrations import NodeReported, ServiceRegistered
from streams import registration, toml
from streams.forms import files as form_files
from streams.forms import nodes as node_forms
from streams.forms import schema as form_schema
from streams.forms.schema import NODE, SERVICE, Form
from workers.handover.errors import DocumentRefused

T0 = 1_700_000_000_000
PLAIN_NODE: dict[str, Any] = {"node": "a", "cpu_milli": 4000, "memory_mib": 4096}
PLAIN_SERVICE: dict[str, Any] = {
    "service": "s",
    "app": "apps",
    "stage": "one",
    "image": "docker.io/team/s:1",
}
VARIANT = {"name": "v", "precision": "fp32", "device": "cpu"}
JETSON = {
    "accelerator": {
        "GPU0": {"accelerator_type": "gpu", "capacity": 100, "core": 128, "used": 20},
        "TPU0": {"accelerator_type": "tpu", "capacity": 4, "used": 1},
    },
    "cores": {"capacity": [100, 100], "used": [0, 50]},
    "cpu": {"capacity": 2000, "used": 500},
    "frequency": 1.5,
    "mac_address": "00:04",
    "memory": {"capacity": {"rss": 4096, "vms": 2048}, "used": {"rss": 1, "vms": 2}},
    "node_name": "Jetson_01",
    "status": "running",
}
DETECT = {
    "accelerator_required": {"gpu": 15, "tpu": 2},
    "cores_required": [5, 100],
    "cpu_required": 1000,
    "image": "rdsea/od:2.0",
    "instance_ids": [],
    "memory_required": {"rss": 300, "vms": 500},
    "node": {},
    "port_mapping": [{"con_port": 4002, "phy_port": 80}],
    "ports": [4002],
    "replicas": 2,
    "running": 0,
    "sensitivity": 3,
    "service_id": "EW:01",
    "service_name": "detect",
    "status": "queueing",
}


def written(folder: Path, content: Any, name: str = "given.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return file


def nodes(file: Path) -> list[NodeReported]:
    found = form_files.entries(file, NODE)
    return form_files.built(found, NODE, lambda plain: node_forms.node(plain, T0))


def services(file: Path) -> list[ServiceRegistered]:
    found = form_files.entries(file, SERVICE)
    return form_files.built(found, SERVICE, lambda plain: registration.service(plain, "r", T0))


@pytest.mark.parametrize("form", [NODE, SERVICE])
def test_every_field_stands_in_the_schema_and_in_the_template(form: Form) -> None:
    known = {one.name for one in fields(event_named(form.record))} - form.own
    record = form_schema.schema(form)["$defs"][form.record]
    assert record["properties"].keys() == known
    assert all(one["description"] for one in record["properties"].values())
    template = form_schema.template(form)
    everything = re.sub(r"^# (\w+ = )", r"\1", template, flags=re.MULTILINE)
    assert toml.parsed(everything).keys() == known
    assert toml.parsed(template).keys() == form.example.keys()


def test_a_filled_in_form_is_registered_in_every_language(tmp_path: Path) -> None:
    (node,) = nodes(written(tmp_path, form_schema.template(NODE), "n.toml"))
    assert (node.node, node.source, node.status) == ("edge-1", "operator", "ready")
    assert node.expires_at == node_forms.NEVER_MS
    image = 'image = "docker.io/team/detector:1"\n'
    (service,) = services(written(tmp_path, image + form_schema.template(SERVICE), "s.toml"))
    assert (service.service, service.artifact, service.format) == ("detector", "", "")
    for name, content in (
        ("one.json", PLAIN_NODE),
        ("list.json", [PLAIN_NODE, PLAIN_NODE | {"node": "b"}]),
        ("under.yaml", "nodes:\n  - {node: a, cpu_milli: 4000, memory_mib: 4096}\n"),
        ("under.toml", '[[nodes]]\nnode = "a"\ncpu_milli = 4000\nmemory_mib = 4096\n'),
    ):
        assert nodes(written(tmp_path, content, name))[0].node == "a"


def test_a_node_reports_itself_while_it_is_heard_of() -> None:
    more = {"network_used_mbps": 5.0}
    by_hand = node_forms.node(PLAIN_NODE | form_schema.NODE.lent | more, T0)
    assert by_hand.network_mbps is None, "of what nobody knows, any amount may be used"
    heard = replace(by_hand, source="agent", expires_at=T0 + 1)
    told = [node_forms.reports_itself(one, T0 + 1) for one in (None, by_hand, heard)]
    assert told == [False, False, False]
    assert node_forms.reports_itself(heard, T0)


def test_a_testbeds_node_is_read_and_what_is_not_understood_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, {"data": {"node9": JETSON}})
    (node,) = nodes(file)
    assert [(c.capacity_milli, c.used_milli) for c in node.cores] == [(1000, 0), (1000, 500)]
    assert (node.cpu_milli, node.cpu_used_milli, node.frequency_mhz) == (2000, 500, 1500.0)
    assert (node.memory_mib, node.virtual_memory_mib, node.hardware_id) == (4096, 2048, "00:04")
    assert [(gpu.index, gpu.used_milli) for gpu in node.gpus] == [(0, 200)]
    assert [(a.name, a.capacity, a.used) for a in node.amounts] == [("tpu", 4, 1)]
    (entry,) = form_files.entries(file, NODE)
    assert entry.left_out == ("accelerator.GPU0.core",)


def test_a_testbeds_service_is_read_with_its_application(tmp_path: Path) -> None:
    file = written(tmp_path, {"data": {"cctv": {"detect": DETECT}}})
    (service,) = services(file)
    assert (service.app, service.cpu_per_core_milli) == ("cctv", (1000, 50))
    assert (service.gpu_milli, service.sensitivity, service.replicas) == (150, "both", 2)
    assert [(a.name, a.amount) for a in service.amounts] == [("tpu", 2)]
    assert [(p.port, p.exposed) for p in service.port_mappings] == [(4002, 80)]
    assert form_files.entries(file, SERVICE)[0].left_out == ("service_id",)
    file = written(tmp_path, {"data": {"cctv": {"detect": DETECT}, "other": {"detect": DETECT}}})
    with pytest.raises(DocumentRefused, match=r"data\.cctv\.detect \(detect\) names it too"):
        services(file)


def test_aliases_that_make_a_file_endless_are_refused(tmp_path: Path) -> None:
    bomb = "- &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"- &{name} [{', '.join(['*' + below] * 10)}]\n" for below, name in pairwise("abcdefgh")
    )
    for text in (bomb, "nodes: &a {nodes: *a}\n", "? [x]\n: 1\n"):
        with pytest.raises(DocumentRefused, match=r"given\.yaml is no YAML"):
            nodes(written(tmp_path, text, "given.yaml"))


def test_fields_that_are_numbers_are_told_like_any_other(tmp_path: Path) -> None:
    file = written(tmp_path, "node_name: a\n1: x\nb: y\n", "given.yaml")
    assert form_files.entries(file, NODE)[0].left_out == ("1", "b")
    with pytest.raises(DocumentRefused, match="1 stands beside nodes; leave it out"):
        nodes(written(tmp_path, "nodes: []\n1: x\nb: y\n", "given.yaml"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            [PLAIN_NODE, {"node": "b", "cpu_milli": 1}],
            r"nodes\[1\] \(b\): .*needs the field memory",
        ),
        (PLAIN_NODE | {"cpu_mili": 4}, "no field cpu_mili; it has node, zone"),
        (PLAIN_NODE | {"heartbeat": 4}, "heartbeat is Weir's to fill in"),
        (PLAIN_NODE | {"zone": "\ud800"}, "zone must be text in Unicode"),
        (PLAIN_NODE | {"memory_mib": 1 << 63}, "memory_mib must be a whole number of 64 bits"),
        (PLAIN_NODE | {"cpu_milli": 0}, "cpu_milli is 0; it must be at least 1"),
        (PLAIN_NODE | {"cpu_used_milli": 5000}, "cpu_used_milli is 5000, more than cpu_milli"),
        (PLAIN_NODE | {"node": "a/b"}, "node is 'a/b'; use up to 63"),
        (PLAIN_NODE | {"status": "fine"}, "status is 'fine'; it must be ready"),
        (PLAIN_NODE | {"speed": 0}, "speed is 0; it must be above 0"),
        (
            PLAIN_NODE | {"cores": [{"capacity_milli": 1000, "used_milli": 0}]},
            "cpu_milli is 4000, but its cores have 1000",
        ),
        (
            PLAIN_NODE | {"gpus": [{"index": 0, "model": "T4", "memory_mib": 1}] * 2},
            "gpus: two have the index 0",
        ),
        (PLAIN_NODE | {"links": [{"node": "a"}]}, r"links\[0\].node is the node itself"),
        (PLAIN_NODE | {"idle_w": 9, "full_w": 5}, "idle_w is 9, more than full_w"),
        ({"nodes": [], "more": 1}, "more stands beside nodes"),
        ([], "it holds no node"),
        ([1], r"nodes\[0\]: it must be a table"),
        ({"data": [1]}, "data must be a table"),
        ({"data": {"n": JETSON | {"cores": {"capacity": [9], "used": [1, 2]}}}}, "has 2 entries"),
        ({"data": {"n": JETSON | {"accelerator": {"gpu": {"capacity": 50}}}}}, "a GPU has 100"),
        ({"data": {"n": JETSON | {"status": "asleep"}}}, "status is 'asleep'; it must be running"),
        ({"data": {"n": JETSON | {"cpu": 4}}}, "cpu must be a table"),
        ({"data": {"n": JETSON | {"cores": {"capacity": ["x"]}}}}, r"cores.capacity\[0\] must be"),
        ({"data": {"n": JETSON | {"cores": {"capacity": [math.nan]}}}}, r"capacity\[0\] must be"),
        ({"data": {"n": JETSON | {"cpu": {"capacity": 10**400}}}}, "cpu.capacity must be a number"),
    ],
)
def test_a_wrong_node_is_refused_with_file_field_and_remedy(
    tmp_path: Path, content: Any, told: str
) -> None:
    with pytest.raises(DocumentRefused, match=told) as refused:
        nodes(written(tmp_path, content))
    assert "given.json" in str(refused.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"sensitivity": "disk"}, "sensitivity is 'disk'; it must be none, cpu"),
        ({"preemption": "always"}, "preemption is 'always'"),
        ({"gpu_milli": 2000}, "a whole GPU is 1000"),
        ({"gpus": 2}, "gpus is 2, but gpu_milli 0"),
        ({"affinity": ["t"], "anti_affinity": ["t"]}, "both name t"),
        ({"affinity": ["s"]}, "affinity names the service itself"),
        ({"max_replicas": 2, "min_replicas": 3}, "max_replicas is 2, below"),
        ({"replicas": 3, "max_replicas": 2}, "replicas is 3, above"),
        ({"min_available": 2}, "min_available is 2, above replicas"),
        ({"ports": [70_000]}, r"ports\[0\] is 70000"),
        ({"port_mappings": [{"name": "p", "port": 1, "protocol": "x"}]}, "must be tcp or udp"),
        ({"volumes": [{"name": "v", "path": "/x", "kind": "host"}]}, "source is needed"),
        ({"volumes": [{"name": "v", "path": "x"}]}, "it must begin with /"),
        ({"namespace": "Kube_System"}, "namespace is 'Kube_System'"),
        ({"patch": "{"}, "patch is no JSON"),
        ({"patch": "[]"}, "patch must be a JSON object"),
        ({"patch": '{"kind": "Pod"}'}, "patch may not change kind"),
        ({"target_load": 1.5}, "target_load is 1.5"),
        ({"neighbours": [{"service": "t", "mbps": -1}]}, r"neighbours\[0\].mbps is -1"),
        ({"amounts": [{"name": "npu", "amount": 0}]}, r"amounts\[0\].amount is 0"),
        ({"variants": [VARIANT | {"latency_ms": math.nan}]}, r"variants\[0\].latency_ms is nan"),
        ({"variants": [VARIANT | {"memory_mib": -1}]}, r"memory_mib is -1; .* at least 0"),
        ({"variants": [VARIANT | {"batch": 0}]}, r"variants\[0\].batch is 0; .* at least 1"),
        ({"image": ""}, "needs the field artifact, the URI of a model, or image"),
    ],
)
def test_a_wrong_service_is_refused_with_file_field_and_remedy(
    tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(DocumentRefused, match=told) as refused:
        services(written(tmp_path, PLAIN_SERVICE | more))
    assert "given.json (s)" in str(refused.value)

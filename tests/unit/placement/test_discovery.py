"""Nodes of an API, pods of others and an agent's facts, as nodes of the catalogue."""

from dataclasses import replace
from typing import Any

import pytest

from placement.kube.discovery import GONE, Discovery, DiscoveryParams
from placement.kube.discovery_nodes import AGENT, reported
from placement.kube.manifests import MANAGED
from placement.kube.quantities import mebi, milli, quantity
from placement.kube.view import Observed, View, by_node
from schemas.records import KeyValue
from schemas.registrations import NodeReported
from schemas.resources import Core
from tests.unit.placement.world import T0, catalogue_of, node

READY = {"type": "Ready", "status": "True"}
PARAMS = DiscoveryParams(heartbeat_ms=1000, pause_ms=100, expiry_ms=4000)


def api(name: str = "n", *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    room = more.pop("room", {}) | {"cpu": "15890m", "memory": "65536Ki", "pods": "110"}
    conditions = [more.pop("ready", READY)]
    info = {"architecture": "arm64", "operatingSystem": "linux", "kubeletVersion": "v1.34.1"}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}, "resourceVersion": "1"},
        "spec": more,
        "status": {"allocatable": room, "conditions": conditions, "nodeInfo": info},
    }


def pod(requests: dict[str, str], name: str = "p", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", "labels": labels, "resourceVersion": "1"},
        "spec": {"nodeName": "n", "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": more.get("phase", "Running")},
    }


def test_room_nature_and_what_others_request() -> None:
    told = reported(
        api(labels={"topology.kubernetes.io/zone": "z"}, room={"ephemeral-storage": "10Gi"}),
        [
            pod({"cpu": "250m", "memory": "1M"}),
            pod({"cpu": "1"}, "q", labels={MANAGED: "weir"}),
            pod({"cpu": "1"}, "r", phase="Succeeded"),
        ],
    )
    assert (told.cpu_milli, told.cpu_used_milli) == (15_890, 250)
    assert (told.memory_mib, told.memory_used_mib) == (64, 1)
    assert (told.disk_mib, told.zone, told.architecture) == (10_240, "z", "arm64")
    assert (told.status, told.source) == ("ready", "kubernetes")
    assert KeyValue(key="kubelet", value="1.34.1") in told.software


def feature(**more: str) -> dict[str, str]:
    named = {f"nvidia.com/{key.replace('_', '.')}": value for key, value in more.items()}
    return {"nvidia.com/gpu.memory": "40960", **named}


def test_gpus_whole_sliced_in_time_and_in_space() -> None:
    whole = reported(
        api(labels=feature(gpu_product="A100", gpu_count="4"), room={"nvidia.com/gpu": "4"}),
        [pod({"nvidia.com/gpu": "1"})],
    )
    assert [gpu.used_milli for gpu in whole.gpus] == [0, 0, 0, 1000]
    assert {(gpu.model, gpu.memory_mib) for gpu in whole.gpus} == {("A100", 40_960)}
    labels = feature(gpu_product="A100-SHARED", gpu_replicas="4")
    timed = reported(
        api(labels=labels, room={"nvidia.com/gpu": "8"}), [pod({"nvidia.com/gpu": "5"})]
    )
    assert [(gpu.model, gpu.used_milli) for gpu in timed.gpus] == [("A100", 250), ("A100", 1000)]
    single = feature(gpu_product="A100-MIG-1g.5gb", cuda_driver_major="550")
    sliced = reported(api(labels=single, room={"nvidia.com/gpu": "2"}), [])
    assert {(gpu.model, gpu.partition) for gpu in sliced.gpus} == {("A100", "1g.5gb")}
    assert KeyValue(key="nvidia-driver", value="550") in sliced.software
    mixed = reported(api(room={"nvidia.com/mig-3g.20gb": "2", "example.com/npu": "1"}), [])
    assert mixed.gpus == ()
    assert [(a.name, a.capacity) for a in mixed.amounts] == [
        ("example.com/npu", 1),
        ("nvidia.com/mig-3g.20gb", 2),
    ]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, "ready"),
        ({"unschedulable": True}, "draining"),
        ({"ready": {"type": "Ready", "status": "False", "message": "pleg"}}, "failed"),
        ({"ready": {"type": "Ready", "status": "Unknown"}}, "unknown"),
        ({"ready": {"type": "DiskPressure", "status": "True"}}, "unknown"),
    ],
)
def test_how_a_node_is(more: dict[str, Any], status: str) -> None:
    told = reported(api(**more), [])
    assert told.status == status
    assert (told.message is None) == (status == "ready")


def test_taints_that_forbid() -> None:
    taints = [
        {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
        {"key": "edge", "effect": "NoExecute"},
        {"key": "slow", "effect": "PreferNoSchedule"},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
    ]
    assert reported(api(taints=taints), []).taints == ("edge:NoExecute", "gpu=yes:NoSchedule")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1000),
        ("250m", 250),
        ("1.5", 1500),
        ("1e1", 10_000),
        ("100u", 1),
        ("0.0011", 2),
        ("-1100u", -1),
        ("x", 0),
        ("1.2.3", 0),
        ("1e30", 1000 * (2**63 - 1)),
        ("1e99999", 1000 * (2**63 - 1)),
        ("1e999999999", 0),
    ],
)
def test_quantities(text: str, value: int) -> None:
    assert milli(text) == value


def test_quantities_of_bytes() -> None:
    assert [mebi(text) for text in ("1Gi", "1048576", "1M", "1.5Mi")] == [1024, 1, 0, 1]
    assert quantity("100n") * 10**7 == 1


class Cluster:
    """What watches would have told, and what was discovered of it."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.view = View(by_node)
        self.discovery = Discovery(PARAMS)
        for body in bodies:
            self.view.put(body)

    def tell(self, now_ms: int, *known: NodeReported) -> list[NodeReported]:
        told = self.discovery.step(now_ms, catalogue_of(known), Observed(self.view.groups()))
        assert all(isinstance(event, NodeReported) for event in told)
        return told  # type: ignore[return-value]


def test_a_node_is_told_at_once_by_heartbeat_and_when_it_changes() -> None:
    cluster = Cluster(api())
    (first,) = cluster.tell(T0)
    assert (first.heartbeat, first.expires_at) == (T0, T0 + 4000)
    assert cluster.tell(T0 + 500) == []
    (again,) = cluster.tell(T0 + 1000)
    assert again == replace(first, heartbeat=T0 + 1000, expires_at=T0 + 5000)
    cluster.view.put(pod({"cpu": "2"}))
    assert cluster.tell(T0 + 1050) == []
    (changed,) = cluster.tell(T0 + 1100)
    assert changed.cpu_used_milli == 2000
    cluster.view.put(pod({}, "idle"))
    assert cluster.tell(T0 + 1300) == []


def test_a_node_that_the_cluster_has_no_more_has_failed() -> None:
    cluster = Cluster(api())
    (told,) = cluster.tell(T0)
    cluster.view.drop(("Node", "", "n"))
    (gone,) = cluster.tell(T0 + 10, told)
    assert (gone.status, gone.message) == ("failed", GONE)
    assert cluster.tell(T0 + 20, gone) == []
    (back,) = Cluster(api()).tell(T0 + 30, gone)
    assert back.status == "ready"


def test_nodes_of_others_are_none_of_ours() -> None:
    assert Cluster().tell(T0, replace(node("m"), source="local")) == []


def test_what_an_agent_knows_is_taken_over_and_kept() -> None:
    at = KeyValue(key=AGENT, value="http://10.0.0.1:7878")
    core = Core(capacity_milli=1000, used_milli=700)
    agent = replace(
        node("n", labels=(at,), taints=("observed",)), cores=(core,), idle_w=4.0, source="agent"
    )
    cluster = Cluster(api())
    (told,) = cluster.tell(T0, agent)
    assert (told.cores, told.idle_w) == ((replace(core, used_milli=0),), 4.0)
    assert (told.taints, told.source) == ((), "kubernetes")
    assert at in told.labels
    (kept,) = cluster.tell(T0 + 1000, told)
    assert kept.cores == told.cores
    (anew,) = Cluster(api()).tell(T0, told)
    assert anew.idle_w == 4.0


def test_nobody_looks_after_the_nodes_of_an_actuator_that_ends() -> None:
    cluster = Cluster(api())
    cluster.tell(T0)
    (last,) = cluster.discovery.farewell(T0 + 5)
    assert isinstance(last, NodeReported)
    assert (last.status, last.expires_at) == ("unknown", T0 + 5)

"""Writes the golden manifests: `.venv/bin/python -m tests.golden.write_manifests`.

They change with the code; what has changed is to be looked at before it is committed.
"""

from dataclasses import replace
from pathlib import Path

import yaml

from placement.kube.kinds import Manifest
from placement.kube.manifests import ManifestParams, manifests
from placement.kube.manifests_pods import PodParams
from schemas.decisions import Assignment, PlacementDecided
from schemas.records import KeyValue
from schemas.registrations import NodeReported, ServiceRegistered
from schemas.resources import Amount, AmountNeeded, Gpu, PortMapping, Variant, Volume
from tests.unit.placement.world import T0, node, service

FOLDER = Path(__file__).parent / "manifests"
PARAMS = ManifestParams(
    pods=PodParams(
        image="weir-worker:0.1.0", gpu_image="weir-worker-gpu:0.1.0", models="weir-models"
    ),
    host_paths=("/data",),
)


def decided(registered: ServiceRegistered, *nodes: str, **more: object) -> PlacementDecided:
    """Return generation 7 of a placement, with a copy on every node."""
    copies = tuple(
        Assignment(
            node=name,
            instance=f"{registered.service}.{name}",
            variant=registered.variants[0].name if registered.variants else "cpu",
            cpu_milli=registered.cpu_milli,
            memory_mib=registered.memory_mib,
        )
        for name in nodes
    )
    return PlacementDecided(
        event_id="decision-7",
        service=registered.service,
        app=registered.app,
        generation=7,
        status="placed",
        replicas=len(nodes),
        assignments=tuple(replace(copy, **more) for copy in copies),  # type: ignore[arg-type]
        score=1.0,
        algorithm="weir",
        reason="it was asked for",
        decided_at=T0,
        mode="act",
    )


PLAIN = service("digits-small", cpu=1500, memory=1024)
GPU = service(
    "Caméra/Erkennung",
    cpu=2000,
    memory=3000,
    gpu_milli=250,
    disk_mib=2048,
    amounts=(AmountNeeded(name="example.com/fpga", amount=1), AmountNeeded(name="npu", amount=1)),
    variants=(Variant(name="fp16", precision="fp16", device="cuda"),),
    tolerations=("gpu=yes:NoSchedule", "edge"),
    volumes=(
        Volume(name="frames", path="/frames", kind="host", source="/data/frames"),
        Volume(name="weights", path="/weights", kind="claim", source="weights", read_only=False),
        Volume(name="scratch", path="/scratch", read_only=False),
        Volume(name="labels", path="/labels", kind="config", source="labels"),
        Volume(name="key", path="/key", kind="secret", source="key"),
    ),
    patch='{"spec": {"template": {"spec": {"priorityClassName": "vision"}}}}',
)
SHARING = node(
    "edge-1.example.com",
    gpus=("A100",),
    labels=(KeyValue(key="nvidia.com/gpu.replicas", value="8"),),
    amounts=(Amount(name="nvidia.com/gpu.shared", capacity=8),),
)
SERVED = replace(
    service("gateway"),
    image="registry.example/gateway:2.1",
    arguments=("--listen", ":8000"),
    environment=(KeyValue(key="MODE", value="fast"), KeyValue(key="serve.batch", value="8")),
    port_mappings=(PortMapping(name="http", port=8000, exposed=80),),
    ports=(9000,),
    min_available=1,
    namespace="vision",
)
SCALED = service(
    "bursty",
    environment=(KeyValue(key="kubernetes.autoscale", value="cpu"),),
    target_load=0.6,
    min_replicas=0,
    max_replicas=3,
)
SLICED = replace(
    node("mig-1"),
    gpus=tuple(Gpu(index=i, model="H100", memory_mib=10_240, partition="1g.10gb") for i in (0, 1)),
    amounts=(Amount(name="nvidia.com/mig-1g.10gb", capacity=2),),
)
NODES: dict[str, NodeReported] = {each.node: each for each in (SHARING, SLICED)}
CASES: dict[str, tuple[PlacementDecided, ServiceRegistered]] = {
    "plain": (decided(PLAIN, "n1", "n2"), PLAIN),
    "shared_gpu": (decided(GPU, "edge-1.example.com", gpu_index=0, gpu_milli=250), GPU),
    "mig": (decided(PLAIN, "mig-1", gpu_indices=(0, 1), gpu_milli=1000), PLAIN),
    "whole_gpus": (decided(PLAIN, "n1", gpu_indices=(2, 3), gpu_milli=1000), PLAIN),
    "served": (decided(SERVED, "n1", "n2"), SERVED),
    "scaled": (decided(SCALED, "n1", "n2", "n3"), SCALED),
}


def made(name: str) -> tuple[Manifest, ...]:
    """Return the manifests of a case."""
    placed, registered = CASES[name]
    return manifests(placed, registered, NODES, PARAMS)


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice, twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # as it is called
        return True


def written(documents: tuple[Manifest, ...]) -> str:
    """Return manifests as the text that stands in a file."""
    return str(yaml.dump_all(documents, Dumper=_Plain, allow_unicode=True, width=100))


if __name__ == "__main__":
    for name in CASES:
        (FOLDER / f"{name}.yaml").write_text(written(made(name)), "utf-8")

"""Services that ask for everything that a manifest can say, and placements of them."""

from hypothesis import strategies as st

from schemas.decisions import Assignment, PlacementDecided
from schemas.records import KeyValue
from schemas.registrations import NodeReported, ServiceRegistered
from schemas.resources import AmountNeeded, Gpu, PortMapping, Variant, Volume

T0 = 1_700_000_000_000
IMAGE = "registry.example/model:1"


def service(name: str, **more: object) -> ServiceRegistered:
    """Return a service that needs little; `more` says what else it needs."""
    fields: dict[str, object] = {
        "service_id": name,
        "app": "digits",
        "stage": "classify",
        "model": "",
        "image": IMAGE,
        "artifact": "file:///models/x.onnx",
        "format": "onnx",
        "cpu_milli": 10,
        "memory_mib": 16,
        "registered_at": T0,
        "event_id": f"service-{name}",
    }
    return ServiceRegistered(service=name, **(fields | more))


def placed(
    wanted: ServiceRegistered, *nodes: str, generation: int = 1, gpus: tuple[int, ...] = ()
) -> PlacementDecided:
    """Return the decision that puts a copy of a service on each of some nodes."""
    milli = wanted.gpu_milli
    copies = tuple(
        Assignment(
            node=node,
            instance=f"{wanted.service}.{node}",
            variant="cpu",
            cpu_milli=wanted.cpu_milli,
            memory_mib=wanted.memory_mib,
            gpu_index=gpus[0] if gpus else None,
            gpu_indices=gpus,
            gpu_milli=milli,
        )
        for node in nodes
    )
    return PlacementDecided(
        event_id=f"placed-{wanted.service}-{generation}",
        service=wanted.service,
        app=wanted.app,
        generation=generation,
        status="placed" if nodes else "retired",
        replicas=len(nodes),
        assignments=copies,
        score=1.0,
        algorithm="weir",
        reason="test",
        decided_at=T0,
    )


def reported(name: str, gpus: int = 0, **more: object) -> NodeReported:
    """Return a node as discovery tells it."""
    fields: dict[str, object] = {
        "cpu_milli": 16_000,
        "memory_mib": 65_536,
        "architecture": "amd64",
        "operating_system": "linux",
        "status": "ready",
        "heartbeat": T0,
        "expires_at": T0 + 3_600_000,
        "gpus": tuple(Gpu(index=i, model="A100", memory_mib=40_960) for i in range(gpus)),
    }
    return NodeReported(node=name, **(fields | more))


FULL = service(
    "every.thing_it.CAN_ask",
    environment=(KeyValue(key="MODEL", value="x"), KeyValue(key="serve.batch", value="8")),
    arguments=("--port", "8080"),
    ports=(8080,),
    port_mappings=(PortMapping(name="metrics", port=9000, exposed=80),),
    volumes=(
        Volume(name="scratch", path="/scratch", read_only=False),
        Volume(name="settings", path="/etc/model", kind="config", source="model"),
        Volume(name="keys", path="/keys", kind="secret", source="keys"),
        Volume(name="data", path="/data", kind="claim", source="data"),
    ),
    tolerations=("gpu=true:NoSchedule", "edge"),
    variants=(Variant(name="cpu", precision="fp32", device="cpu"),),
    min_available=1,
    replicas=2,
    gpu_milli=1000,
    gpus=1,
    disk_mib=100,
    amounts=(AmountNeeded(name="example.com/npu", amount=1),),
    patch='{"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}',
)
SCALED = service("scaled", environment=(KeyValue(key="kubernetes.autoscale", value="cpu"),))
WORKER = service("of-weir", image="")

_NAMES = st.text("abcxyzABC019.-_/ é", min_size=1, max_size=70)
_LITTLE = st.integers(1, 5000)


@st.composite
def services(draw: st.DrawFn) -> ServiceRegistered:
    """Draw a service whose names and amounts are what anybody may register."""
    return service(
        draw(_NAMES),
        app=draw(_NAMES),
        image=draw(st.sampled_from(["", IMAGE])),
        cpu_milli=draw(_LITTLE),
        memory_mib=draw(_LITTLE),
        disk_mib=draw(st.integers(0, 100)),
        ports=tuple(draw(st.lists(st.integers(1, 65_535), max_size=3, unique=True))),
        environment=tuple(
            KeyValue(key=key, value=draw(st.text(max_size=5)))
            for key in draw(st.lists(st.text("ABC_1a.-", min_size=1, max_size=5), max_size=3))
        ),
        tolerations=tuple(draw(st.lists(st.text("ab/=:1", min_size=1, max_size=6), max_size=2))),
        min_available=draw(st.integers(0, 3)),
    )

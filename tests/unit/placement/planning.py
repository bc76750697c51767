"""Plans for tests: machines and demands in all their dimensions, and a check that nothing is
over-committed that knows nothing of columns."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from placement.algorithms.mix import mix_of
from placement.algorithms.names import OWN
from placement.cluster.copies import Cluster
from placement.cluster.needs import UPLINK, Demand, Gpu, Link, Machine, Need, Neighbour, Option
from placement.control.planner import Planner, hold
from placement.control.plans import Plan, Want
from placement.control.watch import in_turn

ROOM = 1000
NODES = ("n0", "n1", "n2", "n3", "n4")
SERVICES = ("s0", "s1", "s2", "s3", "s4", "s5")


def small(name: str, **more: Any) -> Machine:
    return Machine(
        **({"name": name, "cpu_milli": 2000, "memory_mib": 2048, "extra": ((UPLINK, ROOM),)} | more)
    )


def demand(service: str = "s", cpu: int = 1000, memory: int = 1024, **more: Any) -> Demand:
    """Return a demand; what is no field of one is of its need."""
    of_need = {k: more.pop(k) for k in list(more) if k in Need.__dataclass_fields__}
    of_need["gpus"] = of_need.get("gpus", int(bool(of_need.get("gpu_milli"))))
    need = Need(cpu_milli=cpu, memory_mib=memory, **of_need)
    return Demand(**({"service": service, "options": (Option("", need),)} | more))


def want(service: str = "s", replicas: int = 1, **more: Any) -> Want:
    return Want(demand=demand(service, **more), replicas=replicas)


def planner(
    machines: Iterable[Machine], asked: Sequence[Want] = (), algorithm: str = "weir"
) -> Planner:
    cluster = Cluster(machines)
    cluster.known = {one.demand.service: one.demand for one in asked}
    needs = [option.need for one in asked for option in one.demand.options]
    return Planner(cluster, OWN[algorithm](cluster.columns, mix_of(needs), 0))


def plan(
    asked: Sequence[Want],
    machines: Iterable[Machine],
    algorithm: str = "weir",
    others: Sequence[Want] = (),
) -> dict[str, Plan]:
    """Plan in the order of the queue; `others` run already and are not planned."""
    planning = planner(machines, [*asked, *others], algorithm)
    for other in others:
        for present in other.present:
            assert hold(planning.cluster, other.demand, present) is not None
    return planning.plan(sorted(asked, key=lambda w: in_turn("priority", w.demand, w.since)))


def placed(asked: Iterable[Want], plans: Mapping[str, Plan]) -> list[Want]:
    """Return the wants with their plans carried out."""
    return [replace(w, present=plans[w.demand.service].assignments) for w in asked]


def where(plans: Mapping[str, Plan], service: str = "s") -> list[str]:
    return [a.node for a in plans[service].assignments]


def check_room(done: Sequence[Want], machines: Sequence[Machine]) -> None:
    """Fail when a node, a GPU or a link holds more than it has, in any dimension."""
    by_name = {machine.name: machine for machine in machines}
    used: Counter[tuple[Any, ...]] = Counter()
    has = _has(by_name)
    for one in done:
        for a in one.present:
            need = next(o.need for o in one.demand.options if o.variant == a.variant)
            used[a.node, "cpu"] += need.cpu_milli
            used[a.node, "memory"] += need.memory_mib
            for name, amount in need.extra:
                used[a.node, name] += amount
            assert len(a.cores) == (len(need.cores) if by_name[a.node].cores else 0)
            for core, milli in zip(a.cores, need.cores, strict=False):
                used[a.node, "core", core] += milli
            held = a.gpu_indices or (() if a.gpu_index is None else (a.gpu_index,))
            assert len(set(held)) == need.gpus
            for index in held:
                used[a.node, index, "share"] += need.gpu_milli
                used[a.node, index, "memory"] += need.gpu_memory_mib
            _flow(one, a.node, done, has, used, by_name)
    for what, amount in used.items():
        assert amount <= has.get(what, 0), (what, amount)


def _has(by_name: Mapping[str, Machine]) -> dict[tuple[Any, ...], int]:
    """Return what there is of everything."""
    has: dict[tuple[Any, ...], int] = {}
    for name, machine in by_name.items():
        has[name, "cpu"], has[name, "memory"] = machine.cpu_milli, machine.memory_mib
        has |= {(name, other): amount for other, amount in machine.extra}
        has |= {(name, "core", at): milli for at, milli in enumerate(machine.cores)}
        for gpu in machine.gpus:
            has[name, gpu.index, "share"] = 1000
            has[name, gpu.index, "memory"] = gpu.memory_mib
        for link in machine.links:
            if link.kbps is not None and link.node in by_name:
                ends = frozenset((name, link.node))
                has[(ends,)] = min(has.get((ends,), link.kbps), link.kbps)
    return has


def _flow(
    one: Want,
    node: str,
    done: Sequence[Want],
    has: Mapping[tuple[Any, ...], int],
    used: Counter[tuple[Any, ...]],
    by_name: Mapping[str, Machine],
) -> None:
    """Count what a copy sends to the nearest copy of each neighbour."""
    for near in one.demand.neighbours:
        there = [a.node for w in done if w.demand.service == near.service for a in w.present]
        if not there or node in there:
            continue
        other = min(there, key=lambda end: (latency(by_name, node, end), end))
        link = (frozenset((node, other)),)
        for what in [link] if link in has else [(node, UPLINK), (other, UPLINK)]:
            used[what] += near.kbps


def latency(by_name: Mapping[str, Machine], one: str, other: str) -> int:
    told = [
        link.latency_us
        for a, b in ((one, other), (other, one))
        for link in by_name[a].links
        if link.node == b and link.latency_us is not None
    ]
    return max(told, default=1 << 40)


_cores = st.lists(st.sampled_from([300, 600, 1000]), max_size=3)
_gpus = st.lists(
    st.builds(Gpu, st.sampled_from(["T4", "V100"]), st.sampled_from([0, 8, 16])), max_size=3
)
_links = st.lists(
    st.builds(
        Link,
        st.sampled_from(NODES),
        st.sampled_from([None, 100, 500]),
        st.sampled_from([None, 10, 2000]),
    ),
    max_size=2,
)
MACHINES = st.lists(
    st.fixed_dictionaries(
        {
            "health": st.sampled_from(["ready"] * 4 + ["draining", "unknown", "failed"]),
            "zone": st.sampled_from(["x", "y"]),
            "cpu_milli": st.integers(0, 3000),
            "cpu_outside": st.sampled_from([0, 0, 500]),
            "memory_mib": st.integers(0, 2000),
            "cores": _cores.map(tuple),
            "gpus": _gpus.map(
                lambda gpus: tuple(replace(gpu, index=3 * i) for i, gpu in enumerate(gpus))
            ),
            "extra": st.sampled_from([(), (("disk", 5), (UPLINK, 300)), ((UPLINK, ROOM),)]),
            "links": _links.map(tuple),
        }
    ),
    max_size=len(NODES),
).map(lambda told: [small(NODES[at], **one) for at, one in enumerate(told)])
_several = st.lists(st.sampled_from(SERVICES), max_size=1).map(tuple)
_neighbours = st.lists(
    st.builds(
        Neighbour,
        st.sampled_from(SERVICES),
        st.sampled_from([0, 80, 400]),
        st.sampled_from([None, None, 10, 5000]),
    ),
    max_size=2,
    unique_by=lambda near: near.service,
)
WANTS = st.lists(
    st.fixed_dictionaries(
        {
            "replicas": st.integers(0, 3),
            "cpu": st.integers(0, 1500),
            "memory": st.integers(0, 900),
            "cores": _cores.map(lambda cores: tuple(sorted(cores, reverse=True))),
            "gpus": st.sampled_from([0, 0, 1, 2]),
            "gpu_milli": st.sampled_from([0, 250, 500, 1000]),
            "gpu_memory_mib": st.sampled_from([0, 4, 12]),
            "extra": st.sampled_from([(), (), (("disk", 2),)]),
            "priority": st.integers(0, 2),
            "affinity": _several,
            "anti_affinity": _several,
            "max_per_node": st.sampled_from([0, 1, 1, 2]),
            "max_per_zone": st.sampled_from([0, 0, 1]),
            "neighbours": _neighbours.map(tuple),
        }
    ),
    min_size=1,
    max_size=len(SERVICES),
).map(lambda told: [_want(SERVICES[at], one) for at, one in enumerate(told)])


def _want(service: str, told: dict[str, Any]) -> Want:
    if not told["gpus"]:
        told = told | {"gpu_milli": 0, "gpu_memory_mib": 0}
    others = {
        "affinity": tuple(s for s in told["affinity"] if s != service),
        "neighbours": tuple(n for n in told["neighbours"] if n.service != service),
    }
    return want(service, **(told | others))

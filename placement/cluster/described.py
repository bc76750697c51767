"""Machines and demands, made of what was registered: every number is cut to what makes sense.

What cannot be (negative amounts, a GPU index twice, a specifier that is none) is told as a defect:
a machine with defects takes nothing new, a service with defects is placed nowhere.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import isfinite

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from placement.cluster.columns import GPU_MILLI
from placement.cluster.needs import (
    DISK,
    DRAINING,
    FAILED,
    READY,
    UNKNOWN,
    UNLIMITED,
    UPLINK,
    VIRTUAL_MEMORY,
    Amounts,
    Demand,
    Gpu,
    Link,
    Machine,
    Need,
    Neighbour,
    Option,
)
from schemas.authority import parameter
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered
from schemas.resources import Variant

CPU, MEMORY = "cpu_milli", "memory_mib"
"""What policies `takes/<service>` tell of each variant, as `cpu_milli/<variant>`."""
_LONGEST = 20


def machine_of(report: NodeReported, now_ms: int) -> Machine:
    """Return a node as it is now; without a heartbeat in time it is unknown."""
    known = report.status if report.status in (READY, DRAINING, FAILED) else UNKNOWN
    expired = now_ms >= report.expires_at and known != FAILED
    capacity, outside = _extra(report)
    return Machine(
        name=report.node,
        cpu_milli=cut(report.cpu_milli),
        memory_mib=cut(report.memory_mib),
        gpus=_gpus(report),
        architecture=report.architecture,
        zone=report.zone,
        labels=tuple((label.key, label.value) for label in report.labels),
        taints=report.taints,
        extra=capacity,
        operating_system=report.operating_system,
        software=tuple((one.key, one.value) for one in report.software),
        cores=tuple(cut(core.capacity_milli) for core in report.cores),
        cpu_outside=cut(report.cpu_used_milli),
        memory_outside=cut(report.memory_used_mib),
        cores_outside=tuple(cut(core.used_milli) for core in report.cores),
        extra_outside=outside,
        links=tuple(
            Link(link.node, kbps(link.mbps), micros(link.latency_ms)) for link in report.links
        ),
        speed=report.speed if isfinite(report.speed) and report.speed > 0 else 1.0,
        frequency_mhz=_known(report.frequency_mhz),
        idle_w=_known(report.idle_w),
        full_w=_known(report.full_w),
        hardware_id=report.hardware_id,
        source=report.source,
        health=UNKNOWN if expired else known,
        message=report.message or ("its heartbeat has expired" if expired else ""),
        defects=_defects(report),
    )


def demand_of(service: ServiceRegistered, seen: PolicySelected | None = None) -> Demand:
    """Return what a registered service asks for; `seen` says what its copies were seen to take."""
    return Demand(
        service=service.service,
        app=service.app,
        options=needs_of(service, seen),
        priority=service.priority,
        sensitivity=service.sensitivity,
        preemption=service.preemption,
        min_available=max(service.min_available, 0),
        affinity=tuple(sorted(set(service.affinity) - {service.service})),
        anti_affinity=tuple(sorted(set(service.anti_affinity))),
        max_per_node=max(service.max_per_node, 0),
        max_per_zone=max(service.max_per_zone, 0),
        neighbours=tuple(
            Neighbour(one.service, kbps(one.mbps) or 0, micros(one.max_latency_ms))
            for one in service.neighbours
            if one.service != service.service
        ),
        min_replicas=max(service.min_replicas, 0),
        max_replicas=max(service.max_replicas, 0),
        target_load=service.target_load,
        idle_ms=max(service.idle_ms, 0),
        defects=_objections(service),
    )


def needs_of(service: ServiceRegistered, seen: PolicySelected | None = None) -> tuple[Option, ...]:
    """Return the ways to run one copy, best first: as each variant, or as it is without any.

    A variant for the CPU takes no GPU unless it names one itself; one for another device is no way
    to run a service that asks for no GPU.
    """
    if not service.variants:
        return (Option("", _with_surplus(_need(service, None), "", seen)),)
    return tuple(
        Option(variant.name, need, variant.device, variant.latency_ms or service.latency_ms)
        for variant in service.variants
        for need in [_with_surplus(_need(service, variant), variant.name, seen)]
        if variant.device == "cpu" or need.gpus
    )


def _with_surplus(need: Need, variant: str, seen: PolicySelected | None) -> Need:
    """Return a need with what copies of this variant were seen to take beside it."""
    if seen is None:
        return need
    cpu = max(0, taken_of(seen, CPU, variant) - need.cpu_milli)
    memory = max(0, taken_of(seen, MEMORY, variant) - need.memory_mib)
    return replace(need, surplus=(cpu, memory)) if cpu or memory else need


def taken_of(seen: PolicySelected, what: str, variant: str) -> int:
    """Return how much a policy `takes/<service>` says that a copy of a variant takes; 0: unsaid."""
    told = parameter(seen, f"{what}/{variant}")
    return cut(int(told)) if told.isascii() and told.isdigit() and len(told) < _LONGEST else 0


def _need(service: ServiceRegistered, variant: Variant | None) -> Need:
    own = variant or Variant(name="", precision="", device="")
    extra = {one.name: cut(one.amount) for one in service.amounts}
    extra |= {DISK: cut(service.disk_mib), VIRTUAL_MEMORY: cut(service.virtual_memory_mib)}
    gpus, milli, memory = _share(service, own)
    return Need(
        cpu_milli=cut(_either(own.cpu_milli, service.cpu_milli)),
        memory_mib=cut(_either(own.memory_mib, service.memory_mib)),
        gpus=gpus,
        gpu_milli=milli,
        gpu_memory_mib=memory,
        models=service.accelerators if gpus else (),
        architectures=service.architectures,
        zones=service.zones,
        labels=tuple(sorted((label.key, label.value) for label in service.node_labels)),
        tolerations=tuple(sorted(service.tolerations)),
        extra=tuple(sorted((name, amount) for name, amount in extra.items() if amount)),
        cores=tuple(sorted((cut(core) for core in service.cpu_per_core_milli), reverse=True)),
        operating_systems=service.operating_systems,
        software=tuple(sorted((one.name, one.versions) for one in service.software)),
        sensitivity=service.sensitivity,
    )


def _share(service: ServiceRegistered, own: Variant) -> tuple[int, int, int]:
    """Return GPUs, share and memory of each: a number of GPUs without a share means whole ones."""
    free = own.device == "cpu"
    count = cut(_either(own.gpus, 0 if free and own.gpu_milli is None else service.gpus))
    milli = cut(_either(own.gpu_milli, 0 if free and not count else service.gpu_milli))
    memory = cut(_either(own.gpu_memory_mib, 0 if free else service.gpu_memory_mib))
    if not count and not milli and not memory:
        return 0, 0, 0
    if not count:
        return 1, milli, memory
    return count, milli or GPU_MILLI, memory


def cut(amount: int) -> int:
    """Return an amount between nothing and UNLIMITED."""
    return min(max(amount, 0), UNLIMITED)


def kbps(mbps: float | None) -> int | None:
    """Return Mbit/s in whole kbit/s; None for what is not told, or endless."""
    if mbps is None or not isfinite(mbps):
        return None
    return _thousandths(mbps)


def micros(ms: float | None) -> int | None:
    """Return milliseconds in whole microseconds, None for what is not told."""
    if ms is None or not isfinite(ms):
        return None
    return _thousandths(ms)


def _known(amount: float | None) -> float:
    """Return what is told, 0 for what cannot be."""
    return amount if amount is not None and isfinite(amount) and amount > 0 else 0.0


def _thousandths(amount: float) -> int:
    return cut(round(min(max(amount, 0.0), float(UNLIMITED)) * 1000))


def _either(own: int | None, common: int) -> int:
    return common if own is None else own


def _extra(report: NodeReported) -> tuple[Amounts, Amounts]:
    """Return further amounts that a node has, and what others use of them, by name."""
    capacity = {amount.name: cut(amount.capacity) for amount in report.amounts}
    outside = {amount.name: cut(amount.used) for amount in report.amounts}
    uplink = kbps(report.network_mbps)
    capacity |= {
        DISK: cut(report.disk_mib),
        VIRTUAL_MEMORY: cut(report.virtual_memory_mib) or UNLIMITED,
        UPLINK: UNLIMITED if uplink is None else uplink,
    }
    outside |= {
        DISK: cut(report.disk_used_mib),
        VIRTUAL_MEMORY: cut(report.virtual_memory_used_mib),
        UPLINK: kbps(report.network_used_mbps) or 0,
    }
    return tuple(sorted(capacity.items())), tuple(sorted(outside.items()))


def _gpus(report: NodeReported) -> tuple[Gpu, ...]:
    """Return the GPUs of a node; of those with the same index the first counts."""
    found: dict[int, Gpu] = {}
    for gpu in report.gpus:
        found.setdefault(
            gpu.index,
            Gpu(
                gpu.model,
                cut(gpu.memory_mib),
                gpu.index,
                cut(gpu.used_milli),
                cut(gpu.memory_used_mib),
                gpu.partition,
            ),
        )
    return tuple(found.values())


def _defects(report: NodeReported) -> tuple[str, ...]:
    told: dict[str, Iterable[float]] = {
        "CPU": (report.cpu_milli, report.cpu_used_milli),
        "memory": (report.memory_mib, report.memory_used_mib),
        "virtual memory": (report.virtual_memory_mib, report.virtual_memory_used_mib),
        "disk": (report.disk_mib, report.disk_used_mib),
        "cores": [n for core in report.cores for n in (core.capacity_milli, core.used_milli)],
        "GPUs": [n for g in report.gpus for n in (g.memory_mib, g.memory_used_mib, g.used_milli)],
        "amounts": [n for one in report.amounts for n in (one.capacity, one.used)],
        "network": (report.network_mbps or 0.0, report.network_used_mbps),
        "links": [n or 0.0 for link in report.links for n in (link.mbps, link.latency_ms)],
    }
    found = [f"negative {name}" for name, numbers in told.items() if not _sound(numbers)]
    for name, values in (
        ("GPU index", [gpu.index for gpu in report.gpus]),
        ("amount", [amount.name for amount in report.amounts]),
    ):
        found += [f"{name} {twice} twice" for twice in _twice(values)]
    if not (isfinite(report.speed) and report.speed > 0):
        found.append(f"speed {report.speed}")
    return tuple(found)


def _objections(service: ServiceRegistered) -> tuple[str, ...]:
    """Return what a registration asks for that cannot be."""
    told: dict[str, Iterable[float]] = {
        "CPU": (service.cpu_milli, *service.cpu_per_core_milli),
        "memory": (service.memory_mib, service.virtual_memory_mib),
        "disk": (service.disk_mib,),
        "GPU": (service.gpus, service.gpu_milli, service.gpu_memory_mib),
        "amounts": [one.amount for one in service.amounts],
        "bandwidth or latency": [
            n or 0.0 for one in service.neighbours for n in (one.mbps, one.max_latency_ms)
        ],
        "variants": [
            n or 0
            for v in service.variants
            for n in (v.cpu_milli, v.memory_mib, v.gpus, v.gpu_milli, v.gpu_memory_mib)
        ],
    }
    found = [
        f"it asks for negative {name}" for name, numbers in told.items() if not _sound(numbers)
    ]
    both = sorted(set(service.affinity) & set(service.anti_affinity) - {service.service})
    found += [f"it must and must not run with {other}" for other in both]
    found += [
        f"{one.versions!r} is no specifier of versions of {one.name}"
        for one in service.software
        if not _specifies(one.versions)
    ]
    return tuple(found)


def _sound(numbers: Iterable[float]) -> bool:
    """Say whether no number is below zero, and all are numbers."""
    return all(number >= 0 for number in numbers)


def _twice(values: Iterable[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


def _specifies(versions: str) -> bool:
    try:
        SpecifierSet(versions)
    except InvalidSpecifier:
        return False
    return True

"""Nodes and services as placement sees them: what there is, what is asked for."""

from dataclasses import dataclass

from schemas.registrations import NodeReported, ServiceRegistered

READY, DRAINING, UNKNOWN, FAILED = "ready", "draining", "unknown", "failed"
GPU_MILLI = 1000
"""Shares of one GPU, thousandths."""


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU: its index, its model, and the thousandths of it that others use."""

    index: int
    model: str
    outside_milli: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node: capacities, and what is used by others than Weir (`outside`).

    CPU in thousandths of a core, memory in MiB; `cores` holds (capacity, used by others) each.
    `health` is ready, draining, unknown (its heartbeat has expired) or failed.
    """

    name: str
    health: str = READY
    message: str = ""
    zone: str = ""
    architecture: str = ""
    speed: float = 1.0
    cpu_milli: int
    cpu_outside: int = 0
    memory_mib: int
    memory_outside: int = 0
    cores: tuple[tuple[int, int], ...] = ()
    gpus: tuple[GpuView, ...] = ()
    taints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one replica of a service needs; units as in NodeView.

    `cores` is the demand on each core, highest first; empty tuples accept anything. `variants`
    are (name, device), best first.
    """

    service: str
    app: str = ""
    cpu_milli: int
    memory_mib: int
    gpu_milli: int = 0
    cores: tuple[int, ...] = ()
    accelerators: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    variants: tuple[tuple[str, str], ...] = ()
    priority: int = 0

    def variant(self) -> str | None:
        """Return the first variant that a replica can run as, None when there is none.

        Without a GPU share only variants for the CPU will do; no variants at all is one: "".
        """
        if not self.variants:
            return ""
        usable = [name for name, device in self.variants if self.gpu_milli or device == "cpu"]
        return usable[0] if usable else None


def node_view(report: NodeReported, now_ms: int) -> NodeView:
    """Return a node as it is now: without a heartbeat in time it is unknown."""
    expired = now_ms >= report.expires_at
    known = report.status if report.status in (READY, DRAINING, FAILED) else UNKNOWN
    return NodeView(
        name=report.node,
        health=UNKNOWN if expired and known != FAILED else known,
        message=report.message or ("its heartbeat has expired" if expired else ""),
        zone=report.zone,
        architecture=report.architecture,
        speed=report.speed,
        cpu_milli=report.cpu_milli,
        cpu_outside=report.cpu_used_milli,
        memory_mib=report.memory_mib,
        memory_outside=report.memory_used_mib,
        cores=tuple((core.capacity_milli, core.used_milli) for core in report.cores),
        gpus=tuple(GpuView(gpu.index, gpu.model, gpu.used_milli) for gpu in report.gpus),
        taints=report.taints,
    )


def demand_of(service: ServiceRegistered) -> Demand:
    """Return what one replica of a registered service needs."""
    return Demand(
        service=service.service,
        app=service.app,
        cpu_milli=service.cpu_milli,
        memory_mib=service.memory_mib,
        gpu_milli=service.gpu_milli,
        cores=tuple(sorted(service.cpu_per_core_milli, reverse=True)),
        accelerators=service.accelerators,
        architectures=service.architectures,
        variants=tuple((variant.name, variant.device) for variant in service.variants),
        priority=service.priority,
    )

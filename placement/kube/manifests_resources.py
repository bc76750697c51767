"""What a copy asks of its node: requests and limits, and GPUs, whole, sliced or shared."""

from collections.abc import Mapping

from placement.errors import NotDeployable
from schemas.decisions import Assignment
from schemas.registrations import NodeReported, ServiceRegistered

WHOLE = 1000
"""Thousandths of a GPU that are all of it."""
REPLICAS = "nvidia.com/gpu.replicas"
"""Label that NVIDIA's feature discovery puts on nodes: time slices per GPU."""
Resources = dict[str, dict[str, str]]


def cpu(milli: int) -> str:
    """Return thousandths of a core in canonical form."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def mebibytes(amount: int) -> str:
    """Return MiB in canonical form, as the API server gives it back."""
    for unit in ("Mi", "Gi", "Ti"):
        if amount % 1024 or amount == 0 or unit == "Ti":
            return f"{amount}{unit}" if amount else "0"
        amount //= 1024
    raise AssertionError(amount)


def resources(
    assignment: Assignment,
    registered: ServiceRegistered,
    node: NodeReported | None,
    gpu: str,
    share: str,
) -> Resources:
    """Return requests and limits of one copy.

    `gpu` is the resource of whole GPUs, `share` the one of thousandths that some device plug-ins
    offer. CPU has no limit: to be throttled while the node is idle helps nobody. Raises
    NotDeployable when the node offers no such part of a GPU.
    """
    requests = {"cpu": cpu(assignment.cpu_milli), "memory": mebibytes(assignment.memory_mib)}
    limits = {"memory": requests["memory"]}
    if registered.disk_mib:
        requests["ephemeral-storage"] = mebibytes(registered.disk_mib)
        limits["ephemeral-storage"] = requests["ephemeral-storage"]
    counted = _gpus(assignment, node, gpu, share)
    for needed in registered.amounts:
        if "/" in needed.name:
            counted[needed.name] = counted.get(needed.name, 0) + needed.amount
    limits |= {name: str(amount) for name, amount in sorted(counted.items()) if amount}
    return {"requests": requests | {n: limits[n] for n in counted if n in limits}, "limits": limits}


def indices(assignment: Assignment) -> tuple[int, ...]:
    """Return the GPUs of its node that a copy was given."""
    if assignment.gpu_indices:
        return assignment.gpu_indices
    return () if assignment.gpu_index is None else (assignment.gpu_index,)


def _gpus(
    assignment: Assignment, node: NodeReported | None, gpu: str, share: str
) -> dict[str, int]:
    count = len(indices(assignment)) or (1 if assignment.gpu_milli else 0)
    if not count:
        return {}
    if slices := _partitions(assignment, node, gpu):
        return slices
    if assignment.gpu_milli >= WHOLE or not assignment.gpu_milli:
        return {gpu: count}
    offered = {amount.name for amount in node.amounts} if node is not None else set()
    if share in offered:
        return {share: assignment.gpu_milli * count}
    if replicas := _replicas(node):
        shared = f"{gpu}.shared"
        each = -(-assignment.gpu_milli * replicas // WHOLE)
        return {shared if shared in offered else gpu: each * count}
    where = node.node if node is not None else assignment.node
    raise NotDeployable(
        "GPU shares",
        f"{where} offers whole GPUs only, and {assignment.gpu_milli} thousandths are asked for: "
        f"offer time slices, MIG slices or {share} there, or ask for {WHOLE}",
    )


def _partitions(assignment: Assignment, node: NodeReported | None, gpu: str) -> dict[str, int]:
    """Return the MIG slices among a copy's GPUs, by resource; none when they are whole ones.

    Where all slices of a node are alike, it offers them under the name of whole GPUs.
    """
    found: dict[str, int] = {}
    vendor = gpu.partition("/")[0]
    known = {each.index: each.partition for each in node.gpus} if node is not None else {}
    offered = {amount.name for amount in node.amounts} if node is not None else set()
    for index in indices(assignment):
        if profile := known.get(index):
            named = f"{vendor}/mig-{profile}"
            name = named if named in offered else gpu
            found[name] = found.get(name, 0) + 1
    return found


def _replicas(node: NodeReported | None) -> int:
    """Return the time slices per GPU of a node; 0 when it has none."""
    labels: Mapping[str, str] = {}
    if node is not None:
        labels = {entry.key: entry.value for entry in node.labels}
    told = labels.get(REPLICAS, "")
    return int(told) if told.isdecimal() and int(told) > 1 else 0

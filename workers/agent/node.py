"""A machine as a node of the catalogue, and its neighbours there. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from placement.kube.discovery_nodes import AGENT
from placement.kube.discovery_nodes import SOURCE as CLUSTER
from schemas.records import KeyValue
from schemas.registrations import NodeReported
from schemas.resources import Core, Gpu
from workers.agent import echoing
from workers.agent.echoing import Neighbour

OBSERVED = "observed"
"""Taint of nodes that are only observed: nothing is placed where nothing carries placements out."""
BY_HAND = "operator"
"""Source of nodes that somebody registered, until their first heartbeat."""
EXPIRY_MS = 5_000
MOST_NEIGHBOURS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What does not change of a node while its agent runs; memory and disk in MiB."""

    node: str
    zone: str = ""
    cores: int
    memory_mib: int
    disk_mib: int
    architecture: str
    operating_system: str
    software: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    answers_at: str = ""
    placeable: bool = False


def report(
    facts: Facts,
    cores_used: Sequence[float],
    memory_used_mib: int,
    gpus: tuple[Gpu, ...],
    now_ms: int,
    *,
    status: str = "ready",
) -> NodeReported:
    """Return a node's heartbeat; `cores_used` in % each, empty when not known.

    Use counts in full: an agent does not know which of it is Weir's own, so that a node that is
    placeable looks fuller than it is, never emptier.
    """
    labels = (*facts.labels, (AGENT, facts.answers_at))
    return NodeReported(
        node=facts.node,
        zone=facts.zone,
        cpu_milli=facts.cores * 1000,
        cpu_used_milli=round(sum(cores_used) * 10),
        cores=tuple(Core(capacity_milli=1000, used_milli=round(used * 10)) for used in cores_used),
        memory_mib=facts.memory_mib,
        memory_used_mib=memory_used_mib,
        disk_mib=facts.disk_mib,
        gpus=gpus,
        labels=tuple(KeyValue(key=key, value=value) for key, value in labels),
        taints=() if facts.placeable else (OBSERVED,),
        architecture=facts.architecture,
        operating_system=facts.operating_system,
        software=tuple(KeyValue(key=key, value=value) for key, value in facts.software),
        status=status,
        message=None if status == "ready" else "its agent was stopped",
        heartbeat=now_ms,
        expires_at=now_ms + (EXPIRY_MS if status == "ready" else 0),
        source="agent",
    )


def told_by_another(node: NodeReported | None, now_ms: int, answers_at: str = "") -> bool:
    """Return whether something that is no agent reports this node, and still does.

    Whoever registered it by hand does not report it. Who discovers the nodes of a cluster takes
    over what an agent tells; until that shows where this one answers, it goes on telling.
    """
    if node is None or node.expires_at <= now_ms or node.source == BY_HAND:
        return False
    told = [label.value for label in node.labels if label.key == AGENT]
    return answers_at in told if node.source == CLUSTER else not told


def neighbours(nodes: Iterable[NodeReported], own: str, now_ms: int) -> list[Neighbour]:
    """Return the agents to measure: those whose nodes follow one's own by name, at most eight.

    In a ring of names every node is measured by as many as it measures itself.
    """
    found = {}
    for node in nodes:
        place = next((label.value for label in node.labels if label.key == AGENT), "")
        if node.node == own or node.expires_at <= now_ms or not place:
            continue
        try:
            _, host, port = echoing.address(place)
        except ValueError:
            continue
        found[node.node] = Neighbour(node.node, host, port)
    names = sorted(found)
    ring = [name for name in names if name > own] + [name for name in names if name < own]
    return [found[name] for name in ring[:MOST_NEIGHBOURS]]

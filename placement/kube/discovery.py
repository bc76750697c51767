"""From the nodes of a cluster to the nodes of the catalogue. Pure.

A node is reported when something of it has changed, and by heartbeat. What its API does not know
(cores, clock, links, power) is taken over from what an agent on it has told; the agent then leaves
the telling to us. While the API is away the last that it told is repeated: nothing could be moved
meanwhile, and what runs there runs on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from placement.kube.discovery_nodes import AGENT, SOURCE, enriched, reported
from placement.kube.manifests_names import OWNER
from placement.kube.view import Group, Observed
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.registrations import NodeReported

GONE = "the cluster has no such node any more"


@dataclass(frozen=True, slots=True)
class DiscoveryParams:
    """How often nodes are told, ms: at least, at most, and how long it holds; whose pods we are."""

    heartbeat_ms: int = 10_000
    pause_ms: int = 500
    expiry_ms: int = 45_000
    owner: str = OWNER


@dataclass(slots=True)
class _Node:
    """What is remembered of a node: what it was reported with, as what, and when."""

    group: Group
    agent: NodeReported | None
    told: NodeReported
    told_at: int


@dataclass(slots=True)
class Discovery:
    """Reports the nodes of one cluster."""

    params: DiscoveryParams = field(default_factory=DiscoveryParams)
    _nodes: dict[str, _Node] = field(default_factory=dict)

    def step(self, now_ms: int, catalogue: Catalogue, observed: Observed) -> list[Event]:
        """Return what is to be told of nodes now; nothing before all have been listed."""
        if not observed.complete:
            return []
        known = catalogue.of(NodeReported)
        found: dict[str, Group] = {
            name: group for name, group in observed.groups.items() if ("Node", "", name) in group
        }
        events: list[Event] = []
        for name, group in found.items():
            told = self._look(now_ms, name, group, known.get(name))
            events += [told] if told is not None else []
        return [*events, *self._gone(now_ms, found, known)]

    def farewell(self, now_ms: int) -> list[Event]:
        """Return that nobody looks after the nodes any more."""
        why = "the actuator of this cluster was stopped"
        return [
            replace(node.told, status="unknown", message=why, heartbeat=now_ms, expires_at=now_ms)
            for node in self._nodes.values()
        ]

    def _look(
        self, now_ms: int, name: str, group: Group, known: NodeReported | None
    ) -> NodeReported | None:
        held = self._nodes.get(name)
        agent = _agent(known, held.agent if held is not None else None)
        if held is not None:
            age_ms = now_ms - held.told_at
            same = group is held.group and agent is held.agent
            if age_ms < (self.params.heartbeat_ms if same else self.params.pause_ms):
                return None
            if same:
                held.told_at = now_ms
                held.told = self._timed(held.told, now_ms)
                return held.told
        node = group["Node", "", name]
        pods = [body for (kind, *_), body in group.items() if kind == "Pod"]
        fresh = self._timed(enriched(reported(node, pods, self.params.owner), agent), now_ms)
        old = self._timed(held.told, now_ms) if held is not None else None
        due = held is None or now_ms - held.told_at >= self.params.heartbeat_ms
        told_at = held.told_at if held is not None and not due and fresh == old else now_ms
        self._nodes[name] = _Node(group, agent, fresh, told_at)
        return fresh if told_at == now_ms else None

    def _timed(self, told: NodeReported, now_ms: int) -> NodeReported:
        return replace(told, heartbeat=now_ms, expires_at=now_ms + self.params.expiry_ms)

    def _gone(
        self, now_ms: int, found: Mapping[str, Group], known: Mapping[str, NodeReported]
    ) -> Iterator[NodeReported]:
        """Yield that nodes have failed which the cluster no longer has."""
        for name in [name for name in self._nodes if name not in found]:
            del self._nodes[name]
        for name, node in known.items():
            if node.source == SOURCE and name not in found and node.message != GONE:
                yield replace(
                    node, status="failed", message=GONE, heartbeat=now_ms, expires_at=now_ms
                )


def _agent(known: NodeReported | None, held: NodeReported | None) -> NodeReported | None:
    """Return the report with an agent's facts: its own, or ours that has taken them over."""
    if known is None or all(label.key != AGENT for label in known.labels):
        return held
    if known.source != SOURCE:
        return held if held is not None and _facts(held) == _facts(known) else known
    return held or known


def _facts(told: NodeReported) -> tuple[object, ...]:
    """Return what is taken over of an agent's report, without what changes all the time."""
    bare = replace(told, heartbeat=0, expires_at=0)
    return (bare.hardware_id, len(bare.cores), bare.labels, bare.software, bare.links, bare.speed)

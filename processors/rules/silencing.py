"""Why a verdict is not told on: a silence, a node that is down, a rule that it depends on.

A silenced verdict is judged and stored all the same, and names what silences it: `silence NAME`,
`node NAME` or `rule NAME`. A node is down when it says that it failed, is said to be unknown, or
its heartbeat is overdue; that silences what is told of services and instances which run on nodes
that are down alone, not what is told of the node itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.catalogue import Catalogue
from schemas.quality import SilenceDefined
from schemas.registrations import InstanceReported, NodeReported

LEFT = ("draining", "stopped")
DOWN = ("failed", "unknown")
_GONE_MS = 3_600_000
"""An instance that was silent for so long runs nowhere."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a verdict is about, and who gives it."""

    app: str
    stage: str
    service: str
    instance: str
    node: str
    rule: str
    tier: str


def silence_of(subject: Subject, silences: Mapping[str, SilenceDefined], now_ms: int) -> str:
    """Return which silence covers a verdict now, the first by name; empty for none."""
    for name, one in sorted(silences.items()):
        if one.starts_at <= now_ms < one.ends_at and covers(one, subject):
            return f"silence {name}"
    return ""


def covers(silence: SilenceDefined, subject: Subject) -> bool:
    """Return whether a silence is about a subject, whenever it is in force."""
    return all(
        getattr(silence, field) in ("", getattr(subject, field)) for field in Subject.__slots__
    )


def node_down(subject: Subject, catalogue: Catalogue, now_ms: int) -> str:
    """Return the node whose failure explains a verdict on what runs there; empty for none."""
    if not (subject.service or subject.instance):
        return ""
    nodes = [subject.node] if subject.node else sorted(_nodes_of(subject, catalogue, now_ms))
    if nodes and all(_is_down(catalogue.get(NodeReported, node), now_ms) for node in nodes):
        return f"node {nodes[0]}"
    return ""


def alike(one: Iterable[str], other: Iterable[str]) -> bool:
    """Return whether two subjects may be the same: where both say something, it is equal."""
    return all(not a or not b or a == b for a, b in zip(one, other, strict=True))


def _nodes_of(subject: Subject, catalogue: Catalogue, now_ms: int) -> set[str]:
    return {
        one.node
        for one in catalogue.by_app(InstanceReported).get(subject.app, ())
        if one.instance == subject.instance
        or (not subject.instance and one.service == subject.service)
        if one.node and one.health not in LEFT and one.expires_at + _GONE_MS > now_ms
    }


def _is_down(node: NodeReported | None, now_ms: int) -> bool:
    return node is not None and (node.status in DOWN or node.expires_at <= now_ms)

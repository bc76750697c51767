"""Which services a look has to plan: those that a change concerns, not all.

Derived from the catalogue and from what was decided; never part of a snapshot.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from placement.controller_state import ServiceState
from placement.model import READY, NodeView

RETRIES = 200
"""Services without a place that one look tries again; the next look goes on with others."""


class Watch:
    """Remembers how the nodes stood, which services are concerned, and which want a place."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeView] = {}
        self._due: set[str] = set()
        self._open: set[str] = set()

    def touch(self, services: Iterable[str]) -> None:
        """Note that the next look must plan these."""
        self._due.update(services)

    def forget(self, service: str) -> None:
        """Note that a service is of no concern any more."""
        self._due.discard(service)
        self._open.discard(service)

    def postpone(self, services: Iterable[str]) -> None:
        """Note that services which could not be decided on are to be tried again."""
        self._open.update(services)

    def settle(self, state: ServiceState, nodes: Mapping[str, NodeView]) -> None:
        """Note a service that was planned: open until every copy runs on a sound node."""
        sound = all(a.node in nodes and nodes[a.node].health == READY for a in state.assignments)
        if sound and state.answered and len(state.assignments) == state.replicas:
            self._open.discard(state.service)
        else:
            self._open.add(state.service)

    def changed(self, nodes: Mapping[str, NodeView]) -> set[str]:
        """Return nodes that came, went, or changed in more than the load of others."""
        standing = {name: _standing(view) for name, view in nodes.items()}
        before, self._nodes = self._nodes, standing
        return {
            name
            for name in before.keys() | standing.keys()
            if before.get(name) != standing.get(name)
        }

    def due(self, turn: int) -> set[str]:
        """Return, once, what a look has to plan; `turn` counts looks."""
        due, self._due = self._due, set()
        waiting = sorted(self._open - due)
        start = turn * RETRIES % len(waiting) if waiting else 0
        again = (waiting[start:] + waiting[:start])[:RETRIES]
        return due | set(again)


def _standing(view: NodeView) -> NodeView:
    """Return a node without what others use of it, and without its message."""
    return replace(
        view,
        message="",
        cpu_outside=0,
        memory_outside=0,
        cores=tuple((capacity, 0) for capacity, _ in view.cores),
        gpus=tuple(replace(gpu, outside_milli=0) for gpu in view.gpus),
    )

"""Which services a look has to plan: those that a change concerns, not all.

And in which order: the queue of those that wait for room. Derived from the catalogue and from what
was decided; never part of a snapshot.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from placement.cluster.needs import READY, Demand, Machine
from placement.control.state import ServiceState

RETRIES = 200
"""Services without a place that one look tries again: half from the head of the queue on, half in
turns."""
_SENSITIVE = {"both": 2, "cpu": 1, "memory": 1}
ORDERS: Mapping[str, Callable[[Demand, int], tuple[Any, ...]]] = {
    "priority": lambda demand, since: (-demand.priority, since),
    "sensitivity": lambda demand, since: (
        -_SENSITIVE.get(demand.sensitivity, 0),
        -demand.priority,
        since,
    ),
    "age": lambda demand, since: (since, -demand.priority),
}
"""How services queue, by the parameter `queue` of the policy for place; the least comes first."""


def in_turn(queue: str, demand: Demand, since: int) -> tuple[Any, ...]:
    """Return by what a service is ordered: as the policy says, then largest first, then by name."""
    needs = [option.need for option in demand.options[:1]]
    size = [(-need.gpu_total, -need.cpu_milli, -need.memory_mib) for need in needs]
    return (*ORDERS.get(queue, ORDERS["priority"])(demand, since), size, demand.service)


class Watch:
    """Remembers which services are concerned, and which want a place."""

    def __init__(self) -> None:
        self._due: set[str] = set()
        self._open: set[str] = set()
        self._tried: dict[str, int] = {}

    def touch(self, services: Iterable[str]) -> None:
        """Note that the next look must plan these."""
        self._due.update(services)

    def forget(self, service: str) -> None:
        """Note that a service is of no concern any more."""
        self._due.discard(service)
        self._close(service)

    def postpone(self, services: Iterable[str]) -> None:
        """Note that services which could not be decided on are to be tried again."""
        for service in services:
            self._open.add(service)
            self._tried.pop(service, None)

    @property
    def waiting(self) -> Collection[str]:
        """Return the services that want a place, tried already or not."""
        return self._open

    def settle(self, state: ServiceState, nodes: Mapping[str, Machine], chance: int) -> None:
        """Note a service that was planned: open until every copy runs on a sound node.

        `chance` is a number that changes when something may fit that did not before.
        """
        sound = all(a.node in nodes and nodes[a.node].health == READY for a in state.assignments)
        if sound and state.answered and len(state.assignments) == state.replicas:
            self._close(state.service)
        else:
            self._open.add(state.service)
            self._tried[state.service] = chance

    def due(self, turn: int, chance: int, key: Callable[[str], Any]) -> set[str]:
        """Return, once, what a look has to plan; `turn` counts looks, `key` orders the queue."""
        due, self._due = self._due, set()
        waiting = [s for s in self._open - due if self._tried.get(s) != chance]
        if len(waiting) > RETRIES:
            waiting.sort(key=key)
            half = RETRIES // 2
            rest = waiting[half:]
            start = turn * half % len(rest)
            waiting = waiting[:half] + (rest[start:] + rest[:start])[:half]
        return due | set(waiting)

    def _close(self, service: str) -> None:
        self._open.discard(service)
        self._tried.pop(service, None)

"""What placed replicas take of each node, kept up as services come, move and go."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from placement.model import Demand
from schemas.decisions import Assignment


class Occupancy:
    """Sums over replicas: CPU (milli), memory (MiB) per node, thousandths per GPU index.

    A planner begins with them, so that its work grows with what it plans and with the nodes, not
    with all that is placed already.
    """

    def __init__(self) -> None:
        self.cpu: Counter[str] = Counter()
        self.memory: Counter[str] = Counter()
        self.gpu: Counter[tuple[str, int]] = Counter()
        self._cores: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
        self._services: dict[str, set[str]] = defaultdict(set)
        self._held: dict[str, tuple[Demand, tuple[Assignment, ...]]] = {}

    def put(self, demand: Demand, assignments: tuple[Assignment, ...]) -> None:
        """Count the replicas of a service in place of those counted before."""
        self.drop(demand.service)
        if assignments:
            self._held[demand.service] = (demand, assignments)
            self._count(demand, assignments, 1)

    def drop(self, service: str) -> None:
        """Count no replica of a service any more."""
        if service in self._held:
            self._count(*self._held.pop(service), -1)

    def services_on(self, nodes: Iterable[str]) -> set[str]:
        """Return the services with a replica on any of the nodes."""
        found: set[str] = set()
        return found.union(*(self._services.get(node, ()) for node in nodes))

    def cores(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        """Return, per node and service, the demand on each core, highest first."""
        return self._cores

    def _count(self, demand: Demand, assignments: tuple[Assignment, ...], sign: int) -> None:
        for assignment in assignments:
            node = assignment.node
            self.cpu[node] += sign * demand.cpu_milli
            self.memory[node] += sign * demand.memory_mib
            if demand.gpu_milli and assignment.gpu_index is not None:
                self.gpu[node, assignment.gpu_index] += sign * demand.gpu_milli
            if sign > 0:
                self._services[node].add(demand.service)
                if demand.cores:
                    self._cores[node][demand.service] = demand.cores
            else:
                self._services[node].discard(demand.service)
                self._cores[node].pop(demand.service, None)

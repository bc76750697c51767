"""Who runs where: the columns with all copies in them, and what flows between these. Pure.

Every copy of a service exchanges data with the copy of each neighbour that is nearest: by latency,
then by row. What flows follows from where the copies are, and nothing else. What is put and
removed again leaves no trace.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from placement.cluster.columns import Columns, Taken
from placement.cluster.needs import Demand, Machine, Need, Neighbour
from placement.cluster.network import Network
from placement.errors import Overcommitted

Flow = tuple[str, str, str]
"""A service, one of its copies, and the neighbour that this one exchanges data with."""
Flows = dict[Flow, tuple[int, int, int]]
"""From which row to which other one they go, and how much, kbit/s."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a service, as what variant, and what it holds."""

    service: str
    instance: str
    variant: str
    taken: Taken

    @property
    def row(self) -> int:
        """Return the row of its node."""
        return self.taken.row


@dataclass(frozen=True, slots=True)
class Gone:
    """A copy that was removed, and what there was with it: its flows, who was upset, `freed`."""

    demand: Demand
    copy: Copy
    flows: Flows
    upset: frozenset[str]
    freed: int


class Cluster:
    """Machines in order of their names, and the copies that run there.

    `known` are the demands of all services, `demands` of those with copies. `upset` collects
    services of which a copy has lost its way to a neighbour, `stirred` those of which copies came
    or went; `freed` rises whenever something may fit that did not before.
    """

    def __init__(self, machines: Iterable[Machine]) -> None:
        self.columns = Columns(sorted(machines, key=lambda machine: machine.name))
        self.network = Network(self.columns)
        self.known: Mapping[str, Demand] = {}
        self.demands: dict[str, Demand] = {}
        self.copies: dict[str, dict[str, Copy]] = {}
        self.upset: set[str] = set()
        self.stirred: set[str] = set()
        self.freed = 0
        self._at: dict[int, Counter[str]] = defaultdict(Counter)
        self._repelled: dict[str, set[str]] = defaultdict(set)
        self._called: dict[str, set[str]] = defaultdict(set)
        self._flows: Flows = {}

    def rows_of(self, service: str) -> list[int]:
        """Return the rows with a copy of a service, one for each copy."""
        return [copy.row for copy in self.copies.get(service, {}).values()]

    def count(self, row: int, service: str) -> int:
        """Return how many copies of a service run on a row."""
        return self._at[row][service] if row in self._at else 0

    def services_on(self, nodes: Iterable[str]) -> set[str]:
        """Return the services with a copy on any of the nodes."""
        rows = (self.columns.row.get(node) for node in nodes)
        return {service for row in rows if row is not None for service in self._at.get(row, ())}

    def repelling(self, service: str) -> set[str]:
        """Return the services with copies that must not be with this one, as they say."""
        return self._repelled.get(service, set())

    def flow(self, caller: str, instance: str, service: str) -> int | None:
        """Return the row to which a copy of a caller sends its data; None when to nobody."""
        found = self._flows.get((caller, instance, service))
        return None if found is None else found[1]

    def callers(self, service: str) -> Iterator[tuple[Demand, Neighbour]]:
        """Yield the services with copies that exchange data with this one, as they say."""
        for caller in sorted(self._called.get(service, ())):
            demand = self.demands[caller]
            yield from ((demand, near) for near in demand.neighbours if near.service == service)

    def put(
        self,
        demand: Demand,
        variant: str,
        need: Need,
        row: int,
        slots: tuple[int, ...],
        *,
        instance: str = "",
        cores: tuple[int, ...] = (),
        staying: bool = False,
    ) -> Copy:
        """Let a copy run on a row, under a free name where it has none.

        Raises Overcommitted, and changes nothing, where there is no room for it or its data. For
        one that is `staying` the data of others are no reason: they are upset where these find no
        room.
        """
        name = instance or self.name_for(demand.service, row)
        taken = self.columns.take(row, need, slots, cores, staying=staying)
        copy = Copy(demand.service, name, variant, taken)
        own, others = self._flows_with(demand, copy)
        try:
            self._connect(own if staying else own | others)
        except Overcommitted:
            self.columns.give_back(taken)
            raise
        for key, flow in others.items() if staying else ():
            self._try(key, flow)
        self._enter(demand, copy)
        return copy

    def name_for(self, service: str, row: int) -> str:
        """Return a name for one more copy: <service>.<node>, with a number from the second on."""
        base, known = f"{service}.{self.columns.machines[row].name}", self.copies.get(service, {})
        names = (base if number == 1 else f"{base}.{number}" for number in range(1, len(known) + 2))
        return next(name for name in names if name not in known)

    def remove(self, copy: Copy) -> Gone:
        """Undo `put`; copies that exchanged data with this one turn to the next nearest.

        What comes back is how all was: the last that was removed may be put back as it ran.
        """
        service, demand = copy.service, self.demands[copy.service]
        keys = [(service, copy.instance, near.service) for near in demand.neighbours]
        if self._called.get(service):
            keys += [k for k, f in self._flows.items() if k[2] == service and f[1] == copy.row]
        flows = {key: self._flows[key] for key in keys if key in self._flows}
        gone = Gone(demand, copy, flows, frozenset(self.upset), self.freed)
        del self.copies[service][copy.instance]
        self._at[copy.row][service] -= 1
        if not self._at[copy.row][service]:
            del self._at[copy.row][service]
        for key, flow in flows.items():
            if key[0] == service and key[1] == copy.instance:
                self._disconnect(key)
            elif not self.count(copy.row, service):
                self._turn(key, flow)
        self.columns.give_back(copy.taken)
        self.stirred.add(service)
        self.freed += 1
        if not self.copies[service]:
            self._leave(demand)
        return gone

    def put_back(self, gone: Gone) -> None:
        """Undo `remove`, the last one first: then there is room for all that was there."""
        taken = gone.copy.taken
        for key in gone.flows:
            self._disconnect(key)
        self.columns.take(taken.row, taken.need, taken.slots, taken.cores, staying=True)
        for key, flow in gone.flows.items():
            self.network.take(*flow)
            self._flows[key] = flow
        self._enter(gone.demand, gone.copy)
        self.upset, self.freed = set(gone.upset), gone.freed

    def drop(self, service: str) -> None:
        """Remove all copies of a service."""
        for copy in list(self.copies.get(service, {}).values()):
            self.remove(copy)

    def nearest(self, row: int, rows: Sequence[int]) -> int | None:
        """Return the row that is nearest to one, the first of those that tie."""
        between = self.network.between
        return min(rows, key=lambda other: (between(row, other), other), default=None)

    def _enter(self, demand: Demand, copy: Copy) -> None:
        service = demand.service
        self.stirred.add(service)
        self.demands[service] = demand
        self.copies.setdefault(service, {})[copy.instance] = copy
        self._at[copy.row][service] += 1
        for other in demand.anti_affinity:
            self._repelled[other].add(service)
        for near in demand.neighbours:
            self._called[near.service].add(service)
        self.freed += 1

    def _leave(self, demand: Demand) -> None:
        service = demand.service
        del self.copies[service], self.demands[service]
        for other in demand.anti_affinity:
            self._repelled[other].discard(service)
        for near in demand.neighbours:
            self._called[near.service].discard(service)

    def _flows_with(self, demand: Demand, copy: Copy) -> tuple[Flows, Flows]:
        """Return what flows anew, or elsewhere, once a copy is there: its own data, others'."""
        flows: Flows = {}
        others: Flows = {}
        for near in demand.neighbours:
            there = self.nearest(copy.row, self.rows_of(near.service))
            if there is not None:
                key = (demand.service, copy.instance, near.service)
                flows[key] = (copy.row, there, near.kbps)
        for caller, near in self.callers(demand.service):
            for other in self.copies[caller.service].values():
                key = (caller.service, other.instance, demand.service)
                now = self._flows.get(key)
                rows = [copy.row] if now is None else [copy.row, now[1]]
                if self.nearest(other.row, rows) == copy.row and (
                    now is None or now[1] != copy.row
                ):
                    others[key] = (other.row, copy.row, near.kbps)
        return flows, others

    def _connect(self, flows: Flows) -> None:
        """Let data flow as told; leave all as it was, and raise, where there is no room."""
        before = {key: self._flows.get(key) for key in flows}
        try:
            for key in flows:
                self._disconnect(key)
            for key, (row, other, kbps) in flows.items():
                self.network.take(row, other, kbps)
                self._flows[key] = (row, other, kbps)
        except Overcommitted:
            for key in flows:
                self._disconnect(key)
            for key, flow in before.items():
                if flow is not None:
                    self.network.take(*flow)
                    self._flows[key] = flow
            raise

    def _disconnect(self, key: Flow) -> None:
        flow = self._flows.pop(key, None)
        if flow is not None:
            self.network.give_back(*flow)

    def _turn(self, key: Flow, flow: tuple[int, int, int]) -> None:
        """Let data flow to another copy; where that cannot be, note who is upset."""
        self._disconnect(key)
        there = self.nearest(flow[0], self.rows_of(key[2]))
        if there is not None:
            self._try(key, (flow[0], there, flow[2]))

    def _try(self, key: Flow, flow: tuple[int, int, int]) -> None:
        try:
            self._connect({key: flow})
        except Overcommitted:
            self.upset.add(key[0])

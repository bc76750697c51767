"""What place plans on: the cluster with all copies in it, kept up as the catalogue changes. Pure.

Nothing here is part of a snapshot: all of it follows from the catalogue, from what was decided,
and from the clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from math import log2

from placement.algorithms.mix import Mix
from placement.algorithms.names import Maker
from placement.choosing.chooser import Filter
from placement.cluster.copies import Cluster
from placement.cluster.described import demand_of
from placement.cluster.needs import Demand, Need
from placement.cluster.roster import Roster
from placement.control.planner import Planner, altered, hold
from placement.control.state import ServiceState
from schemas.authority import TAKES
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered

KINDS = 64
"""Kinds of needs, the most frequent first, that the cluster is kept fit for."""
STEPS = 4
"""Steps by which numbers of services are told apart, from one to twice as many."""


class Estate:
    """Nodes, demands and copies; `epoch` counts how often all was built anew."""

    def __init__(self, makers: Mapping[str, Maker], filters: Mapping[str, Filter]) -> None:
        self.demands: dict[str, Demand] = {}
        self.roster = Roster()
        self.cluster = Cluster(())
        self._makers, self._filters = makers, filters
        self._registered: Mapping[str, ServiceRegistered] = {}
        self._selected: Mapping[str, PolicySelected] = {}
        self._counts: Counter[Need] = Counter()
        self._mix = Mix((), ())
        self._mixed_of: Mapping[str, ServiceRegistered] = {}
        self._planner: Planner | None = None
        self._algorithm = ""
        self._renewed: set[str] = set()
        self._naming: dict[str, set[str]] = defaultdict(set)
        self._rows: dict[str, tuple[int, ...]] = {}
        self.epoch = 0

    @property
    def chance(self) -> int:
        """Return a number that changes when something may fit that did not before."""
        return self.epoch * (1 << 32) + self.cluster.freed

    def follow(
        self,
        registered: Mapping[str, ServiceRegistered],
        selected: Mapping[str, PolicySelected],
    ) -> set[str]:
        """Take over what is registered, and what copies are seen to take.

        Returns the services for which that changes something.
        """
        if registered is self._registered and selected is self._selected:
            return set()
        corrected = self._corrected(selected)
        known, self._registered = self._registered, registered
        changed = {s for s, found in registered.items() if known.get(s) is not found}
        changed |= corrected & registered.keys() | known.keys() - registered.keys()
        bound = self._bound_to(changed)
        for service in changed:
            before, found = self.demands.pop(service, None), registered.get(service)
            for other in () if before is None else named(before):
                self._naming[other].discard(service)
            for kind in _kinds(before):
                self._counts[kind] -= 1
                if not self._counts[kind]:
                    del self._counts[kind]
            if found is not None:
                self.demands[service] = demand_of(found, selected.get(f"{TAKES}{service}"))
                self._counts.update(_kinds(self.demands[service]))
                for other in named(self.demands[service]):
                    self._naming[other].add(service)
        self._renewed |= changed
        return changed | bound | self._bound_to(changed)

    def _corrected(self, selected: Mapping[str, PolicySelected]) -> set[str]:
        """Return the services whose copies are seen to take something else than before."""
        known, self._selected = self._selected, selected
        if known is selected:
            return set()
        scopes = {scope for scope in known.keys() | selected.keys() if scope.startswith(TAKES)}
        changed = (scope for scope in scopes if known.get(scope) is not selected.get(scope))
        return {scope.removeprefix(TAKES) for scope in changed}

    def renew(self, service: str) -> None:
        """Note that a service may run elsewhere now than before."""
        self._renewed.add(service)

    def look(
        self,
        reports: Mapping[str, NodeReported],
        now_ms: int,
        draining: frozenset[str],
        states: Mapping[str, ServiceState],
    ) -> set[str]:
        """Bring the cluster up to date; return services with copies on nodes that changed."""
        changes = self.roster.update(reports, now_ms, draining)
        moved = self.cluster.services_on(changes.standing)
        if changes.rebuilt:
            self._build(states)
        else:
            self.cluster.columns.report([self.roster.machines[name] for name in changes.told])
            self.cluster.freed += bool(changes.told)
            for service in sorted(self._renewed):
                self._put(service, states)
        self._renewed.clear()
        upset, self.cluster.upset = self.cluster.upset, set()
        return moved | upset | self._bound_to(self._stirred())

    def _stirred(self) -> list[str]:
        """Return services that run elsewhere than when they were looked at last."""
        found = []
        for service in self.cluster.stirred:
            rows = tuple(sorted(self.cluster.rows_of(service)))
            if rows != self._rows.get(service, ()):
                found.append(service)
            self._rows[service] = rows
            if not rows:
                del self._rows[service]
        self.cluster.stirred = set()
        return found

    def _bound_to(self, services: Iterable[str]) -> set[str]:
        """Return the services that have to do with some, as either of the two says."""
        found: set[str] = set()
        for service in services:
            found |= self._naming.get(service, set())
            demand = self.demands.get(service)
            found.update(() if demand is None else named(demand))
        return found

    def planner(self, algorithm: str, seed: int) -> Planner:
        """Return what plans by an algorithm; made anew when its grounds have changed."""
        if self._mixed_of is not self._registered:
            self._mixed_of, mix = self._registered, self._mixed()
            if mix != self._mix:
                self._mix, self._algorithm = mix, ""
        kept = self._planner
        if kept is None or kept.cluster is not self.cluster:
            made = self._makers[algorithm](self.cluster.columns, self._mix, seed)
            kept = self._planner = Planner(self.cluster, made, self._filters)
        elif algorithm != self._algorithm or not kept.algorithm.steady:
            kept.use(self._makers[algorithm](self.cluster.columns, self._mix, seed))
        self._algorithm = algorithm
        return kept

    def _build(self, states: Mapping[str, ServiceState]) -> None:
        self.cluster = Cluster(self.roster.machines.values())
        self.cluster.known = self.demands
        self._rows.clear()
        self.epoch += 1
        for service in sorted(states, key=lambda s: (self._altered(states[s]), s)):
            self._put(service, states)

    def _altered(self, state: ServiceState) -> bool:
        demand = self.demands.get(state.service)
        return demand is not None and altered(demand, state.assignments)

    def _put(self, service: str, states: Mapping[str, ServiceState]) -> None:
        """Let the copies of a service run where it was decided; it is upset where one cannot."""
        self.cluster.drop(service)
        state, demand = states.get(service), self.demands.get(service)
        if state is not None and demand is not None:
            for present in state.assignments:
                if hold(self.cluster, demand, present) is None:
                    self.cluster.upset.add(service)

    def _mixed(self) -> Mix:
        """Return the most frequent kinds of needs among what is registered.

        Numbers are told in quarters of a doubling, so that one service more seldom changes them.
        """
        found = nsmallest(KINDS, self._counts.items(), key=lambda item: (-item[1], _size(item[0])))
        parts = [2.0 ** (round(log2(count) * STEPS) / STEPS) for _, count in found]
        return Mix(tuple(kind for kind, _ in found), tuple(part / sum(parts) for part in parts))


def named(demand: Demand) -> set[str]:
    """Return the services that a demand has to do with."""
    near = {one.service for one in demand.neighbours}
    return near.union(demand.affinity, demand.anti_affinity)


def _kinds(demand: Demand | None) -> list[Need]:
    """Return what counts of a demand for the mix: room alone, of the best way to run it."""
    return [
        Need(
            cpu_milli=option.need.cpu_milli,
            memory_mib=option.need.memory_mib,
            gpus=option.need.gpus,
            gpu_milli=option.need.gpu_milli,
            models=option.need.models,
        )
        for option in (demand.options[:1] if demand is not None else ())
    ]


def _size(need: Need) -> tuple[object, ...]:
    return (need.cpu_milli, need.memory_mib, need.gpus, need.gpu_milli, need.models)

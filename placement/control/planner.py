"""Filter, score, assign: where the copies of services run, given where they run already. Pure.

Sticky: a copy that may stay stays, so that nothing moves without need. Copies on nodes that are
draining or unknown, and those that break a rule by now, stay until another node takes them over;
those on nodes that failed or are gone are lost. No node is ever over-committed: in no dimension
does what is placed exceed what there is, and nothing new is placed into room that others use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.algorithms.base import Algorithm, Peer, Wish
from placement.choosing.chooser import RUNNERS_UP, Choice, Chooser, Filter
from placement.choosing.relations import barred, relations
from placement.choosing.screening import Screening, screen
from placement.cluster.columns import Mask
from placement.cluster.copies import Cluster, Copy
from placement.cluster.needs import FAILED, Demand, Need, Option
from placement.control.leaving import must_stay
from placement.control.plans import Plan, Want
from placement.errors import Overcommitted
from schemas.decisions import Assignment, NodeScore

TRIES = 8
"""Nodes that are tried for a copy when its data find no room on the way to the best."""


@dataclass(slots=True)
class _Open:
    """A service while it is planned: copies that stay for sure, and those to be taken over."""

    want: Want
    kept: list[Assignment] = field(default_factory=list)
    soft: list[Copy] = field(default_factory=list)
    leaving: list[Copy] = field(default_factory=list)
    chosen: list[Choice] = field(default_factory=list)
    screening: Screening | None = None


class Planner:
    """Plans services on a cluster by an algorithm, with the filters of plug-ins besides."""

    def __init__(
        self, cluster: Cluster, algorithm: Algorithm, filters: Mapping[str, Filter] | None = None
    ) -> None:
        self.cluster = cluster
        self.algorithm = algorithm
        self._filters = filters or {}
        self._chooser = Chooser(cluster.columns, algorithm, self._filters, remembers=False)

    def use(self, algorithm: Algorithm) -> None:
        """Plan by another algorithm from now on."""
        self.algorithm = algorithm
        self._chooser.use(algorithm)

    def plan(self, wants: Iterable[Want]) -> dict[str, Plan]:
        """Return a plan per service, in the order given, and put its copies into the cluster."""
        opened = [_Open(want) for want in wants]
        for item in opened:
            self.cluster.drop(item.want.demand.service)
        for item in sorted(opened, key=lambda one: altered(one.want.demand, one.want.present)):
            self._keep(item)
        for item in [one for one in opened if one.want.demand.service in self.cluster.upset]:
            self._keep(item)
        for item in opened:
            item.soft = [copy for copy in item.soft if not self._settled(item, copy)]
        wishes = self._wishes(opened)
        for item in opened:
            self._fill(item, wishes.get(item.want.demand.service, []))
        return {item.want.demand.service: self._close(item) for item in opened}

    def choose(self, demand: Demand) -> tuple[Option, Choice] | None:
        """Return how, and where, one more copy of a service runs best; None for nowhere."""
        if demand.defects:
            return None
        for option in demand.options:
            found = self._chooser.choose(
                option.need,
                barred(self.cluster, demand, option.need),
                self.peers(demand),
                runners_up=RUNNERS_UP,
            )
            if found is not None:
                return option, found
        return None

    def forbidden(self, demand: Demand, need: Need) -> Mask:
        """Return, N, where other copies, or the filters of plug-ins, forbid one more."""
        found = barred(self.cluster, demand, need)
        for passing in self._filters.values():
            found |= ~passing(self.cluster.columns, need)
        return found

    def _keep(self, item: _Open) -> None:
        """Put back what stays; of more copies than wanted, those on unsound nodes go first.

        Who leaves stays after all where one of the others is lost before it serves.
        """
        columns, demand = self.cluster.columns, item.want.demand
        self.cluster.drop(demand.service)
        self.cluster.upset.discard(demand.service)
        item.soft, item.leaving = [], []
        stays: list[tuple[bool, str, str, Assignment]] = []
        for present in item.want.present:
            if self._lives(present):
                ready = columns.ready[columns.row[present.node]]
                stays.append((not ready, present.node, present.instance, present))
        wanted = item.want.replicas
        for _, _, _, present in sorted(stays, key=lambda entry: entry[:3]):
            if len(item.soft) < wanted or (demand.min_available and wanted):
                copy = hold(self.cluster, demand, present)
                into = item.soft if len(item.soft) < wanted else item.leaving
                into += [] if copy is None else [copy]
        for present in item.want.leaving if wanted else ():
            copy = hold(self.cluster, demand, present) if self._lives(present) else None
            into = item.soft if len(item.soft) < wanted else item.leaving
            into += [] if copy is None else [copy]

    def _lives(self, present: Assignment) -> bool:
        """Return whether the node of a copy is there and has not failed."""
        row = self.cluster.columns.row.get(present.node)
        return row is not None and self.cluster.columns.machines[row].health != FAILED

    def _settled(self, item: _Open, copy: Copy) -> bool:
        """Let a copy stay for good when its node is ready and no rule is broken by now."""
        if not (self.cluster.columns.ready[copy.row] and self.keeps_rules(item.want.demand, copy)):
            return False
        item.kept.append(assignment(self.cluster, copy))
        return True

    def keeps_rules(self, demand: Demand, copy: Copy) -> bool:
        """Return whether a copy that runs is still where it may be, room apart."""
        need, row, slots = copy.taken.need, copy.row, list(copy.taken.slots)
        columns = self.cluster.columns
        if not columns.accepted(need)[row]:
            return False
        if slots and not columns.of_model(need, slice(row, row + 1))[0, slots].all():
            return False
        if self._filters and not self._chooser.accepts(need, row):
            return False
        bound = demand.affinity or demand.anti_affinity or demand.neighbours or demand.avoid
        if not bound and not self.cluster.repelling(demand.service):
            return True
        gone = self.cluster.remove(copy)
        verdicts = list(relations(self.cluster, demand, need))
        self.cluster.put_back(gone)
        return all(verdict.passes[copy.row] for verdict in verdicts)

    def _fill(self, item: _Open, wishes: Sequence[Wish | None]) -> None:
        """Place what is missing, one copy after another, on the node that scores best."""
        demand, replicas = item.want.demand, item.want.replicas
        while (missing := replicas - len(item.kept)) > 0:
            wish = wishes[len(item.chosen)] if len(item.chosen) < len(wishes) else None
            if missing == 1:
                _, item.screening = self.screen(demand)
            copy = self._place(item, wish)
            if copy is None:
                _, item.screening = self.screen(demand)
                break
            item.kept.append(assignment(self.cluster, copy))

    def _place(self, item: _Open, wish: Wish | None) -> Copy | None:
        demand = item.want.demand
        for option in () if demand.defects else item.want.fresh or demand.options:
            forbidden = barred(self.cluster, demand, option.need)
            for _ in range(TRIES):
                found = self._chooser.choose(
                    option.need, forbidden, self.peers(demand), wish, RUNNERS_UP
                )
                if found is None:
                    break
                try:
                    copy = self.cluster.put(
                        demand, option.variant, option.need, found.row, found.slots
                    )
                except Overcommitted:
                    forbidden[found.row] = True
                    continue
                item.chosen.append(found)
                return copy
        return None

    def screen(self, demand: Demand) -> tuple[Need | None, Screening]:
        """Return what rules nodes out for one more copy, run in the way that does best.

        That is the way that most nodes are fit for, of those the first; None: there is no way.
        """
        needs: list[Need | None] = [option.need for option in demand.options]
        found = [(n, screen(self.cluster, demand, n, self._filters)) for n in needs or [None]]
        return max(found, key=lambda told: int(told[1].fits.sum()))

    def _wishes(self, opened: Sequence[_Open]) -> dict[str, Sequence[Wish | None]]:
        """Return where the algorithm would have copies that come together, by service."""
        if type(self.algorithm).wishes is Algorithm.wishes:
            return {}
        missing = [
            (item.want.demand.service, item.want.demand.options[0].need)
            for item in opened
            if item.want.demand.options
            for _ in range(item.want.replicas - len(item.kept))
        ]
        found: dict[str, Sequence[Wish | None]] = {}
        wishes = self.algorithm.wishes([need for _, need in missing])
        for (service, _), wish in zip(missing, wishes, strict=True):
            found[service] = [*found.get(service, ()), wish]
        return found

    def peers(self, demand: Demand) -> list[Peer]:
        """Return where the neighbours of a service run, as either of the two says."""
        cluster = self.cluster
        near = [(n.service, n.kbps) for n in demand.neighbours]
        near += [(caller.service, n.kbps) for caller, n in cluster.callers(demand.service)]
        return [Peer(row, kbps) for service, kbps in near for row in cluster.rows_of(service)]

    def _close(self, item: _Open) -> Plan:
        missing = max(item.want.replicas - len(item.kept), 0)
        kept = [*item.kept, *(assignment(self.cluster, copy) for copy in item.soft[:missing])]
        leaving = self._break(item, kept, [*item.soft[missing:], *item.leaving])
        names, screening = self.cluster.columns.machines, item.screening
        last = item.chosen[-1] if item.chosen else None
        return Plan(
            service=item.want.demand.service,
            replicas=item.want.replicas,
            assignments=in_order([*kept, *leaving]),
            score=float(np.mean([c.score for c in item.chosen])) if item.chosen else 0.0,
            fitting=0 if last is None else last.fitting,
            rejections=screening.rejections() if screening is not None else (),
            near_misses=screening.near_misses(self.cluster.columns)
            if missing and screening is not None
            else (),
            alternatives=tuple(
                NodeScore(node=names[row].name, score=score)
                for row, score in (last.others if last is not None else ())
            ),
            defects=item.want.demand.defects,
            leaving=in_order(leaving),
            waits=item.want.waits,
        )

    def _break(
        self, item: _Open, kept: Sequence[Assignment], going: Sequence[Copy]
    ) -> list[Assignment]:
        """Remove copies that have successors; return those that must stay until these serve."""
        want = item.want
        told = [(copy, assignment(self.cluster, copy)) for copy in going]
        least = min(want.demand.min_available, want.replicas)
        stay = must_stay([one for _, one in told], kept, want.serving, least)
        for copy, one in told:
            if one not in stay:
                self.cluster.remove(copy)
        return list(stay)


def in_order(assignments: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """Return assignments as decisions tell them: by node, then by instance."""
    return tuple(sorted(assignments, key=lambda a: (a.node, a.instance)))


def hold(cluster: Cluster, demand: Demand, present: Assignment) -> Copy | None:
    """Put a copy that runs into the cluster as it is; None when its node has no room for it."""
    columns = cluster.columns
    row = columns.row.get(present.node)
    option = way_of(demand, present.variant)
    if row is None or option is None:
        return None
    told = present.gpu_indices or (() if present.gpu_index is None else (present.gpu_index,))
    slots = tuple(slot for slot, gpu in enumerate(columns.machines[row].gpus) if gpu.index in told)
    try:
        return cluster.put(
            demand,
            option.variant,
            option.need,
            row,
            slots,
            instance=present.instance,
            cores=present.cores,
            staying=True,
        )
    except Overcommitted:
        return None


def altered(demand: Demand, present: Iterable[Assignment]) -> bool:
    """Return whether copies take other amounts now than was decided: they stay after all others.

    So who asks for more drives nobody out, whoever is planned together with it.
    """
    return any(_takes(one) != _asks(way_of(demand, one.variant)) for one in present)


def _takes(one: Assignment) -> tuple[int, ...]:
    return one.cpu_milli, one.memory_mib, one.gpu_milli, one.gpu_memory_mib


def _asks(option: Option | None) -> tuple[int, ...]:
    if option is None:
        return ()
    need = option.need
    return need.cpu_milli, need.memory_mib, need.gpu_milli, need.gpu_memory_mib


def way_of(demand: Demand, variant: str) -> Option | None:
    """Return the way to run a service by its variant, the first when that is no more."""
    named = [option for option in demand.options if option.variant == variant]
    return next(iter([*named, *demand.options]), None)


def assignment(cluster: Cluster, copy: Copy) -> Assignment:
    """Return a copy as decisions tell of it."""
    machine, need = cluster.columns.machines[copy.row], copy.taken.need
    indices = tuple(machine.gpus[slot].index for slot in copy.taken.slots)
    return Assignment(
        node=machine.name,
        instance=copy.instance,
        variant=copy.variant,
        cpu_milli=need.cpu_milli,
        memory_mib=need.memory_mib,
        gpu_index=indices[0] if indices else None,
        gpu_milli=need.gpu_milli,
        gpu_indices=indices if len(indices) > 1 else (),
        gpu_memory_mib=need.gpu_memory_mib,
        cores=copy.taken.cores,
    )

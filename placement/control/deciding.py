"""What place weighs beside room: versions, who must stay for now, who gives way, moves that pay.

Pure. One plan after another on the same cluster, which holds what was decided so far.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from placement.algorithms.names import Maker
from placement.authority import PLACE, may_decide
from placement.cluster.needs import READY
from placement.control.asked import avoided
from placement.control.estate import Estate
from placement.control.moving import Budget, MovePolicy
from placement.control.planner import Planner, assignment, in_order
from placement.control.plans import Plan, Want
from placement.control.rebalancing import Move, in_rotation, moves
from placement.control.sharing import Share, share_in_force
from placement.control.state import ServiceState
from placement.control.watch import in_turn
from placement.control.yielding import LOWER, Yielding
from placement.errors import Overcommitted
from placement.policies import Policies
from schemas.authority import MODES, mode_of, parameter
from schemas.catalogue import Catalogue
from schemas.processing import Batch
from schemas.registrations import InstanceReported, PolicySelected

QUEUE = "queue"
REBALANCE = f"{MovePolicy.PREFIX}.rebalance"


class Deciding:
    """Plans for the services of an estate, whose states it reads and does not change."""

    def __init__(
        self,
        estate: Estate,
        states: Mapping[str, ServiceState],
        makers: Mapping[str, Maker],
        default: str,
    ) -> None:
        self._estate, self._states = estate, states
        self._makers, self._default = makers, default
        self.policies = Policies(MovePolicy)
        self._selected: Mapping[str, PolicySelected] = {}
        self._moving = False
        self._read: Mapping[str, PolicySelected] = {}
        self._avoid: Mapping[str, frozenset[str]] = {}
        self._serve: frozenset[str] = frozenset()

    def algorithm(self, catalogue: Catalogue) -> str:
        """Return the algorithm of the policy, that of the parameters where nobody has it."""
        policy = catalogue.get(PolicySelected, PLACE)
        named = self._default if policy is None else policy.algorithm
        names = (named, named.replace("_", "-"))
        return next((n for n in names if n in self._makers), self._default)

    def turn(self, service: str, batch: Batch) -> tuple[Any, ...]:
        """Return by what a service is ordered among those that want a place."""
        policy = batch.catalogue.get(PolicySelected, PLACE)
        queue = "" if policy is None else parameter(policy, QUEUE)
        demand, since = self._estate.demands.get(service), self._states[service].waiting_since
        return () if demand is None else in_turn(queue, demand, since or batch.now_ms)

    def plan(self, services: Iterable[str], batch: Batch) -> dict[str, Plan]:
        """Plan services, those that are not registered nowhere, and those that give way to them."""
        wants, plans = [], {}
        for service in sorted(services, key=lambda s: self.turn(s, batch)):
            if service in self._estate.demands:
                wants.append(self._want(service, batch))
                continue
            self._estate.cluster.drop(service)
            replicas = self._states[service].replicas
            plans[service] = Plan(service=service, replicas=replicas, assignments=())
        planner = self._planner(batch)
        found = planner.plan(wants)
        found |= self._yielding(planner, batch).run(found)
        return plans | {s: self._with_share(plan, batch) for s, plan in found.items()}

    def rebalance(self, batch: Batch, turn: int, budget: Budget) -> dict[str, Plan]:
        """Return plans that move a copy each, as many as the budget allows; they are spent."""
        common = self.policies.of("", batch.catalogue)
        if not (self._moves_asked(batch.catalogue) and budget.left(common, batch.now_ms)):
            return {}
        planner = self._planner(batch)
        turned = in_rotation(self._estate.cluster.copies, turn)
        made: dict[str, Plan] = {}
        terms = partial(self._terms, batch=batch)
        for found in moves(planner, turned, terms):
            if not budget.left(common, batch.now_ms):
                break
            for move in moves(planner, [found.service], terms) if made else [found]:
                plan = self._moved(move, batch)
                if plan is not None:
                    made[move.service] = plan
                    budget.spend(1, common, batch.now_ms)
        return made

    def _yielding(self, planner: Planner, batch: Batch) -> Yielding:
        return Yielding(
            planner,
            lambda service: self._wanting(service, batch),
            lambda service, winner: self._gives(service, winner, batch.catalogue),
        )

    def stirred(self, waiting: Collection[str], batch: Batch) -> set[str]:
        """Return who waits and may drive others out, when other copies serve than before.

        Copies that serve by now may let go those that had to stay.
        """
        demands = self._estate.demands
        eager = {s for s in waiting if s in demands and demands[s].preemption == LOWER}
        if not eager:
            return set()
        before, self._serve = (
            self._serve,
            frozenset[str]().union(
                *(
                    self._serving(state, batch)
                    for name, state in self._states.items()
                    if name in demands and demands[name].min_available
                )
            ),
        )
        return eager if before != self._serve else set()

    def _gives(self, service: str, winner: str, catalogue: Catalogue) -> bool:
        """Return whether a service may have to give way: its leaving is done where the other is."""
        state, other = self._states.get(service), self._states[winner]
        if state is None or not may_decide(catalogue, state.app):
            return False
        modes = [MODES.index(mode_of(catalogue, PLACE, one.app)) for one in (state, other)]
        return modes[0] >= modes[1]

    def _planner(self, batch: Batch) -> Planner:
        return self._estate.planner(self.algorithm(batch.catalogue), batch.now_ms)

    def _with_share(self, plan: Plan, batch: Batch) -> Plan:
        """Return a plan with a word on versions, where copies change theirs, and whether more do.

        With the copies that have come, others may have to change than without them.
        """
        share = share_in_force(plan.service, batch.catalogue)
        if share is None:
            return plan
        state, demand = self._states[plan.service], self._estate.demands[plan.service]
        serving = self._serving(state, batch) if demand.min_available else frozenset()
        stays = tuple(one for one in plan.assignments if one not in plan.leaving)
        then, waits = share.split(stays, demand, serving)
        plan = replace(plan, waits=waits or then != stays)
        before = {a.instance: a.variant for a in state.assignments}
        if all(before.get(a.instance) == a.variant for a in plan.assignments):
            return plan
        return replace(plan, note="; ".join(filter(None, (plan.note, _versions(plan, share)))))

    def _want(self, service: str, batch: Batch) -> Want:
        state, demand = self._states[service], self._estate.demands[service]
        if avoid := self._avoided(batch.catalogue).get(service):
            demand = replace(demand, avoid=avoid)
        serving = self._serving(state, batch) if demand.min_available else frozenset()
        gone = {one.instance for one in state.leaving}
        present = tuple(one for one in state.assignments if one.instance not in gone)
        want = Want(
            demand=demand,
            replicas=state.replicas,
            present=present,
            leaving=state.leaving,
            serving=serving,
        )
        share = share_in_force(service, batch.catalogue)
        if share is None:
            return want
        present, waits = share.split(present, demand, serving)
        return replace(want, present=present, fresh=share.fresh(demand), waits=waits)

    def _avoided(self, catalogue: Catalogue) -> Mapping[str, frozenset[str]]:
        """Return the nodes that services are to leave."""
        selected = catalogue.of(PolicySelected)
        if selected is not self._read:
            self._read, self._avoid = selected, avoided(catalogue)
        return self._avoid

    def _wanting(self, service: str, batch: Batch) -> Want | None:
        """Return what is wanted of a service that may have to give way."""
        state = self._states.get(service)
        if state is None or service not in self._estate.demands:
            return None
        return self._want(service, batch) if may_decide(batch.catalogue, state.app) else None

    def _serving(self, state: ServiceState, batch: Batch) -> frozenset[str]:
        """Return the instances of a service that are ready."""
        reported = batch.catalogue.by_app(InstanceReported).get(state.app, ())
        return frozenset(
            one.instance
            for one in reported
            if one.service == state.service
            and one.health == READY
            and one.expires_at > batch.now_ms
        )

    def _terms(self, service: str, batch: Batch) -> MovePolicy | None:
        """Return the terms of a service's moves; None for one that is not at rest."""
        state, catalogue = self._states.get(service), batch.catalogue
        if state is None or not may_decide(catalogue, state.app) or not self._sound(state):
            return None
        policy = self.policies.of(state.app, catalogue)
        rested = policy.rested(state.moved_at, batch.now_ms)
        return policy if policy.rebalance and rested else None

    def _sound(self, state: ServiceState) -> bool:
        """Return whether all that is wanted of a service runs on nodes that are ready."""
        machines = self._estate.roster.machines
        complete = state.answered and len(state.assignments) == state.replicas and not state.leaving
        return complete and all(
            one.node in machines and machines[one.node].health == READY for one in state.assignments
        )

    def _moves_asked(self, catalogue: Catalogue) -> bool:
        """Return whether any policy asks for moves."""
        selected = catalogue.of(PolicySelected)
        if selected is not self._selected:
            self._selected = selected
            self._moving = any(
                scope.partition("/")[0] == PLACE
                and any(p.key == REBALANCE for p in policy.parameters)
                for scope, policy in selected.items()
            )
        return self._moving

    def _moved(self, move: Move, batch: Batch) -> Plan | None:
        """Move a copy; the old one stays for now where so many must serve."""
        cluster, want = self._estate.cluster, self._want(move.service, batch)
        old, demand = cluster.copies[move.service][move.instance], want.demand
        stays = len(want.serving - {move.instance}) < min(demand.min_available, want.replicas)
        if stays and (demand.max_per_zone or move.instance not in want.serving):
            return None
        gone = None if stays else cluster.remove(old)
        try:
            cluster.put(demand, old.variant, old.taken.need, move.row, move.slots)
        except Overcommitted:
            if gone is not None:
                cluster.put_back(gone)
            return None
        node, target = (cluster.columns.machines[row].name for row in (old.row, move.row))
        there = in_order(assignment(cluster, c) for c in cluster.copies[move.service].values())
        return Plan(
            service=move.service,
            replicas=want.replicas,
            assignments=there,
            leaving=tuple(one for one in there if stays and one.instance == move.instance),
            moves=1,
            note=f"{move.instance} moves from {node} to {target}, "
            f"which gains {move.gain:.2f} of what scores span",
        )


def _versions(plan: Plan, share: Share) -> str:
    new = sum(1 for one in plan.assignments if one.variant == share.variant)
    return f"{new} of {len(plan.assignments)} copies run {share.variant}"

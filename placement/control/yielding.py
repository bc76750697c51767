"""Preemption on a cluster: copies of lower priority give way to those that find no room. Pure.

A service whose `preemption` is `lower` gets room where `preempting` finds the cheapest way, for
copies that are missing and for those that cannot leave a node that is to be drained. Who
gives way is planned again at once, runs elsewhere or waits in the queue, and may drive out only
what is less important still: so it ends.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from placement.cluster.copies import Copy
from placement.cluster.needs import DRAINING, Demand, Option
from placement.control.planner import Planner, assignment, in_order
from placement.control.plans import Plan, Want
from placement.control.preempting import Holding, Way, give_way
from placement.errors import Overcommitted
from schemas.decisions import Assignment, Victim

LOWER = "lower"
MOST = 16
"""Copies for which room is sought in one go; the others wait for the next look."""
Wanting = Callable[[str], Want | None]
"""From a service to what is wanted of it; None for one that is not Weir's to decide on."""
Giving = Callable[[str, str], bool]
"""Whether a service may have to give way to another one, priorities apart."""


class Yielding:
    """Makes room for what a planner left without."""

    def __init__(self, planner: Planner, wanting: Wanting, giving: Giving) -> None:
        self._planner = planner
        self._cluster = planner.cluster
        self._wanting, self._giving = wanting, giving
        self._left = MOST

    def run(self, plans: Mapping[str, Plan]) -> dict[str, Plan]:
        """Return the plans that change: of those that got room, and of those that gave way."""
        changed = dict(plans)
        waiting = [service for service in plans if self._asks(changed[service])]
        while waiting and self._left > 0:
            waiting.sort(key=lambda s: (self._cluster.known[s].priority, s))
            service = waiting.pop()
            changed[service], gone = self._insist(changed[service])
            for other, victims in gone.items():
                found = self._again(other, service, victims, changed.get(other))
                if found is not None:
                    changed[other] = found
                    waiting += [other] if self._asks(found) and other not in waiting else []
        return {s: plan for s, plan in changed.items() if plan is not plans.get(s)}

    def _asks(self, plan: Plan) -> bool:
        demand = self._cluster.known.get(plan.service)
        if demand is None or demand.preemption != LOWER or plan.defects:
            return False
        return plan.missing > 0 or bool(self._stuck(plan))

    def _stuck(self, plan: Plan) -> list[Assignment]:
        """Return copies that stay on draining nodes because they find no room elsewhere."""
        columns, leaving = self._cluster.columns, {one.instance for one in plan.leaving}
        return [
            one
            for one in plan.assignments
            if one.instance not in leaving
            and columns.machines[columns.row[one.node]].health == DRAINING
        ]

    def _insist(self, plan: Plan) -> tuple[Plan, dict[str, list[Copy]]]:
        """Place what is missing of a service, or stuck, where others give way."""
        demand = self._cluster.known[plan.service]
        gone: dict[str, list[Copy]] = defaultdict(list)
        victims: list[Victim] = []
        placed: list[Assignment] = []
        lacking = plan.missing + len(self._stuck(plan))
        while len(placed) < lacking and self._left > 0:
            self._left -= 1
            found = self._one(demand)
            if found is None:
                break
            copy, removed = found
            placed.append(assignment(self._cluster, copy))
            for other in removed:
                gone[other.service].append(other)
                victims.append(self._victim(other))
        if not placed:
            return plan, {}
        made = replace(
            plan,
            assignments=in_order([*plan.assignments, *placed]),
            victims=(*plan.victims, *victims),
        )
        if len(placed) > plan.missing:
            made = self._relieved(made)
        return (made if made.missing else replace(made, near_misses=())), gone

    def _relieved(self, plan: Plan) -> Plan:
        """Let copies that were stuck leave, now or once those in their place serve."""
        want = self._wanting(plan.service)
        if want is None:
            return plan
        going = {one.instance for one in plan.leaving}
        present = tuple(one for one in plan.assignments if one.instance not in going)
        again = replace(want, present=present, leaving=plan.leaving)
        found = self._planner.plan([again])[plan.service]
        return replace(
            plan, assignments=found.assignments, leaving=found.leaving, waits=found.waits
        )

    def _one(self, demand: Demand) -> tuple[Copy, list[Copy]] | None:
        """Place one copy in the cheapest way of all variants; None where there is none."""
        ways = [(way, option) for option, way in self._ways(demand)]
        for way, option in sorted(ways, key=lambda found: found[0].price):
            removed = [self._cluster.copies[v.service][v.instance] for v in way.victims]
            gone = [self._cluster.remove(copy) for copy in removed]
            try:
                slots = self._cluster.columns.tightest(way.row, option.need)
                return (
                    self._cluster.put(demand, option.variant, option.need, way.row, slots),
                    removed,
                )
            except Overcommitted:
                for one in reversed(gone):
                    self._cluster.put_back(one)
        return None

    def _ways(self, demand: Demand) -> Iterator[tuple[Option, Way]]:
        columns, spare = self._cluster.columns, self._spare(demand)
        holdings = [
            Holding(copy.service, copy.instance, self._cluster.known[service].priority, copy.taken)
            for service, copies in self._cluster.copies.items()
            if spare.get(service, 0) > 0
            for copy in copies.values()
        ]
        for option in demand.options:
            barred = self._planner.forbidden(demand, option.need)
            way = give_way(columns, option.need, demand.priority, holdings, spare, barred)
            if way is not None and way.victims:
                yield option, way

    def _spare(self, winner: Demand) -> dict[str, int]:
        """Return how many copies each service can do without, of those that may give way."""
        known = self._cluster.known
        return {
            service: self._beyond(service, known[service].min_available)
            for service in self._cluster.copies
            if service in known and self._giving(service, winner.service)
        }

    def _beyond(self, service: str, least: int) -> int:
        """Return how many copies may leave so that the least number goes on serving.

        None while some must stay: those are there because there are not enough yet.
        """
        copies = self._cluster.copies[service]
        if not least:
            return len(copies)
        want = self._wanting(service)
        if want is None or want.leaving:
            return 0
        return len(want.serving & copies.keys()) - least

    def _victim(self, copy: Copy) -> Victim:
        return Victim(
            service=copy.service,
            instance=copy.instance,
            node=self._cluster.columns.machines[copy.row].name,
            priority=self._cluster.known[copy.service].priority,
        )

    def _again(
        self, service: str, winner: str, victims: list[Copy], before: Plan | None
    ) -> Plan | None:
        """Plan a service again that had to give way, from what is left of it."""
        want = self._wanting(service)
        if want is None:
            return None
        there = self._cluster.copies.get(service, {}).values()
        left = [assignment(self._cluster, copy) for copy in there]
        gone = {one.instance for one in want.leaving}
        present = tuple(one for one in left if one.instance not in gone)
        leaving = tuple(one for one in left if one.instance in gone)
        plan = self._planner.plan([replace(want, present=present, leaving=leaving)])[service]
        names = ", ".join(sorted(victim.instance for victim in victims))
        told = f"{names} gave way to {winner}, which is more important"
        earlier = before.note if before is not None else ""
        mine = before.victims if before is not None else ()
        return replace(plan, note="; ".join(filter(None, (earlier, told))), victims=mine)

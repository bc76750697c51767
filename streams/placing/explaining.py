"""A decision of place looked at again: why each node was, or was not, fit. Pure.

The decision names the offsets of the catalogue that it was made on, so that the world of then can
be had again. What was decided together with it is not among these offsets: the explanation is
tried with and without, and for each copy that may have been the last one, until it comes to the
rejections that the decision recorded. `agrees` says whether it did.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from placement.algorithms.names import Maker
from placement.authority import PLACE
from placement.choosing.chooser import Filter
from placement.cluster.described import demand_of
from placement.cluster.needs import Machine
from placement.cluster.roster import Roster
from placement.control.deciding import QUEUE
from placement.control.explain import Explanation, explain
from placement.control.plans import Want
from placement.control.watch import in_turn
from schemas.authority import TAKES, draining, parameter
from schemas.catalogue import Catalogue
from schemas.decisions import Assignment, PlacementDecided
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered

MOST_REQUESTS = 16
"""So many requests that were answered at the same instant are told apart."""


@dataclass(frozen=True, slots=True)
class Explained:
    """Every node's reason; `agrees`: the same nodes are ruled out as the decision says."""

    nodes: tuple[Explanation, ...]
    agrees: bool


def explained(
    decided: PlacementDecided,
    then: Catalogue,
    others: Sequence[PlacementDecided],
    make: Maker,
    filters: Mapping[str, Filter],
) -> Explained:
    """Return why a decision came out as it did; `then` is the catalogue that it records.

    `others` are decisions on other services that came before it or with it, oldest first.
    """
    roster = Roster()
    roster.update(then.of(NodeReported), decided.decided_at, draining(then))
    machines = tuple(roster.machines.values())
    first: tuple[Explanation, ...] = ()
    for world in _worlds(decided, then, others):
        for present in _presents(decided, then):
            wants = _wants(decided, present, world, then)
            found = explain(decided.service, wants, machines, make, filters)
            first = first or found
            if _counted(found, machines) == {r.constraint: r.nodes for r in decided.rejections}:
                return Explained(found, True)
    return Explained(first, False)


def _worlds(
    decided: PlacementDecided, then: Catalogue, others: Sequence[PlacementDecided]
) -> Iterator[dict[str, PlacementDecided]]:
    """Yield what stood on other services: as recorded, then with what was decided together.

    That is what had its turn before for the same request, and what earlier requests got.
    """
    world = dict(then.of(PlacementDecided))
    for newer in (one for one in others if one.decided_at < decided.decided_at):
        world[newer.service] = _newest(world.get(newer.service), newer)
    yield world
    together = [one for one in others if one.decided_at == decided.decided_at]
    own = [one for one in together if one.causes == decided.causes]
    turns = list(takewhile(lambda one: one is not decided, _turns([*own, decided], then)))
    foreign = [one for one in together if one.causes != decided.causes]
    requests = list(dict.fromkeys(one.causes for one in foreign))[:MOST_REQUESTS]
    for number in range(len(requests) + 1):
        first = [one for one in foreign if one.causes in requests[:number]]
        for some in (turns, own) if own else ([],):
            yield world | {one.service: one for one in [*first, *some]}


def _turns(decisions: Iterable[PlacementDecided], then: Catalogue) -> list[PlacementDecided]:
    """Return decisions in the order in which services have their turn; the registered ones."""
    policy, services = then.get(PolicySelected, PLACE), then.of(ServiceRegistered)
    queue = "" if policy is None else parameter(policy, QUEUE)
    told = [
        (in_turn(queue, demand_of(services[one.service]), one.waiting_since or one.decided_at), one)
        for one in decisions
        if one.service in services
    ]
    return [one for _, one in sorted(told, key=lambda pair: pair[0])]


def _newest(known: PlacementDecided | None, told: PlacementDecided) -> PlacementDecided:
    return told if known is None or told.generation > known.generation else known


def _presents(decided: PlacementDecided, then: Catalogue) -> Iterator[tuple[Assignment, ...]]:
    """Yield the copies beside which one more was looked for: all but one of those it has."""
    before = then.get(PlacementDecided, decided.service)
    known = {a.instance for a in before.assignments} if before is not None else set()
    if len(decided.assignments) < decided.replicas:
        yield decided.assignments
    fresh = [one for one in decided.assignments if one.instance not in known]
    for last in reversed(fresh):
        yield tuple(one for one in decided.assignments if one is not last)
    if not fresh:
        yield decided.assignments


def _wants(
    decided: PlacementDecided,
    present: tuple[Assignment, ...],
    world: Mapping[str, PlacementDecided],
    then: Catalogue,
) -> Iterator[Want]:
    for name, service in then.of(ServiceRegistered).items():
        demand = demand_of(service, then.get(PolicySelected, f"{TAKES}{name}"))
        if name == decided.service:
            yield Want(demand=demand, replicas=decided.replicas, present=present)
        elif name in world:
            one = world[name]
            yield Want(demand=demand, replicas=one.replicas, present=one.assignments)


def _counted(found: Iterable[Explanation], machines: Sequence[Machine]) -> dict[str, int]:
    """Return how many nodes each constraint rules out; none where there are no nodes."""
    return dict(Counter(one.constraint for one in found if one.constraint)) if machines else {}

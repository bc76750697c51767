"""Why each node was, or was not, fit for a service: recomputed on demand, for every node. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from placement.algorithms.mix import mix_of
from placement.algorithms.names import DEFAULT, OWN, Maker
from placement.choosing.chooser import Filter
from placement.cluster.copies import Cluster
from placement.cluster.needs import Machine
from placement.control.planner import Planner, hold
from placement.control.plans import Want


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One node: the constraint that rules it out with what is needed and available, or a score.

    `constraint` is empty for a node that fits. `present` says that a replica runs there already.
    """

    node: str
    present: bool
    constraint: str = ""
    needed: float = 0.0
    available: float = 0.0
    score: float = 0.0


def explain(
    service: str,
    wants: Iterable[Want],
    machines: Iterable[Machine],
    make: Maker = OWN[DEFAULT],
    filters: Mapping[str, Filter] | None = None,
) -> tuple[Explanation, ...]:
    """Return an explanation per node for one more replica of a service among the wants.

    Nodes that run a replica come first, then those that fit, best first, then the others by name;
    nothing when the service is not among the wants.
    """
    cluster, found = Cluster(machines), {want.demand.service: want for want in wants}
    if service not in found:
        return ()
    cluster.known = {name: want.demand for name, want in found.items()}
    for _, want in sorted(found.items()):
        for present in want.present:
            hold(cluster, want.demand, present)
    needs = [option.need for want in found.values() for option in want.demand.options[:1]]
    algorithm = make(cluster.columns, mix_of(needs), 0)
    planner = Planner(cluster, algorithm, filters)
    demand = found[service].demand
    need, screening = planner.screen(demand)
    rows = np.flatnonzero(screening.fits)
    scores = np.zeros(len(cluster.columns))
    if need is not None and len(rows):
        algorithm.peers = tuple(planner.peers(demand))
        scores[rows] = algorithm.score(need, rows).score
    told = []
    for row, machine in enumerate(cluster.columns.machines):
        there = cluster.count(row, service) > 0
        position = int(screening.first[row])
        if position < 0:
            told.append(Explanation(node=machine.name, present=there, score=float(scores[row])))
            continue
        verdict = screening.verdicts[position]
        told.append(
            Explanation(
                node=machine.name,
                present=there,
                constraint=verdict.constraint,
                needed=verdict.needed,
                available=verdict.at(row),
            )
        )
    return tuple(sorted(told, key=lambda e: (not e.present, bool(e.constraint), -e.score, e.node)))

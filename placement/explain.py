"""Why each node was, or was not, fit for a service: recomputed on demand, for every node."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from placement.filters import screen
from placement.model import NodeView
from placement.planner import Want
from placement.scores import ALGORITHMS, score
from placement.table import Table


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
    service: str, wants: Iterable[Want], nodes: Sequence[NodeView], algorithm: str = "weighted"
) -> tuple[Explanation, ...]:
    """Return an explanation per node for one more replica of a service among the wants.

    Nodes that run a replica come first, then those that fit, best first, then the others by name;
    nothing when the service is not among the wants.
    """
    table, found = Table(nodes), None
    everything = tuple(wants)
    for want in everything:
        if want.demand.service == service:
            found = want
        for present in want.present:
            row = table.row.get(present.node)
            if row is not None:
                table.reserve(row, want.demand, table.slot_of(row, present.gpu_index))
    if found is None:
        return ()
    taken = [table.row[a.node] for a in found.present if a.node in table.row]
    screening = screen(table, found.demand, taken)
    mix = tuple(want.demand for want in everything)
    scores = score(table, found.demand, ALGORITHMS[algorithm], taken, mix)
    told = []
    for row, node in enumerate(table.nodes):
        position = int(screening.first[row])
        if position < 0:
            told.append(Explanation(node=node.name, present=False, score=float(scores[row])))
            continue
        verdict = screening.verdicts[position]
        told.append(
            Explanation(
                node=node.name,
                present=row in taken,
                constraint=verdict.constraint,
                needed=verdict.needed,
                available=float(verdict.available[row]),
            )
        )
    return tuple(sorted(told, key=lambda e: (not e.present, bool(e.constraint), -e.score, e.node)))

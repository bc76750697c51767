"""What each conceivable cause would make move: the table behind the ranking.

A hypothesis is one part of the system that may be at fault (or one change that may be to blame),
with the probability that each symptom shows if it is. Whatever it does not name shows with the
probability of a coincidence. The graph says who is touched: a node all instances on it, a service
all its instances and what comes downstream, a link what is between instances, not within them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from processors.diagnosing import symptoms as s
from processors.diagnosing.graph import Graph
from processors.diagnosing.state import Change

NODE, INSTANCE, SERVICE, MODEL = "node", "instance", "service", "model"
INPUT, LINK, LOAD, PLACEMENT, ENSEMBLE = "input", "link", "load", "placement", "ensemble"
PRIOR: Final = {
    NODE: -0.2, INSTANCE: 0.0, SERVICE: -0.9, MODEL: 0.0, INPUT: -0.2,
    LINK: -0.2, LOAD: -0.5, PLACEMENT: -1.0, ENSEMBLE: -1.0,
}  # fmt: skip
"""Logarithm of how much rather a cause is of one kind than of another, before anything is seen."""
NEEDS_CHANGE: Final = (MODEL, PLACEMENT, ENSEMBLE)
"""Kinds that are causes only where something of the kind has changed."""
Odds = Mapping[s.Key, float]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A possible cause: `own` symptoms are of the part itself, `touched` are what follows.

    `changes` of this very part, planned ones included, are reasons to suspect it.
    """

    kind: str
    name: str
    own: Odds
    touched: Odds
    changes: Sequence[Change] = field(default=())

    def odds(self) -> dict[s.Key, float]:
        """Return the probability of every symptom that it says something about."""
        return {**self.touched, **self.own}


def hypotheses(
    graph: Graph, links: Sequence[str], changes: Sequence[Change]
) -> Iterator[Hypothesis]:
    """Yield every cause that is conceivable for an application, in a fixed order."""
    by_part: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        by_part.setdefault((change.kind, change.name), []).append(change)
    for kind, name, own, touched in _every(graph, links):
        reasons = by_part.get((kind, name), ())
        if reasons or kind not in NEEDS_CHANGE:
            yield Hypothesis(kind, name, own, touched, reasons)


def _every(graph: Graph, links: Sequence[str]) -> Iterator[tuple[str, str, Odds, Odds]]:
    app = graph.app
    for node in graph.nodes:
        yield NODE, node, _own(NODE, node, _NODE), _of_node(graph, node)
    for instance in sorted(graph.node_of):
        yield INSTANCE, instance, _own(INSTANCE, instance, _INSTANCE), _of_instance(graph, instance)
    for service in sorted(graph.services):
        instances = graph.services[service]
        truth = _truth(graph, graph.after.get(service, frozenset()), 0.4, 0.55)
        bodies = _spread(instances, _SERVICE)
        own = {(SERVICE, service, s.TRUTH): 0.5, (SERVICE, service, s.LOSS): 0.4} | bodies
        yield SERVICE, service, own, {("app", app, s.TIME): 0.5} | truth
        own = {(SERVICE, service, s.TRUTH): 0.93} | _spread(instances, {s.TRUTH: 0.8})
        slower = _spread(instances, {s.TIME: 0.35, s.QUEUE: 0.3, s.LOSS: 0.15})
        yield MODEL, service, own, truth | slower
        moved = _spread(instances, {s.TIME: 0.6, s.QUEUE: 0.5, s.LOSS: 0.25})
        own = moved | {(SERVICE, service, s.LOSS): 0.4}
        yield PLACEMENT, service, own, {("app", app, s.TIME): 0.55}
    for name, one in sorted(graph.inputs.items()):
        own = {("stage", stage, s.INPUT): 0.9 for stage in one.stages}
        own |= {("app", app, s.INPUT): 0.6}
        touched = _truth(graph, one.later, 0.45, 0.65)
        touched |= _spoiled(graph, one.first, 0.85, 0.75)
        yield INPUT, name, own, touched
    for link in links:
        yield LINK, link, _own(LINK, link, {s.NETWORK: 0.97}), _of_link(graph, link)
    queues = _spread(sorted(graph.node_of), {s.QUEUE: 0.75, s.TIME: 0.5})
    yield LOAD, app, {("app", app, s.LOAD): 0.93}, queues | {("app", app, s.TIME): 0.6}
    chosen = {("app", app, s.TRUTH): 0.6, ("app", app, s.TIME): 0.6}
    yield ENSEMBLE, app, {}, chosen


_SERVICE: Final = {s.TIME: 0.8, s.QUEUE: 0.6, s.LOSS: 0.3, s.MEMORY: 0.3, s.TRUTH: 0.4}
_NODE: Final = {s.MACHINE: 0.75, s.MEMORY: 0.15, s.LOST: 0.3, s.NETWORK: 0.15}
_INSTANCE: Final = {
    s.TIME: 0.75, s.QUEUE: 0.6, s.LOSS: 0.4, s.MEMORY: 0.55, s.LOST: 0.45, s.TRUTH: 0.2,
}  # fmt: skip


def _own(level: str, name: str, odds: Mapping[str, float]) -> dict[s.Key, float]:
    return {(level, name, family): p for family, p in odds.items()}


def _spread(instances: Sequence[str], odds: Mapping[str, float]) -> dict[s.Key, float]:
    """Return the same odds for each of some instances."""
    return {(INSTANCE, one, family): p for one in instances for family, p in odds.items()}


def _truth(
    graph: Graph, after: frozenset[str], downstream: float, whole: float
) -> dict[s.Key, float]:
    """Return how wrong answers travel: to services downstream and to the answer of all."""
    return _spoiled(graph, after, downstream, downstream - 0.05) | {
        ("app", graph.app, s.TRUTH): whole
    }


def _spoiled(
    graph: Graph, services: frozenset[str], odds: float, each: float
) -> dict[s.Key, float]:
    """Return the odds that services answer worse, as their labels and their copies show."""
    spoiled: dict[s.Key, float] = {}
    for service in sorted(services):
        spoiled[(SERVICE, service, s.TRUTH)] = odds
        spoiled |= _spread(graph.services.get(service, ()), {s.TRUTH: each})
    return spoiled


def _of_node(graph: Graph, node: str) -> dict[s.Key, float]:
    odds = {s.TIME: 0.85, s.QUEUE: 0.5, s.LOSS: 0.2, s.LOST: 0.4}
    return _spread(graph.on(node), odds) | {
        ("app", graph.app, s.TIME): 0.6,
        ("app", graph.app, s.LOSS): 0.2,
    }


def _of_instance(graph: Graph, instance: str) -> dict[s.Key, float]:
    """Return what an instance touches: its siblings take over, its node bears its appetite."""
    service = graph.service_of[instance]
    siblings = tuple(one for one in graph.services.get(service, ()) if one != instance)
    return _spread(siblings, {s.QUEUE: 0.25, s.TIME: 0.12}) | {
        (SERVICE, service, s.LOSS): 0.4,
        (NODE, graph.node_of[instance], s.MEMORY): 0.5,
        (NODE, graph.node_of[instance], s.MACHINE): 0.3,
        ("app", graph.app, s.TIME): 0.5,
        ("app", graph.app, s.LOSS): 0.2,
    }


def _of_link(graph: Graph, link: str) -> dict[s.Key, float]:
    """Return what a link touches: the answer as a whole, and the networks of its two ends."""
    ends = {(NODE, node, s.NETWORK): 0.4 for node in link.split(" - ")}
    return ends | {("app", graph.app, s.TIME): 0.8}

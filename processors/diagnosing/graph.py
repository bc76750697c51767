"""Who depends on whom: services of an application, their instances, the nodes, the links.

An instance runs on a node; a service is made of its instances; a stage takes what the stages
before it give, so that a bad answer travels downstream; the application's answer needs all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.graphs import Stage
from schemas.registrations import ApplicationRegistered, InstanceReported

MOST_INSTANCES = 256
"""Instances of an application that are looked at, by name."""


@dataclass(frozen=True, slots=True)
class Input:
    """What comes from outside: the stages and services that meet it first, services later on."""

    stages: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Graph:
    """An application as it runs; `after` are the services downstream of each service.

    `inputs` are by the modality of the stages that meet them, or by the stage's name.
    """

    app: str
    services: Mapping[str, tuple[str, ...]]
    node_of: Mapping[str, str]
    service_of: Mapping[str, str]
    after: Mapping[str, frozenset[str]]
    inputs: Mapping[str, Input]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the nodes that instances run on, by name."""
        return tuple(sorted({node for node in self.node_of.values() if node}))

    def on(self, node: str) -> tuple[str, ...]:
        """Return the instances on a node."""
        return tuple(name for name, place in self.node_of.items() if place == node)


def graph_of(app: ApplicationRegistered, catalogue: Catalogue) -> Graph:
    """Return the graph of an application by what is registered, placed and reported now."""
    found = sorted(_instances(app.app, catalogue))[:MOST_INSTANCES]
    services: dict[str, list[str]] = {
        service: [] for stage in app.stages for service in stage.services
    }
    for instance, service, _ in found:
        services.setdefault(service, []).append(instance)
    return Graph(
        app=app.app,
        services={service: tuple(names) for service, names in services.items()},
        node_of={instance: node for instance, _, node in found},
        service_of={instance: service for instance, service, _ in found},
        after=_after(app.stages),
        inputs=_inputs(app.stages),
    )


def _instances(app: str, catalogue: Catalogue) -> Iterable[tuple[str, str, str]]:
    """Return instance, service and node of all that report themselves or are placed."""
    found: dict[str, tuple[str, str, str]] = {}
    for decided in catalogue.by_app(PlacementDecided).get(app, ()):
        for one in decided.assignments:
            found[one.instance] = (one.instance, decided.service, one.node)
    for told in catalogue.by_app(InstanceReported).get(app, ()):
        found[told.instance] = (told.instance, told.service, told.node)
    return found.values()


def _after(stages: tuple[Stage, ...]) -> dict[str, frozenset[str]]:
    """Return the services of all stages downstream, by service; cycles end where they began."""
    downstream = {stage.stage: _downstream(stage.stage, stages) for stage in stages}
    members = {stage.stage: stage.services for stage in stages}
    return {
        service: frozenset(s for later in downstream[stage.stage] for s in members[later])
        for stage in stages
        for service in stage.services
    }


def _downstream(stage: str, stages: tuple[Stage, ...]) -> set[str]:
    reached: set[str] = set()
    edge = {stage}
    while edge:
        edge = {one.stage for one in stages if edge & set(one.inputs)} - reached
        reached |= edge
    return reached - {stage}


def _inputs(stages: tuple[Stage, ...]) -> dict[str, Input]:
    """Return what comes from outside, by name."""
    found: dict[str, Input] = {}
    after = _after(stages)
    for stage in stages:
        if not stage.inputs:
            name = stage.modality or stage.stage
            one = found.get(name, Input())
            following = {s for service in stage.services for s in after[service]}
            found[name] = Input(
                one.stages | {stage.stage}, one.first | set(stage.services), one.later | following
            )
    return found

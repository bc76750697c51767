"""What place would decide now: the processor itself, asked in a supposed world. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from placement.authority import PLACE
from placement.control.controller import PlaceParams, spec
from schemas.authority import AVOID, DRAIN, RECOMMEND, SHARE, TAKES
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.processing import Batch, Processor, Record
from schemas.registrations import NodeReported, PolicySelected, ServiceRegistered
from streams.placing.asking import requests

Entries = Mapping[type[Event], Mapping[str, Event]]


@dataclass(frozen=True, slots=True)
class Supposed:
    """What to suppose beside the catalogue: nodes and services, which replace those of it."""

    nodes: tuple[NodeReported, ...] = ()
    services: tuple[ServiceRegistered, ...] = ()
    algorithm: str = ""


def supposed(known: Catalogue, more: Supposed) -> Catalogue:
    """Return the catalogue in which a plan is made: nothing forbids to decide there."""
    entries: dict[type[Event], Mapping[str, Event]] = dict(known.entries)
    entries[NodeReported] = {**known.of(NodeReported), **{n.node: n for n in more.nodes}}
    services = {service.service: service for service in more.services}
    entries[ServiceRegistered] = {**known.of(ServiceRegistered), **services}
    entries[PolicySelected] = dict(_policies(known, more.algorithm))
    return Catalogue(entries, known.positions)


def _policies(known: Catalogue, algorithm: str) -> Iterable[tuple[str, PolicySelected]]:
    for scope, policy in known.of(PolicySelected).items():
        if scope == PLACE and algorithm:
            yield scope, replace(policy, mode=RECOMMEND, algorithm=algorithm)
        elif scope.partition("/")[0] == PLACE:
            yield scope, replace(policy, mode=RECOMMEND)
        elif scope.startswith((DRAIN, AVOID, SHARE, TAKES)):
            yield scope, policy


def not_placed(catalogue: Catalogue) -> list[str]:
    """Return the services of which no copy, or not every one, has a place."""
    decisions = catalogue.of(PlacementDecided)

    def lacks(service: str) -> bool:
        decided = decisions.get(service)
        return decided is None or len(decided.assignments) < max(1, decided.replicas)

    return sorted(filter(lacks, catalogue.of(ServiceRegistered)))


def planned(
    catalogue: Catalogue,
    wanted: Mapping[str, int],
    now_ms: int,
    *,
    algorithm: str = "",
    plugins: Mapping[str, Any] | None = None,
    filters: Mapping[str, Any] | None = None,
) -> list[PlacementDecided]:
    """Return the decisions that follow when so many copies of services are asked for.

    Services that would move or wait because of it are among them. Raises
    placement.errors.InvalidParameters for an algorithm that nobody has.
    """
    params = PlaceParams(algorithm=algorithm) if algorithm else PlaceParams()
    place = cast(Processor[Batch], spec(params, plugins, filters).build(0))
    registered = catalogue.of(ServiceRegistered)
    asked = {name: (registered[name].app, copies) for name, copies in wanted.items()}
    records = tuple(
        Record(request, "weir.control", 0, offset, now_ms)
        for offset, request in enumerate(requests(asked, "a plan asks for it", now_ms))
    )
    told = place.process(Batch(records, now_ms, catalogue))
    newest = {one.service: one for one in told if isinstance(one, PlacementDecided)}
    for name in wanted:  # what stays as it is is not decided again
        decided = catalogue.get(PlacementDecided, name)
        if name not in newest and decided is not None:
            newest[name] = decided
    return [newest[name] for name in sorted(newest)]

"""What requests and policies ask of place, and whose word counts. Pure."""

from collections.abc import Mapping

from placement.control.state import ServiceState
from schemas.authority import AVOID, SHARE, standing
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected, PlacementRequested, ServiceDemand
from schemas.registrations import PolicySelected, ServiceRegistered

BY_LOAD = ("load", "verdict")
"""Kinds of requests that set the number of copies of a service that is in use."""


def asked_for(
    state: ServiceState, request: PlacementRequested, demand: ServiceDemand, catalogue: Catalogue
) -> None:
    """Take over what a request asks of a service.

    Who selects says whether it is in use; while it is, and its number of copies is Weir's to
    change, the number that its load calls for stands.
    """
    replicas = max(0, demand.replicas)
    if request.kind in BY_LOAD:
        if not _in_use(state, catalogue):
            return
        state.replicas, state.scaled = replicas, True
    else:
        registered = catalogue.get(ServiceRegistered, state.service)
        scalable = registered is not None and registered.max_replicas > 0
        stands = state.scaled and scalable and replicas > 0
        state.replicas = state.replicas if stands else replicas
        state.scaled = stands
    state.app, state.request = request.app, request.event_id
    state.reason, state.answered = request.reason, False


def _in_use(state: ServiceState, catalogue: Catalogue) -> bool:
    """Return whether a service is in use, be it without copies for now."""
    selected = catalogue.by_app(EnsembleSelected).get(state.app, ())
    if not selected:
        return state.replicas > 0 or state.scaled
    members = [member for one in selected for member in one.members]
    return any(m.service == state.service and m.role != "shadow" for m in members)


def terms_changed(
    before: Mapping[str, PolicySelected], after: Mapping[str, PolicySelected]
) -> set[str]:
    """Return the services of whose new version the share has changed, or which nodes they avoid."""
    scopes = {scope for scope in before.keys() | after.keys() if scope.startswith((SHARE, AVOID))}
    changed = (scope for scope in scopes if before.get(scope) is not after.get(scope))
    return {scope.split("/")[1] for scope in changed}


def avoided(catalogue: Catalogue) -> Mapping[str, frozenset[str]]:
    """Return the nodes that services are to avoid, as policies `avoid/<service>/<node>` say."""
    found: dict[str, frozenset[str]] = {}
    for scope in catalogue.of(PolicySelected):
        if scope.startswith(AVOID) and standing(catalogue, scope) is not None:
            service, _, node = scope.removeprefix(AVOID).partition("/")
            found[service] = found.get(service, frozenset()) | {node}
    return found

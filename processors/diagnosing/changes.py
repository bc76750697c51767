"""What has changed in the catalogue, and who is lost: told by comparing it with what was known.

A compacted topic tells how things are, not what happened; so the facts of an application are
remembered, and one that is different next time is a change at the time that its event says. What
is seen for the first time is no change.
"""

from collections.abc import Iterator

from processors.diagnosing import hypotheses as h
from processors.diagnosing import symptoms as s
from processors.diagnosing.graph import Graph
from processors.diagnosing.state import AppState, Change, Known
from schemas.authority import SHARE
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.identity import stable_id
from schemas.registrations import (
    InstanceReported,
    NodeReported,
    PolicySelected,
    ServiceRegistered,
)

MOST_CHANGES = 64
KEPT_MS = 1_800_000
MOST_FACTS = 1_024
_LEAVING = ("draining", "stopped")
_Fact = tuple[Known, Change]


def follow(state: AppState, graph: Graph, catalogue: Catalogue, now_ms: int) -> None:
    """Note what has changed since the last look, and forget what is long past."""
    before = {(one.kind, one.name): one.value for one in state.known}
    facts = list(_facts(graph, catalogue))[:MOST_FACTS]
    new = [
        change
        for fact, change in facts
        if state.seen and before.get((fact.kind, fact.name), fact.value) != fact.value
    ]
    if new:
        recent = [one for one in state.changes if one.at > now_ms - KEPT_MS]
        state.changes = tuple([*recent, *dict.fromkeys(new)][-MOST_CHANGES:])
    known = tuple(fact for fact, _ in facts)
    if known != state.known:
        state.known = known
    state.seen = True


def _facts(graph: Graph, catalogue: Catalogue) -> Iterator[_Fact]:
    """Yield how things are, each with the change that it is if it was otherwise before."""
    for service in sorted(graph.services):
        registered = catalogue.get(ServiceRegistered, service)
        if registered is not None:
            why, at = "another version was registered", registered.registered_at
            value = _version(registered)
            yield _fact("version", service, value, h.MODEL, at, why, registered.event_id)
        decided = catalogue.get(PlacementDecided, service)
        if decided is not None:
            where = " ".join(sorted(f"{a.instance}@{a.node}" for a in decided.assignments))
            why = f"placed anew: {decided.reason}"
            yield _fact(
                "placement", service, where, h.PLACEMENT, decided.decided_at, why, decided.event_id
            )
        share = catalogue.get(PolicySelected, f"{SHARE}{service}")
        if share is not None:
            at, why = share.selected_at, "a new version took a share"
            yield _fact("share", service, share.event_id, h.MODEL, at, why, share.event_id)
    for told in sorted(catalogue.by_app(InstanceReported).get(graph.app, ()), key=_name):
        value, at = f"{told.model_version} {told.parameter_version}", told.heartbeat
        known = Known(kind=h.INSTANCE, name=told.instance, value=value)
        why = f"{told.instance} runs version {told.model_version} now"
        yield known, Change(kind=h.MODEL, name=told.service, at=at, why=why, planned=True)
    for chosen in catalogue.by_app(EnsembleSelected).get(graph.app, ()):
        value, why = _members(chosen), f"another ensemble was selected: {chosen.reason}"
        named = f"{chosen.app}/{chosen.contract}"
        known = Known(kind=h.ENSEMBLE, name=named, value=value)
        yield (
            known,
            Change(
                kind=h.ENSEMBLE,
                name=chosen.app,
                at=chosen.selected_at,
                why=why,
                evidence=chosen.event_id,
                planned=True,
            ),
        )


def _fact(fact: str, name: str, value: str, kind: str, at: int, why: str, evidence: str) -> _Fact:
    change = Change(kind=kind, name=name, at=at, why=why, evidence=evidence, planned=True)
    return Known(kind=fact, name=name, value=value), change


def _version(registered: ServiceRegistered) -> str:
    """Return what changes with what a service runs: its model, its image, how it is started."""
    one = registered
    started = (*one.arguments, *(f"{entry.key}={entry.value}" for entry in one.environment))
    return stable_id("version", one.model, one.digest or "", one.artifact, one.image, *started)


def _members(chosen: EnsembleSelected) -> str:
    active = sorted(f"{m.service} {m.weight:g}" for m in chosen.members if m.role == "active")
    return ", ".join(active)


def _name(told: InstanceReported) -> str:
    return told.instance


def losses(graph: Graph, catalogue: Catalogue, now_ms: int) -> Iterator[s.Symptom]:
    """Yield who is lost and who is not: nodes and instances by their heartbeats.

    Instances that are told to leave, or that no placement asks for any more, are not lost.
    """
    for node in graph.nodes:
        told = catalogue.get(NodeReported, node)
        if told is not None and told.status != "draining":
            gone = told.expires_at <= now_ms or told.status in ("failed", "unknown")
            yield _loss(h.NODE, node, told.heartbeat, gone=gone)
    for name, service in graph.service_of.items():
        reported = catalogue.get(InstanceReported, name)
        decided = catalogue.get(PlacementDecided, service)
        wanted = decided is None or any(a.instance == name for a in decided.assignments)
        if reported is not None and reported.health not in _LEAVING and wanted:
            gone = reported.expires_at <= now_ms or reported.health == "failed"
            yield _loss(h.INSTANCE, name, reported.heartbeat, gone=gone)


def _loss(level: str, name: str, at: int, *, gone: bool) -> s.Symptom:
    return s.Symptom(
        key=(level, name, s.LOST),
        metric="heartbeat",
        strength=1.0 if gone else 0.0,
        since=at,
        before=1.0,
        after=0.0 if gone else 1.0,
        step=0,
    )

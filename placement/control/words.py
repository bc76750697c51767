"""Placements as events, with their reasons in plain words."""

from collections.abc import Mapping

from placement.authority import PLACE
from placement.cluster.needs import READY, Demand, Machine
from placement.control.plans import Plan
from placement.control.state import ServiceState
from schemas.authority import mode_of
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.identity import stable_id
from schemas.registrations import ServiceRegistered

_UNITS = {
    "cpu": "milli CPU",
    "cpu-per-core": "milli CPU on one core",
    "memory": "MiB of memory",
    "virtual-memory": "MiB of virtual memory",
    "disk": "MiB of disk",
    "gpu": "milli GPU",
    "gpu-memory": "MiB of GPU memory",
    "accelerator": "such GPUs",
    "bandwidth": "Mbit/s",
}
_MOST_DEFECTS = 3
_NAMED = 5
MOST_VICTIMS = 50
"""Victims that a decision names; it tells no more than a few kB."""


def decision(
    state: ServiceState,
    plan: Plan,
    reason: str,
    algorithm: str,
    now_ms: int,
    catalogue: Catalogue,
) -> PlacementDecided:
    """Return the event of the state's present generation."""
    registered = catalogue.get(ServiceRegistered, state.service)
    since = registered.registered_at if registered is not None else 0
    return PlacementDecided(
        event_id=stable_id("place", state.service, since, state.generation),
        service=state.service,
        app=state.app,
        generation=state.generation,
        status=plan.status,
        replicas=plan.replicas,
        assignments=plan.assignments,
        score=plan.score,
        algorithm=algorithm,
        rejections=plan.rejections,
        near_misses=plan.near_misses,
        reason=reason,
        decided_at=now_ms,
        catalogue=catalogue.sources(),
        causes=(state.request,) if state.request else (),
        alternatives=plan.alternatives,
        victims=plan.victims[:MOST_VICTIMS],
        moves=plan.moves,
        waiting_since=state.waiting_since or None,
        mode=mode_of(catalogue, PLACE, state.app),
    )


def reason_of(
    state: ServiceState,
    plan: Plan,
    nodes: Mapping[str, Machine],
    known: Mapping[str, Demand],
) -> str:
    """Say what was decided and why: a request that is not answered yet, or the nodes.

    `known` are the demands of all registered services.
    """
    asked = not state.answered
    if not plan.replicas:
        return f"no copies are wanted: {state.reason}"
    demand = known.get(state.service)
    if demand is None:
        return f"{state.service} is not registered"
    lost = "" if asked else _lost(state, plan, nodes)
    before = {a.node for a in state.assignments}
    new = [a.node for a in plan.assignments if a.node not in before]
    told = "; ".join(part for part in (lost, plan.note) if part)
    parts = [state.reason if asked else told or "the nodes changed"]
    if asked and plan.note:
        parts.append(plan.note)
    if new:
        parts.append(
            f"runs on {', '.join(new)} now, {plan.fitting} nodes fit (score {plan.score:.2f})"
        )
    parts += surpluses(demand, plan) if new or plan.missing else ()
    if plan.victims:
        names = [victim.instance for victim in plan.victims]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{', '.join(names[:_NAMED])}{more} gave way, being less important")
    if plan.leaving:
        names = [one.instance for one in plan.leaving]
        parts.append(f"{', '.join(names[:_NAMED])} stays until others serve")
    if plan.missing:
        parts.append(_missing(plan, len(nodes)))
        parts += objections(demand, known)[:_MOST_DEFECTS]
    return "; ".join(part for part in parts if part)


def objections(demand: Demand, known: Mapping[str, Demand]) -> list[str]:
    """Return why no node can do for a service, whatever there is room for."""
    found = list(demand.defects)
    for other in demand.affinity:
        if other not in known:
            found.append(f"it must run with {other}, which is not registered")
        elif demand.service in known[other].anti_affinity:
            found.append(f"it must run with {other}, which must not run with it")
    return found


def surpluses(demand: Demand, plan: Plan) -> list[str]:
    """Say what copies were seen to take beside what is declared, as far as that counted."""
    used = {one.variant for one in plan.assignments}
    for option in demand.options:
        cpu, memory = option.need.surplus
        if (cpu or memory) and (option.variant in used or plan.missing):
            more = [f"{cpu} milli CPU"] * bool(cpu) + [f"{memory} MiB of memory"] * bool(memory)
            return [f"a copy is seen to take {' and '.join(more)} beside what it declares"]
    return []


def _lost(state: ServiceState, plan: Plan, nodes: Mapping[str, Machine]) -> str:
    """Say what became of the nodes that the service has to leave."""
    kept = {a.node for a in plan.assignments}
    told = []
    for name in (a.node for a in state.assignments if a.node not in kept):
        node = nodes.get(name)
        if node is None:
            told.append(f"{name} is gone")
        elif node.health == READY:
            told.append(f"{name} has no room any more, or breaks a rule")
        else:
            told.append(f"{name} is {node.health}: {node.message or 'no message'}")
    return ", ".join(told)


def _missing(plan: Plan, nodes: int) -> str:
    if not nodes:
        return "there are no nodes"
    short = plan.missing
    ruled = ", ".join(f"{r.constraint} {r.nodes}" for r in plan.rejections)
    words = f"{short} of {plan.replicas} copies find no node (ruled out by {ruled})"
    if plan.near_misses:
        near = plan.near_misses[0]
        unit = _UNITS.get(near.constraint)
        lack = (
            f"has {near.available:g} of {near.needed:g} {unit}"
            if unit
            else f"fails {near.constraint}"
        )
        words += f"; nearest: {near.node} {lack}"
    return words

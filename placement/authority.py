"""What may be done, by whom, and whether the decision of place is carried out.

Everything that forbids or allows is a PolicySelected, so that it holds in every process at once:

    installation                mode where nothing else is said
    place                       algorithm, and a mode that only makes things more careful
    place/<app>                 mode of one application
    freeze, freeze/<app>        no deed at all while its parameter `state` is on
    pause                       place decides nothing while its `state` is on
    drain/<node>                a node takes nothing new and is left while its `state` is on
    avoid/<service>/<node>      copies of a service leave a node while its `state` is on
    apply/<service>             the recommendation that somebody has let happen, as it was

`may_decide` is what place asks, `ruling` what actuators ask. Without any policy the mode is
recommend: decisions are made and told, and nothing is done.
"""

import json
from dataclasses import dataclass
from functools import lru_cache

from schemas.authority import ACT, OBSERVE, REASON, frozen, mode_of, parameter, paused
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.introspect import from_plain, to_plain
from schemas.registrations import ApplicationRegistered, PolicySelected, ServiceRegistered

PLACE, APPLY, DECISION = "place", "apply/", "decision"
ANY = "*"
_HUB, _LIBRARY = "docker.io", "library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Allow-lists: schemes of artifacts, image registries, namespaces; `*` allows any.

    A registry is a host, with or without the beginning of a path; an image that names no host is
    of docker.io. Services without a namespace run in the actuator's own, without an image in its.
    """

    schemes: tuple[str, ...] = ("file",)
    registries: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to run of a service, and why that is not its newest decision.

    `decided` None: nothing new may be done, and what runs stays as it is. `policy` and `reason`
    are empty when the newest decision is carried out; `held` says that it may be later, as it is.
    """

    decided: PlacementDecided | None
    policy: str = ""
    reason: str = ""
    held: bool = False


def may_decide(catalogue: Catalogue, app: str) -> bool:
    """Return whether place may decide for an application now; else its requests wait."""
    if paused(catalogue) or frozen(catalogue, app) is not None:
        return False
    return mode_of(catalogue, PLACE, app) != OBSERVE


def ruling(told: PlacementDecided, catalogue: Catalogue, limits: Limits) -> Ruling:
    """Return what is to run of a service whose newest decision is told.

    The one question that every actuator asks before it does anything for a service.
    """
    stop = frozen(catalogue, told.app)
    if stop is not None:
        return Ruling(None, stop.scope, f"deeds are frozen: {parameter(stop, REASON)}", held=True)
    force = in_force(told, catalogue)
    ruled = Ruling(None) if force is None else _within(force, catalogue, limits)
    if force is not None and force.generation == told.generation:
        return ruled
    mode = mode_of(catalogue, PLACE, told.app)
    waits = f"the mode is {mode}: generation {told.generation} waits for `weir placement apply`"
    return Ruling(ruled.decided, f"{PLACE}/{told.app}", waits, held=True)


def in_force(told: PlacementDecided, catalogue: Catalogue) -> PlacementDecided | None:
    """Return the newest decision, if its mode is act or has become act, else what was let happen.

    A decision that was made in mode act stays in force when the mode changes.
    """
    if ACT in (told.mode, mode_of(catalogue, PLACE, told.app)):
        return told
    let = approved(catalogue, told.service)
    return let if let is not None and let.generation <= told.generation else None


def served(told: PlacementDecided, catalogue: Catalogue) -> PlacementDecided | None:
    """Return the decision that a worker serves; None: it goes on as it is.

    A decision that says nothing of its mode is older than modes, and served.
    """
    if frozen(catalogue, told.app) is not None:
        return None
    return in_force(told, catalogue) if told.mode else told


def approved(catalogue: Catalogue, service: str) -> PlacementDecided | None:
    """Return the recommendation that somebody has let happen last; None when there is none."""
    policy = catalogue.get(PolicySelected, f"{APPLY}{service}")
    decision = parameter(policy, DECISION) if policy is not None else ""
    return _decision(decision) if decision else None


def written(decided: PlacementDecided) -> str:
    """Return a decision as the parameter `decision` of the policy that lets it happen."""
    return json.dumps(to_plain(PlacementDecided)(decided), separators=(",", ":"))


@lru_cache(maxsize=4096)
def _decision(text: str) -> PlacementDecided | None:
    try:
        made: PlacementDecided = from_plain(PlacementDecided)(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # nobody's decision: as if nothing had been let happen
    return made


def _within(decided: PlacementDecided, catalogue: Catalogue, limits: Limits) -> Ruling:
    """Return the ruling on a decision whose mode allows it: are its service and image allowed?"""
    if not decided.assignments:
        return Ruling(decided)
    registered = catalogue.get(ServiceRegistered, decided.service)
    if registered is None:
        why = f"{decided.service} is not registered"
        return Ruling(None, "registered services", why)
    refused = not_owned(decided, registered, catalogue) or outside(registered, limits)
    return Ruling(None, *refused) if refused else Ruling(decided)


def not_owned(
    decided: PlacementDecided, registered: ServiceRegistered, catalogue: Catalogue
) -> tuple[str, str] | None:
    """Return (policy, reason) when a decision or a service is not its application's own."""
    name = registered.service
    if decided.app != registered.app:
        return "owners", f"{name} belongs to {registered.app}, the decision to {decided.app}"
    app = catalogue.get(ApplicationRegistered, registered.app)
    if app is not None and registered.owner and app.owner and registered.owner != app.owner:
        told = f"{name} was registered by {registered.owner}, {app.app} belongs to {app.owner}"
        return "owners", told
    return None


def outside(registered: ServiceRegistered, limits: Limits) -> tuple[str, str] | None:
    """Return (policy, reason) when what a service consists of is on no allow-list."""
    artifacts = {v.artifact for v in registered.variants if v.artifact} | {registered.artifact}
    for artifact in sorted(artifacts - {""} if registered.image else artifacts):
        scheme = artifact.partition(":")[0] if ":" in artifact else ""
        if not _listed(scheme, limits.schemes):
            told = f"artifacts by {scheme or 'plain path'} are not on the list"
            return "artifact schemes", f"{told}: {_words(limits.schemes)}"
    if registered.image and not _from(registered.image, limits.registries):
        told = f"image {registered.image} is from no registry on the list"
        return "image registries", f"{told}: {_words(limits.registries)}"
    if registered.namespace and not _listed(registered.namespace, limits.namespaces):
        told = f"namespace {registered.namespace} is not on the list"
        return "namespaces", f"{told}: {_words(limits.namespaces)}"
    return None


def may_change(owner: str, by: str, what: str) -> str:
    """Return why somebody may not change what has an owner; empty when one may.

    What has no owner is everybody's.
    """
    if not owner or owner == by:
        return ""
    return f"{what} belongs to {owner}; {by or 'nobody by name'} may not change it"


def _listed(name: str, allowed: tuple[str, ...]) -> bool:
    return name in allowed or ANY in allowed


def _from(image: str, registries: tuple[str, ...]) -> bool:
    """Return whether an image is below one of the registries, whole names compared."""
    parts = _path(image)
    return ANY in registries or any(
        parts[: len(_prefix(registry))] == _prefix(registry) for registry in registries
    )


def _path(image: str) -> list[str]:
    """Return host and path of an image, without tag and digest."""
    name = image.partition("@")[0]
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        parts = [host, *rest.split("/")]
    else:
        parts = [_HUB, *name.split("/")] if slash else [_HUB, _LIBRARY, name]
    return [*parts[:-1], parts[-1].partition(":")[0]]


def _prefix(registry: str) -> list[str]:
    return registry.rstrip("/").split("/")


def _words(allowed: tuple[str, ...]) -> str:
    return ", ".join(allowed) or "it is empty"

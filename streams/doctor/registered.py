"""Is the catalogue consistent: does all that is named exist, and do the nodes still live?"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.errors import ContractError
from schemas.registrations import (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    InstanceReported,
    NodeReported,
    ServiceRegistered,
)
from schemas.topics import home_of
from streams.doctor.findings import Finding, fail, few, ok, span, warn
from streams.doctor.installation import Site
from workers.catalogue import CatalogueReader
from workers.kafka.clients import RawMessage
from workers.registry import Registry

READ_S = 15.0
KINDS: tuple[type[Event], ...] = (
    ApplicationRegistered,
    ConsumerRegistered,
    ContractRegistered,
    EnsembleSelected,
    InstanceReported,
    NodeReported,
    PlacementDecided,
    ServiceRegistered,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """The catalogue, what of it cannot be used (place and reason), and the time, ms."""

    catalogue: Catalogue
    bad: tuple[tuple[str, str], ...]
    now_ms: int


def gather(site: Site) -> Facts:
    """Read it. Raises KafkaUnavailable, RegistryUnavailable."""
    bad: list[tuple[str, str]] = []

    def note(message: RawMessage, error: ContractError) -> None:
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        bad.append((place, str(error)))

    topics = site.cluster().topics
    kinds = [kind for kind in KINDS if home_of(kind).name in topics]
    with closing(Registry(site.settings.registry)) as registry:
        reader = CatalogueReader(site.settings.kafka, registry.codec(), kinds, note)
        try:
            catalogue = reader.start(READ_S).current()
        finally:
            reader.stop()
    return Facts(catalogue, tuple(bad), site.now_ms())


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    said: tuple[Callable[[Facts], list[Finding]], ...] = (
        _bad,
        _applications,
        _services,
        _artifacts,
        _nodes,
        _instances,
    )
    found = [each for say in said for each in say(facts)]
    counts = ", ".join(
        f"{len(facts.catalogue.of(kind))} {noun}"
        for kind, noun in (
            (ApplicationRegistered, "applications"),
            (ServiceRegistered, "services"),
            (ContractRegistered, "contracts"),
            (NodeReported, "nodes"),
        )
    )
    return found or [ok("catalogue", counts)]


def _bad(facts: Facts) -> list[Finding]:
    if not facts.bad:
        return []
    place, why = facts.bad[-1]
    told = f"{len(facts.bad)} entries cannot be used, the last at {place}"
    return [warn("entries", told, why, "register what they were meant to be again")]


def _applications(facts: Facts) -> list[Finding]:
    """Return what names applications that are not registered."""
    known = facts.catalogue.of(ApplicationRegistered)
    named: Mapping[str, Iterable[tuple[str, str]]] = {
        "contract": [(k, e.app) for k, e in facts.catalogue.of(ContractRegistered).items()],
        "service": [(k, e.app) for k, e in facts.catalogue.of(ServiceRegistered).items()],
        "ensemble": [(k, e.app) for k, e in facts.catalogue.of(EnsembleSelected).items()],
        "consumer": [
            (key, app)
            for key, entry in facts.catalogue.of(ConsumerRegistered).items()
            for app in entry.apps
        ],
    }
    found = []
    for noun, pairs in named.items():
        missing: dict[str, list[str]] = {}
        for name, app in pairs:
            if app and app not in known:
                missing.setdefault(app, []).append(name)
        for app, names in missing.items():
            told = f"{noun} {few(names)} names application {app}, which is not registered"
            mend = f"weir apps register {app}, or weir {noun}s remove {names[0]}"
            if noun == "ensemble":
                mend = f"weir apps register {app}; its decision comes to nothing otherwise"
            found.append(warn(app, told, "it has no effect until then", mend))
    return found


def _services(facts: Facts) -> list[Finding]:
    """Return what names services that are not registered."""
    known = facts.catalogue.of(ServiceRegistered)
    found = []
    for app, entry in facts.catalogue.of(ApplicationRegistered).items():
        listed = {name for stage in entry.stages for name in stage.services}
        if missing := listed - known.keys():
            told = f"its stages name services that are not registered: {few(missing)}"
            mend = f"weir services register {min(missing)} --app {app} --artifact FILE"
            found.append(warn(app, told, "they are never selected", mend))
    for app, chosen in facts.catalogue.of(EnsembleSelected).items():
        if missing := {member.service for member in chosen.members} - known.keys():
            told = f"its ensemble has services that are not registered: {few(missing)}"
            why = "requests wait for members that cannot be placed"
            found.append(fail(app, told, why, "weir services register, or weir run control"))
    placed = facts.catalogue.of(PlacementDecided).items()
    if orphans := [name for name, each in placed if each.replicas and name not in known]:
        told = f"placed, but not registered: {few(orphans)}"
        mend = "weir services register, or weir apps remove, which retires them"
        found.append(warn("placements", told, "nobody can tell what they need", mend))
    return found


def _artifacts(facts: Facts) -> list[Finding]:
    bare = [
        name
        for name, entry in facts.catalogue.of(ServiceRegistered).items()
        if not entry.artifact and not any(variant.artifact for variant in entry.variants)
    ]
    if not bare:
        return []
    told = f"services without a model file: {few(bare)}"
    mend = f"weir services register {min(bare)} --artifact FILE"
    return [warn("artifacts", told, "a worker has nothing to load", mend)]


def _nodes(facts: Facts) -> list[Finding]:
    nodes = facts.catalogue.of(NodeReported)
    late = {name: n.expires_at for name, n in nodes.items() if n.expires_at < facts.now_ms}
    services = facts.catalogue.of(ServiceRegistered)
    mend = "weir run control on the machine that plays them, or start their agents; weir nodes list"
    if not nodes and services:
        told = f"there is no node for {len(services)} services"
        return [warn("nodes", told, "nothing can be placed", mend)]
    if not late:
        return []
    name, expired = min(late.items(), key=lambda item: item[1])
    told = f"{len(late)} of {len(nodes)} nodes have not reported in time: {few(late)}"
    why = f"{name} is overdue by {span(facts.now_ms - expired)}"
    say = fail if len(late) == len(nodes) and services else warn
    return [say("nodes", told, why, mend)]


def _instances(facts: Facts) -> list[Finding]:
    late = [
        name
        for name, each in facts.catalogue.of(InstanceReported).items()
        if each.expires_at < facts.now_ms and each.health != "stopped"
    ]
    if not late:
        return []
    told = f"{len(late)} instances have not reported in time: {few(late)}"
    why = "their workers ended without a word, or stand still"
    return [warn("instances", told, why, "see the logs of their workers; weir nodes list")]

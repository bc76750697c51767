"""Does the registry hold our schemas, under the ids that we would write, and could it take more?"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from schemas import evolution, files, topics
from schemas.errors import ContractError
from schemas.events import EVENTS
from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from workers.registry import COMPATIBILITY, Registry

REGISTER = "weir schemas register"
_WRITABLE = "READWRITE"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the registry holds of one event.

    `schema_id` is that of our newest schema, None when it is not registered; `resolved` what the
    registry gives for this id; `history` its versions, oldest first; `level` what it demands.
    """

    record: str
    ours: str
    schema_id: int | None
    resolved: str
    history: tuple[str, ...]
    level: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The registry's mode, and what it holds by subject."""

    url: str
    mode: str
    subjects: Mapping[str, Subject]


def gather(site: Site) -> Facts:
    """Ask the registry. Raises RegistryUnavailable."""
    settings = site.settings.registry
    with closing(Registry(settings)) as registry:
        return Facts(
            settings.url,
            registry.mode(),
            {topics.subject_of(event): _subject(registry, event) for event in EVENTS.values()},
        )


def _subject(registry: Registry, event: type) -> Subject:
    schema_id = registry.id_of(event)
    history = tuple(registry.history(event))
    return Subject(
        record=event.__name__,
        ours=files.text(event.__name__),
        schema_id=schema_id,
        resolved="" if schema_id is None else registry.schema_of(schema_id),
        history=history,
        level=registry.level(event) if history else COMPATIBILITY,
    )


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    found = [
        each for name in sorted(facts.subjects) for each in _judged(name, facts.subjects[name])
    ]
    missing = [name for name, each in facts.subjects.items() if each.schema_id is None]
    if missing:
        told = f"{len(missing)} of {len(facts.subjects)} schemas are not registered: {few(missing)}"
        found.insert(0, fail("registered", told, "nobody can write these events", REGISTER))
    if facts.mode != _WRITABLE:
        why = "new versions cannot be registered, and so not deployed"
        mend = f'curl -X PUT -d \'{{"mode": "READWRITE"}}\' {facts.url}/mode'
        found.append(warn("mode", f"the registry is in mode {facts.mode}", why, mend))
    return found or [ok("schemas", f"{len(facts.subjects)} are registered and resolve")]


def _judged(name: str, held: Subject) -> list[Finding]:
    found = []
    if problems := _incompatible(held):
        told = f"ours is incompatible with what the registry holds: {problems[0]}"
        why = "readers of one cannot read the other"
        found.append(fail(name, told, why, f"weir schemas diff {held.record} FILE shows how"))
    if held.schema_id is not None and not _same(held.ours, held.resolved):
        told = f"id {held.schema_id} resolves to another schema than ours"
        why = "what we write is read as something else"
        found.append(fail(name, told, why, "restore the registry from its backup, or its topic"))
    if held.level != COMPATIBILITY:
        told = f"the registry demands {held.level}, not {COMPATIBILITY}"
        why = "a version that breaks running readers could be registered"
        found.append(warn(name, told, why, REGISTER))
    return found


def _incompatible(held: Subject) -> list[str]:
    try:
        return evolution.incompatibilities(held.ours, held.history, COMPATIBILITY)
    except ContractError as error:
        return [str(error)]


def _same(one: str, other: str) -> bool:
    try:
        return not evolution.incompatibilities(one, [other], "FULL")
    except ContractError:
        return False

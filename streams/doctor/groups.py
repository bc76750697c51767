"""Is every processor run by somebody, and does it get on?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from schemas.decisions import Snapshot
from schemas.processing import Spec
from schemas.topics import TASKS_PREFIX, home_of
from streams import topology
from streams.doctor import progress, states
from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from streams.doctor.progress import Backlog
from streams.topology import Host
from workers.kafka.groups import Group, Place, groups
from workers.snapshots import keeping as snapshots

HELD_MS = 1_200_000
"""A processor that reads its own answers back remembers them for ten minutes after a deadline."""
PATIENCE_MS = 10_000
"""A position may stand still for so long: restoring state, a large transaction."""
OPEN_MS = 60_000
"""What is not transactional commits what it needs no more, which may take a request's deadline."""
CONTROL = "weir-control"
TASKS_GROUP = "weir-worker-"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who may run a processor, and what of its inputs waits.

    `groups` are those that may read for it, `places` its inputs, `held` the topics whose positions
    stay behind on purpose; `patience_ms` is how long a message may wait while nothing moves.
    """

    name: str
    groups: tuple[Group, ...]
    places: frozenset[Place]
    patience_ms: int = PATIENCE_MS
    held: frozenset[str] = frozenset()
    backlog: tuple[Backlog, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All readers at a time, ms; `tasks` is what waits on the topics of workers."""

    readers: tuple[Reader, ...]
    tasks: tuple[Backlog, ...]
    now_ms: int


def gather(site: Site) -> Facts:
    """Ask the cluster, and look twice at what waits. Raises KafkaUnavailable."""
    specs = site.specs()
    tasks = [name for name in site.cluster().topics if name.startswith(TASKS_PREFIX)]
    waiting = progress.backlogs(site, lambda: _positions(site, specs.values(), tasks))
    found = groups(site.settings.kafka, sorted({g for s in specs.values() for g in _names(s)}))
    return Facts(
        readers=tuple(
            replace(_reader(site, spec, found), backlog=waiting.get(name, ()))
            for name, spec in specs.items()
        ),
        tasks=tuple(each for name in tasks for each in waiting.get(name, ())),
        now_ms=site.now_ms(),
    )


def _names(spec: Spec) -> tuple[str, ...]:
    own = f"weir-{spec.name}"
    return (own, CONTROL) if topology.PROCESSORS[spec.name].host is Host.FAUST else (own,)


def _reader(site: Site, spec: Spec, found: Mapping[str, Group]) -> Reader:
    read_back = {home_of(event).name for event in spec.outputs} & set(spec.inputs)
    return Reader(
        name=spec.name,
        groups=tuple(found[name] for name in _names(spec)),
        places=frozenset(_inputs(site, spec.inputs)),
        patience_ms=PATIENCE_MS if spec.transactional else OPEN_MS,
        held=frozenset() if spec.transactional else frozenset(read_back),
        command=f"weir run {CONTROL.removeprefix('weir-')}"
        if len(_names(spec)) > 1
        else f"weir run {spec.name}",
    )


def _inputs(site: Site, topics: Iterable[str]) -> list[Place]:
    known = site.cluster().topics
    return [(topic, number) for topic in topics for number in known.get(topic, ())]


def _positions(
    site: Site, specs: Iterable[Spec], tasks: Iterable[str]
) -> dict[str, dict[Place, int]]:
    """Return where each reader stands: what it committed, or its state has applied."""
    specs, tasks = list(specs), list(tasks)
    asked = {name for spec in specs for name in _names(spec)}
    found = groups(site.settings.kafka, sorted(asked | {TASKS_GROUP + name for name in tasks}))
    kept = states.newest(site)
    result = {}
    for spec in specs:
        known = [found[name].committed for name in _names(spec)]
        known += _applied(spec, kept) if spec.transactional else []
        result[spec.name] = _furthest(_inputs(site, spec.inputs), known)
    for name in tasks:
        result[name] = _furthest([(name, 0)], [found[TASKS_GROUP + name].committed])
    return result


def _applied(spec: Spec, kept: Mapping[str, Snapshot | str]) -> list[Mapping[Place, int]]:
    return [
        snapshots.positions_of(each)
        for each in kept.values()
        if isinstance(each, Snapshot) and each.processor == spec.name
    ]


def _furthest(places: Iterable[Place], known: Iterable[Mapping[Place, int]]) -> dict[Place, int]:
    told = list(known)
    return {place: max([0, *(each.get(place, 0) for each in told)]) for place in places}


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    found = [each for reader in facts.readers for each in _judged(reader, facts.now_ms)]
    found += _tasks(facts)
    return found or [ok("readers", f"{len(facts.readers)} processors run, and nothing waits long")]


def _judged(reader: Reader, now_ms: int) -> list[Finding]:
    refused = [group.name for group in reader.groups if group.refused]
    if refused:
        return [fail(reader.name, f"we may not see group {few(refused)}", "", _grant(refused[0]))]
    active = [group for group in reader.groups if group.active]
    if not active:
        return [_nobody(reader, now_ms)]
    found = [*_stuck(reader, active, now_ms), *_unowned(reader, active)]
    behind = progress.slow(reader.backlog, now_ms)
    if behind and not found:
        mend = f"run more of it, up to one for each partition: {reader.command}"
        found.append(warn(reader.name, f"is behind: {progress.told(behind, now_ms)}", "", mend))
    return found


def _nobody(reader: Reader, now_ms: int) -> Finding:
    names = few(group.name for group in reader.groups)
    if reader.backlog:
        told = f"nobody runs it: {progress.told(reader.backlog, now_ms)}"
        return fail(reader.name, told, f"group {names} has no member", reader.command)
    return warn(reader.name, "nobody runs it", f"group {names} has no member", reader.command)


def _stuck(reader: Reader, active: list[Group], now_ms: int) -> list[Finding]:
    still = progress.stuck(reader.backlog, now_ms, reader.patience_ms)
    still = [each for each in still if each.place[0] not in reader.held]
    held = progress.stuck(reader.backlog, now_ms, HELD_MS)
    still += [each for each in held if each.place[0] in reader.held and each.grew]
    if not still:
        return []
    told = f"it does not get on: {progress.told(still, now_ms)}"
    places = {each.place for each in still}
    owners = [f"{m.client} on {m.host}" for g in active for m in g.members if m.places & places]
    states_ = few(f"{group.name} is {group.state.lower()}" for group in active)
    why = f"{states_}; these partitions belong to {few(owners)}" if owners else states_
    mend = "see its log; ended (SIGTERM) and started again it goes on from what it committed: "
    return [fail(reader.name, told, why, mend + reader.command)]


def _unowned(reader: Reader, active: list[Group]) -> list[Finding]:
    """Return partitions that nobody owns; brokers that tell no members tell nothing here."""
    if any(group.state != "STABLE" or not group.members for group in active):
        return []
    owned = {place for group in active for member in group.members for place in member.places}
    free = reader.places - owned
    if not free:
        return []
    told = f"nobody reads {few(f'{topic}/{number}' for topic, number in free)}"
    why = "the group is stable, and no member has these partitions"
    return [fail(reader.name, told, why, f"start its members again: {reader.command}")]


def _tasks(facts: Facts) -> list[Finding]:
    still = progress.stuck(facts.tasks, facts.now_ms, OPEN_MS)
    if not still:
        return []
    told = f"tasks are not worked off: {progress.told(still, facts.now_ms)}"
    why = "the worker is gone or stands still; requests are sent to others when its heartbeat ends"
    return [warn("workers", told, why, "weir nodes list; weir worker --node NODE")]


def _grant(group: str) -> str:
    return f"kafka-acls.sh --add --allow-principal USER --operation All --group {group}"

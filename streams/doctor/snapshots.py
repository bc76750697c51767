"""Can the processors take up the states that they left?"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.decisions import Snapshot
from schemas.processing import Spec
from streams.doctor import states
from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from workers.kafka.groups import Place
from workers.snapshots import keeping as snapshots

_REBUILD = "weir snapshots migrate, or weir snapshots rebuild"


@dataclass(frozen=True, slots=True)
class Facts:
    """The newest state per key, or why it cannot be decoded; specifications; ends of the logs."""

    kept: Mapping[str, Snapshot | str]
    specs: Mapping[str, Spec]
    ends: Mapping[Place, int]


def gather(site: Site) -> Facts:
    """Read them. Raises KafkaUnavailable, RegistryUnavailable."""
    kept = states.newest(site)
    ends = {place: end.high for place, end in site.ends_now().items()}
    return Facts(kept, site.specs(), ends)


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    bad = {key: each for key, each in facts.kept.items() if isinstance(each, str)}
    found = []
    if bad:
        key, why = min(bad.items())
        told = f"{len(bad)} cannot be decoded: {few(bad)}"
        found.append(fail("states", told, f"{key}: {why}", _REBUILD))
    for name, held in _by_processor(facts).items():
        spec = facts.specs.get(name)
        if spec is None:
            told = f"{len(held)} states of a processor that this version does not have"
            found.append(warn(name, told, "", "nothing, if a newer version runs elsewhere"))
        else:
            found += [*_format(spec, held), *_positions(name, held, facts.ends)]
    return found or [
        ok("states", f"{len(facts.kept)} of {len(_by_processor(facts))} processors fit")
    ]


def _by_processor(facts: Facts) -> dict[str, list[Snapshot]]:
    found: dict[str, list[Snapshot]] = {}
    for each in facts.kept.values():
        if isinstance(each, Snapshot):
            found.setdefault(each.processor, []).append(each)
    return found


def _format(spec: Spec, held: list[Snapshot]) -> list[Finding]:
    refused = {each.key: why for each in held if (why := snapshots.refusal(each, spec))}
    if not refused:
        return []
    key, why = min(refused.items())
    told = f"{len(refused)} states cannot be taken up: {few(refused)}"
    return [fail(spec.name, told, f"{key}: {why}", f"{_REBUILD} {spec.name}")]


def _positions(name: str, held: list[Snapshot], ends: Mapping[Place, int]) -> list[Finding]:
    beyond = {
        f"{topic}/{number}": (at, ends[(topic, number)])
        for each in held
        for (topic, number), at in snapshots.positions_of(each).items()
        if (topic, number) in ends and at > ends[(topic, number)]
    }
    if not beyond:
        return []
    place, (at, end) = min(beyond.items())
    told = f"its state is at {at} of {place}, which ends at {end}"
    why = "the topic was made anew or lost its end: what comes next would be passed over"
    return [fail(name, told, why, f"weir snapshots rebuild {name}")]

"""May we do what the processors do: read, write, use their groups and transactional ids?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.topics import TOPICS
from streams import topology
from streams.doctor.findings import Finding, fail, few, ok, skip, warn
from streams.doctor.installation import Site
from streams.topology import Host
from workers.kafka import cluster as kafka_cluster
from workers.kafka import grants as kafka_grants
from workers.kafka.grants import Grants
from workers.kafka.groups import groups

ON_TOPICS = frozenset({"DESCRIBE", "READ", "WRITE"})
ON_GROUPS = frozenset({"READ"})
_UNLIMITED = frozenset({"ALTER", "CLUSTER_ACTION"})
"""Who may do this is a super user, or the cluster knows no users: it then tells no rules."""
_ADD = "kafka-acls.sh --bootstrap-server ... --add --allow-principal User:NAME"

Operations = frozenset[str] | None
"""What we may do; None where the broker does not tell."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What we may do with topics, groups and the cluster, and who may use transactional ids."""

    topics: Mapping[str, Operations]
    groups: Mapping[str, Operations]
    cluster: Operations
    grants: Grants
    transactional_ids: tuple[str, ...]


def gather(site: Site) -> Facts:
    """Ask the cluster; nothing is tried. Raises KafkaUnavailable."""
    kafka = site.settings.kafka
    slot = site.settings.host.slot
    transactional = [name for name, spec in site.specs().items() if spec.transactional]
    hosted = [n for n in transactional if topology.PROCESSORS[n].host is Host.BATCH]
    names = [f"weir-{name}" for name in (*topology.PROCESSORS, "control")]
    return Facts(
        kafka_cluster.topic_operations(kafka, list(TOPICS)),
        {name: group.operations for name, group in groups(kafka, names).items()},
        kafka_cluster.cluster_operations(kafka),
        kafka_grants.transactional_grants(kafka),
        tuple(f"weir-{name}-{slot}" for name in hosted),
    )


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    told = (*facts.topics.values(), *facts.groups.values(), facts.cluster)
    if all(each is None for each in told):
        return [skip("permissions", "the broker does not tell them", "it knows no users")]
    found = [
        *_lacking("topics", facts.topics, ON_TOPICS, "--topic weir. --resource-pattern-type "),
        *_lacking("groups", facts.groups, ON_GROUPS, "--group weir- --resource-pattern-type "),
        *_creating(facts),
        *_transactions(facts),
    ]
    return found or [ok("permissions", "we may read, write, create, and commit")]


def _lacking(
    what: str, held: Mapping[str, Operations], needed: frozenset[str], option: str
) -> list[Finding]:
    lacks = {name: needed - may for name, may in held.items() if may is not None and needed - may}
    if not lacks:
        return []
    operations = sorted({each for missing in lacks.values() for each in missing})
    told = f"we may not {', '.join(operations)} {len(lacks)} of {len(held)} {what}: {few(lacks)}"
    asked = " ".join(f"--operation {each.capitalize()}" for each in operations)
    mend = f"{_ADD} {asked} {option}prefixed"
    return [fail(what, told, "processors end with an authorisation error", mend)]


def _creating(facts: Facts) -> list[Finding]:
    told = [may for may in (facts.cluster, *facts.topics.values()) if may is not None]
    if not told or any("CREATE" in may for may in told):
        return []
    why = "workers make their task topics; topics that are missing cannot be made"
    mend = f"{_ADD} --operation Create --topic weir. --resource-pattern-type prefixed"
    return [warn("cluster", "we may not create topics", why, mend)]


def _transactions(facts: Facts) -> list[Finding]:
    grants = facts.grants
    if not grants.enforced or (facts.cluster or frozenset()) >= _UNLIMITED:
        return []
    if not grants.told or not (grants.rules or "DESCRIBE" in (facts.cluster or ())):
        why = "we may not see who may use them"
        return [skip("transactional ids", "they cannot be looked at", why)]
    denied = [each for each in facts.transactional_ids if not _allowed(grants, each)]
    if not denied or not grants.rules:
        return [] if not denied else [_unruled(denied)]
    told = f"no rule lets anybody write under {few(denied)}"
    mend = f"{_ADD} --operation Write --operation Describe --transactional-id weir- "
    why = "what commits in transactions does not start; super users need no rule"
    return [warn("transactional ids", told, why, f"{mend}--resource-pattern-type prefixed")]


def _unruled(denied: Iterable[str]) -> Finding:
    told = f"there is no rule about transactional ids, such as {few(denied, 1)}"
    why = "unless we are a super user, or everybody may what no rule forbids"
    mend = f"{_ADD} --operation Write --operation Describe --transactional-id weir- "
    return warn("transactional ids", told, why, f"{mend}--resource-pattern-type prefixed")


def _allowed(grants: Grants, transactional_id: str) -> bool:
    about = [rule for rule in grants.rules if rule.covers(transactional_id)]
    return any(rule.allowed for rule in about)

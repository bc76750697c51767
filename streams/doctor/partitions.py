"""Does every partition have a leader and all of its copies?"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from workers.kafka.cluster import PartitionState

INTERNAL = ("__consumer_offsets", "__transaction_state")
OURS = ("weir.", "_schemas")


@dataclass(frozen=True, slots=True)
class Facts:
    """Partitions by topic and number, and the replication factor that the settings ask for."""

    topics: Mapping[str, Mapping[int, PartitionState]]
    replication: int
    brokers: int


def gather(site: Site) -> Facts:
    """Ask the cluster. Raises KafkaUnavailable."""
    cluster = site.cluster()
    kept = {
        name: partitions
        for name, partitions in cluster.topics.items()
        if name in INTERNAL or name.startswith(OURS)
    }
    return Facts(kept, site.settings.kafka.replication, len(cluster.brokers))


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    every = [
        (f"{name}/{number}", state)
        for name, partitions in facts.topics.items()
        for number, state in partitions.items()
    ]
    found = []
    if offline := [name for name, state in every if state.leader < 0]:
        found.append(
            fail(
                "offline",
                f"{len(offline)} partitions have no leader: {few(offline)}",
                "they can be neither read nor written",
                "start the brokers that hold their copies",
            )
        )
    behind = [name for name, s in every if s.leader >= 0 and len(s.in_sync) < len(s.replicas)]
    if behind:
        found.append(
            warn(
                "copies",
                f"{len(behind)} partitions lack copies that are up to date: {few(behind)}",
                "one more loss may stop or lose them",
                "start the missing broker, or wait until it has caught up",
            )
        )
    return [*found, *_replication(facts)] or [ok("partitions", f"{len(every)}, all copies there")]


def _replication(facts: Facts) -> list[Finding]:
    if facts.replication > facts.brokers:
        told = f"the settings ask for {facts.replication} copies, there are {facts.brokers} brokers"
        mend = "add brokers, or set WEIR_KAFKA__REPLICATION lower"
        return [fail("replication", told, "new topics cannot be made", mend)]
    thin = [
        name
        for name in INTERNAL
        if any(len(p.replicas) < facts.replication for p in facts.topics.get(name, {}).values())
    ]
    if not thin:
        return []
    told = f"{few(thin)} has fewer than {facts.replication} copies"
    why = "positions and transactions are lost with one broker, whatever our topics have"
    mend = "kafka-reassign-partitions.sh; set offsets.topic.replication.factor and "
    return [warn("replication", told, why, mend + "transaction.state.log.replication.factor")]

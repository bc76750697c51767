"""Is there a broker, is it new enough, and can every broker of the cluster be reached?"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.doctor.findings import Finding, fail, ok, warn
from streams.doctor.installation import Site
from workers.kafka import versions as kafka_versions
from workers.kafka.versions import Apis

FETCH, OLDEST_FETCH = 1, 15
RELEASES = ((18, "4.1 or newer"), (17, "3.9 or 4.0"), (16, "3.7 or 3.8"), (15, "3.5 or 3.6"))
"""What the highest version of Fetch says about Apache Kafka, from the newest down.

Source: the history of FetchRequest.json in Apache Kafka.
"""
NEEDED = {
    0: "Produce",
    1: "Fetch",
    3: "Metadata",
    8: "OffsetCommit",
    9: "OffsetFetch",
    10: "FindCoordinator",
    11: "JoinGroup",
    19: "CreateTopics",
    22: "InitProducerId",
    24: "AddPartitionsToTxn",
    26: "EndTxn",
    28: "TxnOffsetCommit",
}
_ONLY_REAL = (37, 61)
"""CreatePartitions and DescribeProducers: every Apache Kafka since 2.8 knows them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the broker knows, what the cluster says, and why brokers cannot be reached, by id."""

    bootstrap: str
    apis: Apis
    cluster_id: str
    configured_id: str
    controller: int
    brokers: Mapping[int, str]
    unreachable: Mapping[int, str]


def gather(site: Site) -> Facts:
    """Ask the broker. Raises KafkaUnavailable."""
    kafka = site.settings.kafka
    apis = site.apis()
    cluster = site.cluster()
    problems = {
        number: why
        for number, address in cluster.brokers.items()
        if (why := kafka_versions.reachable(address))
    }
    return Facts(
        kafka.bootstrap,
        apis,
        cluster.cluster_id,
        kafka.cluster,
        cluster.controller,
        cluster.brokers,
        problems,
    )


def is_embedded(apis: Apis) -> bool:
    """Tell whether these are the requests of the broker that `weir up` starts."""
    return not any(key in apis for key in _ONLY_REAL)


def release(apis: Apis) -> str:
    """Return which Apache Kafka knows these requests, in words; empty for one before 3.5."""
    highest = apis.get(FETCH, (0, 0))[1]
    return next((name for version, name in RELEASES if highest >= version), "")


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    return [
        _version(facts),
        *_cluster(facts),
        *(
            fail(
                f"broker {number}",
                f"{facts.brokers[number]} cannot be reached: {why}",
                "clients are sent there by the broker they ask first",
                "start it, or mend advertised.listeners so that it names an address we can reach",
            )
            for number, why in sorted(facts.unreachable.items())
        ),
    ]


def _version(facts: Facts) -> Finding:
    missing = [name for key, name in NEEDED.items() if key not in facts.apis]
    upgrade = "run Apache Kafka 3.5 or newer"
    if missing:
        told = f"it does not know {', '.join(missing)}"
        return fail("version", told, "every processor needs them", upgrade)
    if is_embedded(facts.apis):
        return warn(
            "version",
            "this is the embedded broker",
            "it keeps everything in memory, shows records of aborted transactions, accepts stale "
            "members, and never expires, compacts or ends an abandoned transaction: at least once, "
            "made exact by event ids",
            "nothing on one machine; in production `weir up --bootstrap` or `weir run` on Apache "
            "Kafka 3.5 or newer",
        )
    if not release(facts.apis):
        told = f"it is older than Apache Kafka 3.5: Fetch {facts.apis[FETCH][1]}"
        return fail("version", told, "nothing is tried with what is older", upgrade)
    return ok("version", f"it speaks as Apache Kafka {release(facts.apis)} does")


def _cluster(facts: Facts) -> list[Finding]:
    found = [ok("cluster", f"{facts.cluster_id} at {facts.bootstrap}")]
    if facts.configured_id and facts.configured_id != facts.cluster_id:
        told = f"the settings say {facts.configured_id}, the broker says {facts.cluster_id}"
        found = [
            fail(
                "cluster",
                told,
                "rows in ClickHouse are told apart by it",
                "unset WEIR_KAFKA__CLUSTER, or set WEIR_KAFKA__BOOTSTRAP to the right cluster",
            )
        ]
    if facts.controller < 0 or facts.controller not in facts.brokers:
        found.append(
            fail(
                "controller",
                "no broker is the controller",
                "topics cannot be made, leaders cannot change",
                "look into the logs of the controllers; a majority of them must run",
            )
        )
    else:
        where = facts.brokers[facts.controller]
        found.append(
            ok("controller", f"broker {facts.controller} of {len(facts.brokers)}, {where}")
        )
    return found

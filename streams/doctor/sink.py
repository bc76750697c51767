"""Does the sink keep up: is what stands on Kafka in ClickHouse?"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from schemas.topics import topic_named
from streams.doctor import progress
from streams.doctor.clickhouse import NEVER_MIGRATED
from streams.doctor.findings import Finding, fail, ok, warn
from streams.doctor.installation import Site
from streams.doctor.progress import Backlog
from workers.clickhouse import connect
from workers.errors import ClickHouseRefused
from workers.kafka.groups import Place
from workers.sinking.positions import is_stored, positions
from workers.sinking.sink import NAME

PATIENCE_MS = 10_000
"""The sink stores three times a second; ClickHouse may need a moment."""
_RUN = "weir run sink"
_REFUSED = """
SELECT toString(topic), partition, max(offset) + 1 FROM dead_letters
WHERE processor = {sink:String} AND _cluster = {cluster:String} GROUP BY topic, partition
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is not stored yet, at a time, ms; `stored` counts the partitions that have rows.

    `ahead` are partitions of which ClickHouse holds more than Kafka: position and end.
    """

    backlog: tuple[Backlog, ...]
    stored: int
    now_ms: int
    ahead: Mapping[Place, tuple[int, int]]


def gather(site: Site) -> Facts:
    """Ask both, and look twice. Raises KafkaUnavailable, ClickHouseUnavailable."""
    positions_then = _stored(site)
    ends = site.ends_now()
    stored = {place: at for place, at in positions_then.items() if place in ends}
    found = progress.backlogs(site, lambda: {NAME: _all(site)})
    return Facts(
        backlog=found.get(NAME, ()),
        stored=len(stored),
        now_ms=site.now_ms(),
        ahead={
            place: (at, ends[place].high) for place, at in stored.items() if at > ends[place].high
        },
    )


def _all(site: Site) -> dict[Place, int]:
    """Return the next offset to store of every partition; topics in several tables are left out."""
    stored = _stored(site)
    return {
        place: stored.get(place, 0)
        for place in site.places()
        if is_stored(place[0]) and len(topic_named(place[0]).events) == 1
    }


def _stored(site: Site) -> dict[Place, int]:
    """Return the positions, past what the sink has refused; none when nothing was ever stored."""
    cluster = site.settings.kafka.cluster or site.cluster().cluster_id
    with closing(connect(site.settings.clickhouse)) as database:
        try:
            found = positions(database, cluster)
            refused = database.query(_REFUSED, {"sink": NAME, "cluster": cluster}).rows
        except ClickHouseRefused as error:
            if error.code in NEVER_MIGRATED:
                return {}
            raise
    for topic, partition, following in refused:
        place = (topic, partition)
        found[place] = max(found.get(place, 0), following)
    return found


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    found = []
    if facts.ahead:
        (topic, number), (position, end) = min(facts.ahead.items())
        told = f"ClickHouse holds {topic}/{number} up to {position}, Kafka ends at {end}"
        why = "the topic was made anew in the same cluster: new events look like old ones"
        mend = "set WEIR_KAFKA__CLUSTER to a new name, so that rows are told apart"
        found.append(fail("positions", told, why, mend))
    if still := progress.stuck(facts.backlog, facts.now_ms, PATIENCE_MS):
        told = f"events are not stored: {progress.told(still, facts.now_ms)}"
        why = "no sink runs, or it waits for ClickHouse; Kafka's retention runs on"
        found.append(fail("sink", told, why, f"{_RUN}, or see its log"))
    elif behind := progress.slow(facts.backlog, facts.now_ms):
        told = f"it is behind: {progress.told(behind, facts.now_ms)}"
        found.append(warn("sink", told, "", "give ClickHouse more processor or disk"))
    return found or [ok("sink", f"what stands on Kafka is stored; {facts.stored} partitions")]

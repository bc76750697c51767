"""Is there a transaction that nobody ends? It hides everything behind it from all readers."""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.doctor import broker
from streams.doctor.findings import Finding, fail, few, ok, span
from streams.doctor.installation import Site
from workers.kafka import ends as kafka_ends
from workers.kafka.clients import TRANSACTION_TIMEOUT_MS
from workers.kafka.groups import Place

GRACE_MS = 5_000
"""Brokers look for transactions to end every few seconds."""


@dataclass(frozen=True, slots=True)
class Open:
    """Records that committed reads do not show: from where, how many, since when (ms)."""

    first: int
    count: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Open transactions by partition, at a time, ms, on the embedded broker or not."""

    places: Mapping[Place, Open]
    now_ms: int
    embedded: bool


def gather(site: Site) -> Facts:
    """Look for ends that committed reads do not reach. Raises KafkaUnavailable."""
    kafka = site.settings.kafka
    behind = {place: end for place, end in site.ends().items() if end.stable < end.high}
    starts = {place: end.stable for place, end in behind.items()}
    hidden = kafka_ends.waiting(kafka, starts, committed=False) if starts else {}
    still = kafka_ends.ends(kafka, list(hidden)) if hidden else {}
    return Facts(
        {
            place: Open(end.stable, end.high - end.stable, hidden[place].timestamp_ms)
            for place, end in still.items()
            if behind[place].stable == end.stable < end.high
        },
        site.now_ms(),
        broker.is_embedded(site.apis()),
    )


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    longest = TRANSACTION_TIMEOUT_MS + GRACE_MS
    hanging = {
        place: each
        for place, each in facts.places.items()
        if facts.now_ms - each.since_ms >= longest
    }
    if not hanging:
        return [ok("transactions", "none is open for longer than it may be")]
    (topic, number), oldest = min(hanging.items(), key=lambda item: item[1].since_ms)
    age = span(facts.now_ms - oldest.since_ms)
    told = (
        f"open for {age}: {topic}/{number} from offset {oldest.first}, {oldest.count} records; "
        f"{len(hanging)} partitions: {few(f'{t}/{n}' for t, n in hanging)}"
    )
    why = "readers of committed data see nothing that follows"
    mend = (
        f"kafka-transactions.sh --bootstrap-server ... find-hanging --topic {topic} "
        f"--partition {number}, then abort --topic {topic} --partition {number} "
        f"--start-offset {oldest.first}"
    )
    if facts.embedded:
        why += "; the embedded broker never ends it by itself"
        mend = "start its processor again, which ends it; else start the stack again"
    return [fail("transactions", told, why, mend)]

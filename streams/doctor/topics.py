"""Are the topics what the topic table says?"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.doctor.findings import Finding, fail, few, ok, warn
from streams.doctor.installation import Site
from streams.topics import table as topic_table
from streams.topics.state import state
from streams.topics.table import Difference, Found

HARM = {
    "topic": "whoever reads or writes it does not start",
    "partitions": "what is joined by key must stand in equal numbers of partitions",
    "replication": "the loss of brokers loses what was acknowledged",
    "cleanup.policy": "a catalogue that expires forgets who is registered; events that are "
    "compacted are lost",
    "retention.ms": "what is not read in time is gone",
    "max.message.bytes": "larger events are refused",
    "min.insync.replicas": "what is acknowledged may stand in one copy alone",
}
_MORE_IS_HARMLESS = frozenset({"retention.ms", "max.message.bytes"})


@dataclass(frozen=True, slots=True)
class Facts:
    """Weir's topics as the cluster has them, and the copies that the settings ask for."""

    found: Mapping[str, Found]
    replication: int


def gather(site: Site) -> Facts:
    """Ask the cluster. Raises KafkaUnavailable."""
    kafka = site.settings.kafka
    return Facts(state(kafka, site.cluster()), kafka.replication)


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    different = topic_table.differences(facts.found, facts.replication)
    found = [_finding(each) for each in different]
    found += _unwritable(facts)
    found += [_untold(facts)] if topic_table.untold(facts.found, facts.replication) else []
    return found or [ok("topics", f"{len(facts.found)} topics, as the table says")]


def _finding(each: Difference) -> Finding:
    told = f"{each.what} is {each.found}, should be {each.wanted}"
    if each.what == "topic":
        told = "there is no such topic"
    say = warn if _is_mild(each) else fail
    return say(each.topic, told, HARM[each.what], topic_table.advice(each))


def _is_mild(each: Difference) -> bool:
    if each.what in ("replication", "min.insync.replicas"):
        return True
    return each.what in _MORE_IS_HARMLESS and _number(each.found) > _number(each.wanted)


def _number(text: str) -> float:
    """Return a number; -1 stands for no limit."""
    value = float(text)
    return float("inf") if value == -1 else value


def _unwritable(facts: Facts) -> list[Finding]:
    stuck = {
        name: least
        for name, topic in facts.found.items()
        if (least := topic.config.get("min.insync.replicas", "1"))
        and int(least) > topic.replication
    }
    if not stuck:
        return []
    told = f"min.insync.replicas is more than the copies of {few(stuck)}"
    why = "nothing can be written with acks=all, and everything of ours is"
    return [fail("min.insync.replicas", told, why, "lower it, or add copies")]


def _untold(facts: Facts) -> Finding:
    untold = topic_table.untold(facts.found, facts.replication)
    keys = {key for silent in untold.values() for key in silent}
    told = f"the broker does not tell {few(keys)} of {len(untold)} topics"
    why = "they cannot be compared"
    if len(untold) == len(facts.found):
        return ok("configuration", told, why)
    mend = "compare them yourself, or let `weir topics create` make these topics anew"
    return warn("configuration", f"{told}: {few(untold)}", why, mend)

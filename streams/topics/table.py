"""What of the topic table a cluster has otherwise, and what mends it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from schemas.topics import TASKS_PREFIX, TOPICS, Topic, topic_named

Config = Mapping[str, str]
"""Configuration of a topic as the broker tells it; keys that it does not tell are absent."""


class Mend(Enum):
    """How a difference is mended: `create` and `alter` by `weir topics apply`, others by hand."""

    CREATE = "create"
    ALTER = "alter"
    GROW = "grow"
    REASSIGN = "reassign"
    RECREATE = "recreate"


APPLIED = frozenset({Mend.CREATE, Mend.ALTER})
"""What `weir topics apply` does."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the cluster has it: partitions, fewest copies of one of them, configuration."""

    partitions: int
    replication: int
    config: Config


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what it is (topic, partitions, replication or a key), wanted and found."""

    topic: str
    what: str
    wanted: str
    found: str
    mend: Mend


ADVICE = {
    Mend.CREATE: "weir topics apply",
    Mend.ALTER: "weir topics apply",
    Mend.GROW: "weir topics grow {topic} --partitions {wanted}",
    Mend.REASSIGN: "kafka-reassign-partitions.sh, with {wanted} replicas for each partition",
    Mend.RECREATE: "drain it, delete it, then weir topics create: partitions cannot be taken away",
}
"""What to do about a difference, to be formatted with its fields."""


def advice(difference: Difference) -> str:
    """Return what mends a difference."""
    return ADVICE[difference.mend].format(topic=difference.topic, wanted=difference.wanted)


def wanted(existing: Iterable[str]) -> list[Topic]:
    """Return the rows that a cluster should have: the table, and its workers' task topics."""
    tasks = sorted(
        name for name in existing if name.startswith(TASKS_PREFIX) and name != TASKS_PREFIX
    )
    return [*TOPICS.values(), *(topic_named(name) for name in tasks)]


def differences(found: Mapping[str, Found], replication: int) -> list[Difference]:
    """Return what a cluster has otherwise than the table and the replication factor say.

    More partitions than the table's are right where all topics that are joined have as many: they
    have been grown. Keys that the broker does not tell count as right; see `untold`.
    """
    result: list[Difference] = []
    for topic in wanted(found):
        have = found.get(topic.name)
        if have is None:
            result.append(Difference(topic.name, "topic", "exists", "missing", Mend.CREATE))
        else:
            result += _partitions(topic, have.partitions, found)
            result += _replication(topic, have.replication, replication)
            result += _config(topic, have.config, replication)
    return result


def untold(found: Mapping[str, Found], replication: int) -> dict[str, list[str]]:
    """Return the keys of the table that the broker does not tell, by topic."""
    silent = {
        topic.name: sorted(topic.config(replication).keys() - found[topic.name].config.keys())
        for topic in wanted(found)
        if topic.name in found
    }
    return {name: keys for name, keys in silent.items() if keys}


def joined(topic: Topic) -> list[str]:
    """Return the topics whose partition counts must be equal to this one's, itself included."""
    if topic.partitions == 1:
        return [topic.name]
    return [
        other.name
        for other in TOPICS.values()
        if other.key == topic.key and other.partitions == topic.partitions
    ]


def _partitions(topic: Topic, have: int, found: Mapping[str, Found]) -> list[Difference]:
    peers = [found[name].partitions for name in joined(topic) if name in found]
    should = max([topic.partitions, *peers]) if topic.partitions > 1 else 1
    if have == should:
        return []
    mend = Mend.GROW if have < should else Mend.RECREATE
    return [Difference(topic.name, "partitions", str(should), str(have), mend)]


def _replication(topic: Topic, have: int, should: int) -> list[Difference]:
    if have >= should:
        return []
    return [Difference(topic.name, "replication", str(should), str(have), Mend.REASSIGN)]


def _config(topic: Topic, have: Config, replication: int) -> list[Difference]:
    return [
        Difference(topic.name, key, value, have[key], Mend.ALTER)
        for key, value in topic.config(replication).items()
        if key in have and not _same(value, have[key])
    ]


def _same(one: str, other: str) -> bool:
    """Tell whether two values say the same: lists in any order."""
    return {part.strip() for part in one.split(",")} == {part.strip() for part in other.split(",")}


def changes(found: Iterable[Difference]) -> dict[str, dict[str, str]]:
    """Return the configuration to set, by topic and key."""
    result: dict[str, dict[str, str]] = {}
    for each in found:
        if each.mend is Mend.ALTER:
            result.setdefault(each.topic, {})[each.what] = each.wanted
    return result

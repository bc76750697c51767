"""What a cluster says of itself: brokers, topics and their configuration. Behind the door to Kafka.

Everything is asked, nothing is changed, but by `alter_topics`.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._config import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
)

from workers.errors import KafkaUnavailable
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings

CALL_S = 5.0
GRACE_S = 1.0
"""librdkafka gives a request up first, and says why."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Where one partition is: broker ids; leader -1 when there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: its id, its controller's id (-1 for none), brokers as host:port by id, topics.

    `topics` has the partitions of every topic by number.
    """

    cluster_id: str
    controller: int
    brokers: Mapping[int, str]
    topics: Mapping[str, Mapping[int, PartitionState]]


@dataclass(frozen=True, slots=True)
class Setting:
    """The value in force of one configuration key; `own` when it was set for this topic itself."""

    value: str
    own: bool


def look(settings: KafkaSettings, timeout_s: float = CALL_S) -> Cluster:
    """Return the cluster as the first broker that answers sees it. Raises KafkaUnavailable."""
    try:
        found = kafka.admin(settings).list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise kafka.unavailable(settings, error) from error
    return Cluster(
        cluster_id=str(found.cluster_id),
        controller=int(found.controller_id),
        brokers={number: f"{b.host}:{b.port}" for number, b in found.brokers.items()},
        topics={
            name: {
                number: PartitionState(p.leader, tuple(p.replicas), tuple(p.isrs))
                for number, p in topic.partitions.items()
            }
            for name, topic in found.topics.items()
        },
    )


def topic_settings(
    settings: KafkaSettings, topics: Collection[str], timeout_s: float = CALL_S
) -> dict[str, dict[str, Setting]]:
    """Return the configuration of topics by name and key.

    A broker may tell some keys, or none: what is absent is not known. Raises KafkaUnavailable.
    """
    asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
    if not asked:
        return {}
    found = {}
    client = kafka.admin(settings)
    futures = client.describe_configs(asked, request_timeout=timeout_s)
    for resource, future in futures.items():
        entries = answer(settings, future, timeout_s)
        found[str(resource.name)] = {
            key: Setting(str(entry.value), _is_own(entry))
            for key, entry in entries.items()
            if entry.value is not None
        }
    return found


def _is_own(entry: Any) -> bool:
    return bool(entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value)


def alter_topics(
    settings: KafkaSettings, changes: Mapping[str, Mapping[str, str]], timeout_s: float = CALL_S
) -> None:
    """Set configuration keys of topics; all others stay as they are.

    Raises KafkaUnavailable when the broker does not answer or refuses.
    """
    asked = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in wanted.items()
            ],
        )
        for name, wanted in changes.items()
    ]
    if not asked:
        return
    client = kafka.admin(settings)
    futures = client.incremental_alter_configs(asked, request_timeout=timeout_s)
    for future in futures.values():
        answer(settings, future, timeout_s)


def topic_operations(
    settings: KafkaSettings, topics: Sequence[str], timeout_s: float = CALL_S
) -> dict[str, frozenset[str] | None]:
    """Return what we may do with each topic, such as READ; None where the broker does not tell.

    A topic that we may not even see has no operations. Raises KafkaUnavailable.
    """
    asked = TopicCollection(list(topics))
    client = kafka.admin(settings)
    futures = client.describe_topics(
        asked, request_timeout=timeout_s, include_authorized_operations=True
    )
    found: dict[str, frozenset[str] | None] = {}
    for name, future in futures.items():
        try:
            found[name] = operations(future.result(timeout_s + GRACE_S))
        except FutureTimeout as error:
            raise silent(settings, timeout_s) from error
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            if code != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise kafka.unavailable(settings, error) from error
            found[name] = frozenset()
    return found


def cluster_operations(settings: KafkaSettings, timeout_s: float = CALL_S) -> frozenset[str] | None:
    """Return what we may do with the cluster; None when it does not tell.

    Raises KafkaUnavailable.
    """
    client = kafka.admin(settings)
    future = client.describe_cluster(request_timeout=timeout_s, include_authorized_operations=True)
    return operations(answer(settings, future, timeout_s))


def operations(description: Any) -> frozenset[str] | None:
    """Return the names of the operations that a description allows us; None when it is silent."""
    told = description.authorized_operations
    return None if told is None else frozenset(operation.name for operation in told)


def answer(settings: KafkaSettings, future: Any, timeout_s: float) -> Any:
    """Return what a future gives; whoever made it must keep its client until then."""
    try:
        return future.result(timeout_s + GRACE_S)
    except KafkaException as error:
        raise kafka.unavailable(settings, error) from error
    except FutureTimeout as error:
        raise silent(settings, timeout_s) from error


def silent(settings: KafkaSettings, timeout_s: float) -> KafkaUnavailable:
    """Return the error of a broker that takes a request and does not answer it."""
    return KafkaUnavailable(f"Kafka at {settings.bootstrap}: no answer within {timeout_s:.0f} s")

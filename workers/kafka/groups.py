"""Consumer groups as the cluster sees them: state, members, positions. Behind the door to Kafka."""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from workers.kafka import clients as kafka
from workers.kafka.cluster import GRACE_S, operations, silent
from workers.settings import KafkaSettings

GROUPS_S = 10.0
"""A cluster that has just begun makes the topic of its groups when it is first asked."""
PAUSE_S = 0.2
_PASSING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""Said by a cluster that has just begun, or has just lost a broker."""
Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """One member: what it calls itself, where it runs, its static id if any, what it owns."""

    client: str
    host: str
    static_id: str
    places: frozenset[Place]


@dataclass(frozen=True, slots=True)
class Group:
    """A group; `state` is STABLE, EMPTY, DEAD, PREPARING_REBALANCING, COMPLETING_REBALANCING, ...

    Some brokers tell the state but no members. `operations` are what we may do with it; None when
    that is not told. `refused` says that we may not see it.
    """

    name: str
    state: str
    members: tuple[MemberState, ...] = ()
    operations: frozenset[str] | None = None
    refused: bool = False
    committed: Mapping[Place, int] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether somebody is in it, or just joining."""
        return self.state not in ("EMPTY", "DEAD", "UNKNOWN")


def groups(
    settings: KafkaSettings, names: Sequence[str], timeout_s: float = GROUPS_S
) -> dict[str, Group]:
    """Return groups by name, with what they have committed; one that does not exist is DEAD.

    Raises KafkaUnavailable.
    """
    if not names:
        return {}
    client = kafka.admin(settings)
    until = time.monotonic() + timeout_s
    found: dict[str, Group] = {}
    while left := [name for name in names if name not in found]:
        futures = client.describe_consumer_groups(
            left, request_timeout=timeout_s, include_authorized_operations=True
        )
        for name, future in futures.items():
            try:
                told = future.result(timeout_s + GRACE_S)
                found[name] = _group(name, told, _committed(client, name, timeout_s))
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or time.monotonic() > until:
                    found[name] = _without(settings, name, error)
            except FutureTimeout as error:
                raise silent(settings, timeout_s) from error
        time.sleep(0 if len(found) == len(names) else PAUSE_S)
    return found


def _group(name: str, told: Any, offsets: Mapping[Place, int]) -> Group:
    members = tuple(
        MemberState(
            client=str(member.client_id),
            host=str(member.host).lstrip("/"),
            static_id=str(member.group_instance_id or ""),
            places=frozenset((p.topic, p.partition) for p in _assigned(member)),
        )
        for member in told.members
    )
    return Group(name, told.state.name, members, operations(told), committed=offsets)


def _assigned(member: Any) -> Collection[TopicPartition]:
    assignment = member.assignment
    return assignment.topic_partitions or () if assignment else ()


def _without(settings: KafkaSettings, name: str, error: KafkaException) -> Group:
    code = error.args[0].code()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return Group(name, "UNKNOWN", operations=frozenset(), refused=True)
    if code == KafkaError.GROUP_ID_NOT_FOUND:
        return Group(name, "DEAD")
    raise kafka.unavailable(settings, error) from error


def _committed(client: AdminClient, group: str, timeout_s: float) -> dict[Place, int]:
    """Return the next offset per partition that a group has committed; absent where none is."""
    asked = ConsumerGroupTopicPartitions(group)
    futures = client.list_consumer_group_offsets([asked], request_timeout=timeout_s)
    (future,) = futures.values()
    found = future.result(timeout_s + GRACE_S).topic_partitions
    return {(p.topic, p.partition): p.offset for p in found if p.error is None and p.offset >= 0}

"""Who may use transactional ids, as far as the cluster tells. Behind the door to Kafka."""

from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._acl import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from workers.kafka import clients as kafka
from workers.kafka.cluster import CALL_S, GRACE_S, silent
from workers.settings import KafkaSettings

_WRITING = frozenset({"ALL", "WRITE"})


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule: which ids (LITERAL or PREFIXED, by name), what, for whom, allowed or not."""

    pattern: str
    name: str
    operation: str
    principal: str
    allowed: bool

    def covers(self, transactional_id: str) -> bool:
        """Tell whether the rule is about writing under an id."""
        if self.operation not in _WRITING:
            return False
        if self.pattern == "PREFIXED":
            return transactional_id.startswith(self.name)
        return self.name in ("*", transactional_id)


@dataclass(frozen=True, slots=True)
class Grants:
    """All rules; `enforced` is False where the cluster asks nobody, `told` where we may not see."""

    rules: tuple[Grant, ...] = ()
    enforced: bool = True
    told: bool = True


def transactional_grants(settings: KafkaSettings, timeout_s: float = CALL_S) -> Grants:
    """Return the rules about transactional ids.

    To a user who may not see them librdkafka tells none, without an error: only who may DESCRIBE
    the cluster knows that there are none. Raises KafkaUnavailable.
    """
    anyone: Any = None  # the library's hints have no text that stands for all
    wanted = AclBindingFilter(
        ResourceType.TRANSACTIONAL_ID,
        anyone,
        ResourcePatternType.ANY,
        anyone,
        anyone,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    client = kafka.admin(settings)
    try:
        found = client.describe_acls(wanted, request_timeout=timeout_s).result(timeout_s + GRACE_S)
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.SECURITY_DISABLED:
            return Grants(enforced=False)
        if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return Grants(told=False)
        raise kafka.unavailable(settings, error) from error
    except FutureTimeout as error:
        raise silent(settings, timeout_s) from error
    return Grants(
        tuple(
            Grant(
                pattern=rule.resource_pattern_type.name,
                name=rule.name,
                operation=rule.operation.name,
                principal=rule.principal,
                allowed=rule.permission_type is AclPermissionType.ALLOW,
            )
            for rule in found
        )
    )

"""`weir doctor` on whole installations: well on both brokers, and broken on Apache Kafka."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from pydantic import SecretStr

from schemas.topics import TOPICS
from streams.doctor.checks import CHECKS
from streams.doctor.examining import examine
from streams.doctor.findings import Finding, Status
from streams.doctor.installation import Given, Site
from streams.embedded.apache import Apache
from streams.embedded.stack import Stack
from streams.running import find
from streams.topics import table as topic_table
from streams.topics.state import state
from tests.broker.cluster import kafka_or_skip
from tests.hosts.worlds import wait_until
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka import cluster as kafka_cluster
from workers.settings import KafkaSettings, Settings

PATIENCE_S = 300.0


def site(stack: Stack) -> Site:
    running = find(stack.settings.data_dir)
    return Site(Given(stack.settings, {}, state=running, watch_s=1.5))


def well(stack: Stack) -> dict[str, list[Finding]]:
    """Return what is found once nothing but `broker` is worse than ok, or after a while."""
    until = time.monotonic() + PATIENCE_S
    while True:
        reports = examine(CHECKS, site(stack))
        worse = {
            each.check: [f for f in each.findings if f.status in (Status.WARN, Status.FAIL)]
            for each in reports
        }
        found = {check: findings for check, findings in worse.items() if findings}
        found.pop("processes", None)  # a busy machine may have had one started again
        if not found.keys() - {"broker"} or time.monotonic() > until:
            return found


@pytest.mark.faults
def test_a_whole_embedded_stack_is_well(tmp_path: Path) -> None:
    with Stack(Settings(data_dir=tmp_path)) as stack:
        found = well(stack)
    assert list(found) == ["broker"]
    assert [each.what for each in found["broker"]] == ["this is the embedded broker"]


@pytest.mark.faults
def test_a_whole_stack_on_apache_kafka_is_well(tmp_path: Path) -> None:
    broker = kafka_or_skip(tmp_path / "kafka")
    with Stack(Settings(data_dir=tmp_path), broker=broker) as stack:
        assert well(stack) == {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apache]:
    with kafka_or_skip(tmp_path_factory.mktemp("kafka")) as started:
        kafka.create_topics(started.reached(Settings().kafka), TOPICS.values())
        yield started


@pytest.fixture
def settings(cluster: Apache) -> Settings:
    return Settings(kafka=cluster.reached(Settings().kafka))


def found(settings: Settings, name: str) -> list[Finding]:
    reports = examine(CHECKS, Site(Given(settings, {}, watch_s=0.5)), [name])
    return [finding for report in reports for finding in report.findings]


@pytest.mark.faults
def test_a_kafka_without_users_is_new_enough_and_lets_us_do_all(settings: Settings) -> None:
    version, *others = found(settings, "broker")
    assert version.status is Status.OK
    assert "it speaks as Apache Kafka 4.1 or newer does" in version.what
    assert {each.status for each in others} == {Status.OK}
    assert [each.what for each in found(settings, "permissions")] == [
        "we may read, write, create, and commit"
    ]
    assert [each.status for each in found(settings, "partitions")] == [Status.OK]


@pytest.mark.faults
def test_topics_that_were_changed_are_told_and_mended(settings: Settings) -> None:
    assert [each.status for each in found(settings, "topics")] == [Status.OK]
    changed = {"weir.labels": {"retention.ms": "1000"}, "weir.apps": {"min.insync.replicas": "2"}}
    kafka_cluster.alter_topics(settings.kafka, changed)
    told = {each.subject: each.what for each in found(settings, "topics")}
    assert told == {
        "weir.labels": "retention.ms is 1000, should be 604800000",
        "min.insync.replicas": "min.insync.replicas is more than the copies of weir.apps",
    }
    differences = topic_table.differences(state(settings.kafka), 1)
    kafka_cluster.alter_topics(settings.kafka, topic_table.changes(differences))
    kafka_cluster.alter_topics(settings.kafka, {"weir.apps": {"min.insync.replicas": "1"}})
    assert topic_table.differences(state(settings.kafka), 1) == []


@pytest.mark.faults
def test_marks_of_transactions_are_no_backlog_and_a_hanging_one_is_told(
    settings: Settings,
) -> None:
    producer = kafka.transactional_producer(settings.kafka, "weir-test-hanging")
    producer.begin_transaction()
    producer.produce("weir.violations", b"x", partition=1)
    producer.commit_transaction(10)
    assert [each.status for each in found(settings, "transactions")] == [Status.OK]
    producer.begin_transaction()
    producer.produce("weir.violations", b"x", partition=1, timestamp=wall_ms() - 60_000)
    producer.flush(120)
    (hanging,) = found(settings, "transactions")
    assert hanging.status is Status.FAIL
    assert "weir.violations/1 from offset 2, 1 records" in hanging.what
    assert "--start-offset 2" in hanging.mend
    producer.abort_transaction(10)
    assert [each.status for each in found(settings, "transactions")] == [Status.OK]


USERS = {
    "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "listener.name.plaintext.plain.sasl.jaas.config": (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="root" password="r" user_root="r" user_weir="w";'
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:root;User:ANONYMOUS",
}
"""A broker that asks who one is; its controller, which nobody else reaches, does not."""
ALLOWED = (
    (ResourceType.TOPIC, (AclOperation.READ, AclOperation.WRITE), "topics"),
    (ResourceType.TOPIC, (AclOperation.CREATE,), "cluster"),
    (ResourceType.GROUP, (AclOperation.READ,), "groups"),
    (ResourceType.BROKER, (AclOperation.DESCRIBE,), "transactional ids"),
    (
        ResourceType.TRANSACTIONAL_ID,
        (AclOperation.WRITE, AclOperation.DESCRIBE),
        "transactional ids",
    ),
)
"""What processors must be allowed, in order, and the finding that this puts an end to."""


def as_user(cluster: Apache, name: str) -> Settings:
    """Return settings that log in."""
    told = KafkaSettings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=name,
        sasl_password=SecretStr(name[0]),
    )
    return Settings(kafka=cluster.reached(told))


def allow(settings: Settings, kind: ResourceType, operations: Iterable[AclOperation]) -> None:
    """Let the user do something with all resources of a kind that are ours."""
    whole = kind is ResourceType.BROKER
    name = "kafka-cluster" if whole else "weir"
    pattern = ResourcePatternType.LITERAL if whole else ResourcePatternType.PREFIXED
    allowed = AclPermissionType.ALLOW
    rules = [AclBinding(kind, name, pattern, "User:weir", "*", op, allowed) for op in operations]
    client = kafka.admin(settings.kafka)
    for future in client.create_acls(rules).values():
        future.result(60)


def lacking(settings: Settings) -> dict[str, tuple[Status, str]]:
    """Return what is not well with the rights."""
    told = found(settings, "permissions")
    return {each.subject: (each.status, each.what) for each in told if each.status != Status.OK}


@pytest.mark.faults
def test_what_a_user_may_not_do_is_told_until_it_is_allowed(tmp_path: Path) -> None:
    with kafka_or_skip(tmp_path, overrides=USERS) as cluster:
        root, weir = as_user(cluster, "root"), as_user(cluster, "weir")
        kafka.create_topics(root.kafka, TOPICS.values())
        before = lacking(weir)
        assert before["topics"][1].startswith("we may not DESCRIBE, READ, WRITE")
        assert [status for status, _ in before.values()] == [
            Status.FAIL,
            Status.FAIL,
            Status.WARN,
            Status.SKIP,
        ]
        for kind, operations, subject in ALLOWED:
            told = lacking(weir).pop(subject)
            allow(root, kind, operations)
            wait_until(lambda was=told, name=subject: lacking(weir).get(name) != was)  # type: ignore[misc]  # defaults are not inferred
        assert lacking(weir) == lacking(root) == {}

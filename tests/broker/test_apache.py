"""Apache Kafka as the tests and `weir up --broker apache` start it."""

import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import KafkaException

from schemas.topics import TOPICS
from streams.embedded import jars as jars_module
from streams.errors import StackError
from tests.broker.cluster import kafka_or_skip
from workers.kafka import clients as kafka
from workers.settings import KafkaSettings


def settings_of(cluster):
    return cluster.reached(KafkaSettings())


def end_of(settings, topic):
    """Return the end of partition 0, after the leader has taken its place."""
    reader = kafka.reader(settings)
    patience = time.monotonic() + 300
    while True:
        try:
            return reader.get_watermark_offsets(kafka.TopicPartition(topic, 0), timeout=60)[1]
        except KafkaException:
            if time.monotonic() > patience:
                raise
            time.sleep(0.1)


def send(settings, topic, count):
    client = kafka.producer(settings)
    for number in range(count):
        client.produce(topic, str(number), partition=0)
    assert client.flush(60) == 0


@pytest.mark.faults
def test_a_killed_broker_comes_back_with_what_it_acknowledged(tmp_path):
    with kafka_or_skip(tmp_path) as cluster:
        settings = settings_of(cluster)
        assert set(kafka.create_topics(settings, TOPICS.values())) == set(TOPICS)
        send(settings, "weir.metrics", 100)
        first = cluster.nodes[0].pid
        cluster.nodes[0].kill()
        assert not cluster.alive
        with pytest.raises(StackError, match="Kafka ended"):
            cluster.check()
        cluster.nodes[0].launch()
        cluster.nodes[0].wait()
        assert cluster.nodes[0].pid != first
        assert end_of(settings, "weir.metrics") == 100
    assert not psutil.pid_exists(cluster.pid)
    with kafka_or_skip(tmp_path) as another:
        assert end_of(settings_of(another), "weir.metrics") == 100


@pytest.mark.faults
def test_three_brokers_go_on_without_one(tmp_path):
    with kafka_or_skip(tmp_path, 3) as cluster:
        settings = settings_of(cluster)
        assert settings.replication == 3
        kafka.create_topics(settings, [TOPICS["weir.metrics"]])
        send(settings, "weir.metrics", 10)
        cluster.nodes[1].kill()
        send(settings, "weir.metrics", 10)
        assert cluster.alive
        assert end_of(settings, "weir.metrics") == 20


def test_without_maven_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="apt-get install openjdk-17-jre-headless maven"):
        jars_module.jars()


def test_a_jar_that_is_not_the_recorded_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lock = tmp_path / "jars.sha256"
    lock.write_text(f"{'0' * 64}  kafka.jar\n")
    monkeypatch.setattr(jars_module, "LOCK", lock)
    monkeypatch.setattr(jars_module, "_resolve", _one_jar)
    with pytest.raises(StackError, match=r"differ from jars\.sha256"):
        jars_module.jars()
    assert not list((tmp_path / "cache").glob("weir/kafka-*/"))


def _one_jar(folder: Path) -> None:
    folder.mkdir()
    (folder / "kafka.jar").write_bytes(b"not it")

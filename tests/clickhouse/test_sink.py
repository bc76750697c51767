"""The sink between a real broker, a registry and ClickHouse: all of it, once, whatever happens."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.inference import InferenceTask
from schemas.registrations import ServiceRegistered
from schemas.topics import topic_named, topic_of
from streams.embedded.processes import free_port, launch, listens, stop, wait_until
from tests.clickhouse.sinking import (
    asking,
    counted,
    eventually,
    metrics,
    send,
    send_raw,
    sinking,
)
from tests.examples import example
from workers.kafka import clients as kafka
from workers.settings import ClickHouseSettings, Settings


def test_it_goes_on_where_it_stood_and_stores_nothing_twice(everything: Settings) -> None:
    stored = "SELECT count() FROM metrics WHERE app = 'again'"
    send(everything, *metrics("again", 500))
    with asking(everything) as database:
        with sinking(everything):
            assert eventually(lambda: counted(database, stored) == 500)
        send(everything, *metrics("again", 300))
        with sinking(everything):
            assert eventually(lambda: counted(database, stored) == 800)
        assert counted(database, "SELECT uniqExact(_partition) FROM metrics") > 1
        values = "SELECT sum(value) FROM metrics WHERE app = 'again'"
        assert counted(database, values) == sum(range(500)) + sum(range(300))


def test_bad_messages_become_dead_letters_and_disturb_nobody(everything: Settings) -> None:
    topic = "weir.labels"
    send_raw(everything, topic, b"no avro", b"\0\xff\xff\xff\xff at all", None, key="bad")
    send(everything, *(event for event in metrics("good", 10)))
    with sinking(everything), asking(everything) as database:
        sql = "SELECT count() FROM dead_letters FINAL WHERE topic = 'weir.labels'"
        assert eventually(lambda: counted(database, sql) == 3)
        found = database.query("SELECT error, count, processors FROM dead_letter_summary")
        assert set(found.rows) >= {("not-framed", 2, "sink"), ("unknown-schema", 1, "sink")}
        good = "SELECT count() FROM metrics WHERE app = 'good'"
        assert eventually(lambda: counted(database, good) == 10)
    with sinking(everything), asking(everything) as database:
        send(everything, *metrics("after", 10))
        after = "SELECT count() FROM metrics WHERE app = 'after'"
        assert eventually(lambda: counted(database, after) == 10)
        assert counted(database, sql) == 3


def test_what_was_sent_before_the_stop_is_stored_though_it_came_late(everything: Settings) -> None:
    with sinking(everything) as ready:
        assert ready.wait(60)
        send(everything, *metrics("last words", 200))
    with asking(everything) as database:
        assert database.query("SELECT count() FROM latency_by_service").rows == ((0,),)
        stored = "SELECT count() FROM metrics WHERE app = 'last words'"
        assert counted(database, stored) == 200


def test_task_topics_are_found_when_they_appear(everything: Settings) -> None:
    task = replace(example(InferenceTask), worker="late-worker")
    with sinking(everything), asking(everything) as database:
        kafka.create_topics(everything.kafka, [topic_named(topic_of(task))])
        send(everything, task)
        sql = "SELECT count() FROM tasks WHERE _topic = 'weir.tasks.late-worker'"
        assert eventually(lambda: counted(database, sql) == 1)


def test_the_catalogue_keeps_its_history(everything: Settings) -> None:
    service = example(ServiceRegistered)
    send(everything, service, replace(service, replicas=7))
    send_raw(everything, "weir.services", None, key=service.service)
    with sinking(everything), asking(everything) as database:
        sql = "SELECT replicas, _deleted FROM services FINAL ORDER BY _offset"
        assert eventually(lambda: counted(database, "SELECT count() FROM services FINAL") == 3)
        assert database.query(sql).rows == (
            (service.replicas, False),
            (7, False),
            (1, True),
        )


@pytest.mark.faults
def test_it_waits_while_clickhouse_is_away(
    everything: Settings, tmp_path: Path, server: ClickHouseSettings
) -> None:
    port, log = free_port(), tmp_path / "server.log"
    module = [sys.executable, "-m", "streams.embedded.clickhouse"]
    argv = [*module, "--port", str(port), "--path", str(tmp_path / "data")]
    away = everything.model_copy(
        update={"clickhouse": server.model_copy(update={"port": port, "database": "away"})}
    )
    send(away, *metrics("away", 50))
    stored = "SELECT count() FROM metrics WHERE app = 'away'"
    with sinking(away):
        for expected in (50, 60):
            process = launch(argv, log)
            try:
                wait_until(lambda: listens(port), process, "clickhouse", log, 60)
                with asking(away) as database:
                    assert eventually(lambda: counted(database, stored) == expected)  # noqa: B023
            finally:
                stop(process, 60)
            send(away, *metrics("away", 10))

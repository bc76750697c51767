"""`weir doctor` against real servers without processors: well, and broken in every way."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from schemas.decisions import DeadLetter, Snapshot
from schemas.events import EVENTS
from schemas.observing import MetricReport
from schemas.registrations import ServiceRegistered
from schemas.topics import TOPICS, key_of
from streams.doctor.checks import CHECKS
from streams.doctor.examining import Report, examine
from streams.doctor.findings import Finding, Status
from streams.doctor.installation import Given, Site
from streams.embedded.stack import Stack
from streams.entries import Entries
from streams.topology import PROCESSORS, spec_named
from tests.clickhouse.sinking import counted, eventually, sinking
from tests.commanding import command
from tests.examples import example
from workers.clickhouse import connect
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.kafka import cluster as kafka_cluster
from workers.registry import Registry
from workers.settings import Settings
from workers.sinking.migrations import migrate

WATCH_S = 0.5
Weir = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("stack")), apps=()) as started:
        with closing(connect(started.settings.clickhouse)) as database:
            migrate(database)
            with sinking(started.settings):  # of what the stack itself has said
                assert eventually(lambda: counted(database, "SELECT count() FROM policies") == 1)
        yield started


@pytest.fixture
def weir(stack: Stack) -> Weir:
    environ = {"WEIR_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}

    def call(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return command(*arguments, environ=environ | more)

    return call


def looked(settings: Settings, *names: str) -> dict[str, Report]:
    reports = examine(CHECKS, Site(Given(settings, {}, watch_s=WATCH_S)), names)
    return {report.check: report for report in reports}


def found(settings: Settings, name: str) -> tuple[Finding, ...]:
    return looked(settings, name)[name].findings


def one(findings: tuple[Finding, ...], subject: str) -> Finding:
    (finding,) = (each for each in findings if each.subject == subject)
    return finding


def produce(settings: Settings, topic: str, value: bytes, key: str, at_ms: int) -> None:
    producer = kafka.producer(settings.kafka)
    producer.produce(topic, value, key.encode(), timestamp=at_ms)
    assert producer.flush(60) == 0


def send(settings: Settings, *events: Any) -> None:
    with Entries(settings) as entries:
        entries.send(events)


def metric(settings: Settings) -> tuple[bytes, str]:
    event = example(MetricReport)
    with closing(Registry(settings.registry)) as registry:
        return registry.codec().encode(event), key_of(event)


def test_nothing_fails_where_all_is_well(stack: Stack) -> None:
    reports = looked(stack.settings)
    assert list(reports) == [check.name for check in CHECKS]
    worse = {
        name: [f"{each.subject}: {each.what}" for each in report.findings]
        for name, report in reports.items()
        if any(each.status in (Status.WARN, Status.FAIL) for each in report.findings)
    }
    assert worse.keys() == {"broker", "groups"}
    assert "embedded broker" in one(reports["broker"].findings, "version").what
    everyone = ["nobody runs it"] * len(PROCESSORS)
    assert [each.what for each in reports["groups"].findings] == everyone
    assert one(reports["groups"].findings, "observe").mend == "weir run observe"
    assert one(reports["groups"].findings, "select").mend == "weir run control"
    assert one(reports["permissions"].findings, "permissions").status is Status.SKIP


def test_what_is_away_is_one_finding_and_hides_no_other(stack: Stack) -> None:
    kafka_away = stack.settings.kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
    house_away = stack.settings.clickhouse.model_copy(update={"port": 1})
    update = {"kafka": kafka_away, "clickhouse": house_away}
    reports = looked(stack.settings.model_copy(update=update))
    status = {name: report.findings[0].status for name, report in reports.items()}
    assert [name for name, each in status.items() if each is Status.FAIL] == [
        "broker",
        "clickhouse",
    ]
    assert status["schemas"] is Status.OK
    broker = reports["broker"].findings[0]
    assert "127.0.0.1:1: [Errno 111] Connection refused" in broker.what
    assert "WEIR_KAFKA__BOOTSTRAP" in broker.mend
    assert "WEIR_CLICKHOUSE__HOST" in reports["clickhouse"].findings[0].mend
    assert reports["sink"].findings[0].what == (
        "not looked at: broker, clickhouse could not be looked at"
    )
    assert [each.subject for each in reports["clocks"].findings] == ["clickhouse", "records"]


def test_what_is_needed_is_reported_too_when_it_cannot_be_looked_at(stack: Stack) -> None:
    kafka_away = stack.settings.kafka.model_copy(update={"bootstrap": "127.0.0.1:1"})
    reports = looked(stack.settings.model_copy(update={"kafka": kafka_away}), "topics")
    assert list(reports) == ["broker", "topics"]
    assert list(looked(stack.settings, "topics")) == ["topics"]


def test_topics_are_compared_and_mended(stack: Stack, weir: Weir) -> None:
    settings = stack.settings.kafka
    kafka.delete_topics(settings, ["weir.models", "weir.quality"])
    kafka.create_topics(settings, [replace(TOPICS["weir.quality"], partitions=2)])
    changed = {"weir.labels": {"retention.ms": "1000"}, "weir.apps": {"cleanup.policy": "delete"}}
    kafka_cluster.alter_topics(settings, changed)
    findings = found(stack.settings, "topics")
    assert {each.subject: each.what for each in findings} == {
        "weir.models": "there is no such topic",
        "weir.labels": "retention.ms is 1000, should be 604800000",
        "weir.apps": "cleanup.policy is delete, should be compact",
        "weir.quality": "partitions is 2, should be 4",
    }
    assert {each.status for each in findings} == {Status.FAIL}
    diff = weir("topics", "diff", "--json")
    assert diff.returncode == 1
    told = {row["topic"]: row["mend"] for row in json.loads(diff.stdout)["differences"]}
    grow = "weir topics grow weir.quality --partitions 4"
    assert told.keys() == {"weir.models", "weir.labels", "weir.apps", "weir.quality"}
    assert (told["weir.models"], told["weir.quality"]) == ("weir topics apply", grow)
    assert "3 differences would be mended" in weir("topics", "apply", "--dry-run").stdout
    assert len(found(stack.settings, "topics")) == 4
    applied = json.loads(weir("topics", "apply", "--json").stdout)
    assert "weir.apps: cleanup.policy is delete, should be compact" in applied["mended"]
    assert [left.rpartition(": ")[2] for left in applied["left"]] == [grow]
    kafka.delete_topics(settings, ["weir.quality"])
    kafka.create_topics(settings, [TOPICS["weir.quality"]])
    assert weir("topics", "diff").stdout == "no differences\n"
    assert one(found(stack.settings, "topics"), "topics").status is Status.OK


def asked(url: str, method: str, body: str = "") -> None:
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body.encode() or None, kind, method=method)
    with urllib.request.urlopen(request, timeout=60):
        pass


def test_a_registry_that_lost_a_schema_or_demands_less(stack: Stack) -> None:
    url = stack.settings.registry.url
    asked(f"{url}/subjects/weir.drifts-value", "DELETE")
    asked(f"{url}/config/weir.labels-value", "PUT", '{"compatibility": "NONE"}')
    asked(f"{url}/mode", "PUT", '{"mode": "READONLY"}')
    try:
        findings = found(stack.settings, "schemas")
    finally:
        asked(f"{url}/mode", "PUT", '{"mode": "READWRITE"}')
    missing = one(findings, "registered")
    assert (missing.status, missing.mend) == (Status.FAIL, "weir schemas register")
    assert missing.what == f"1 of {len(EVENTS)} schemas are not registered: weir.drifts-value"
    assert one(findings, "mode").what == "the registry is in mode READONLY"
    assert one(findings, "weir.labels-value").what.startswith("the registry demands NONE")
    assert len(findings) == 3
    with closing(Registry(stack.settings.registry)) as registry:
        registry.register_all()
    assert found(stack.settings, "schemas")[0].status is Status.OK


def test_a_database_that_was_changed_by_hand(stack: Stack) -> None:
    with closing(connect(stack.settings.clickhouse)) as database:
        database.execute("DROP VIEW latency_by_service")
        tables = one(found(stack.settings, "clickhouse"), "tables")
        assert tables.status is Status.FAIL
        assert tables.what == "1 are missing or not current: 001_latency_by_service.sql"
        migrate(database)
    house = stack.settings.clickhouse.model_copy(update={"database": "nothing"})
    settings = stack.settings.model_copy(update={"clickhouse": house})
    assert one(found(settings, "clickhouse"), "tables").what == "database nothing was never made"


def test_a_transaction_that_nobody_ends(stack: Stack) -> None:
    settings = stack.settings
    producer = kafka.transactional_producer(settings.kafka, "weir-test-hanging")
    producer.begin_transaction()
    producer.produce("weir.violations", b"x", partition=2, timestamp=wall_ms() - 60_000)
    producer.flush(60)
    (hanging,) = found(settings, "transactions")
    assert hanging.status is Status.FAIL
    assert "weir.violations/2 from offset 0, 1 records" in hanging.what
    assert "never ends it by itself" in hanging.why
    producer.commit_transaction(10)
    assert found(settings, "transactions")[0].status is Status.OK


@pytest.mark.faults
def test_messages_that_nobody_reads_and_a_member_that_stands_still(stack: Stack) -> None:
    settings = stack.settings
    value, key = metric(settings)
    produce(settings, "weir.metrics", value, key, wall_ms() - 60_000)
    observe = one(found(settings, "groups"), "observe")
    assert observe.status is Status.FAIL
    assert observe.what.startswith("nobody runs it: weir.metrics/")
    sink = one(found(settings, "sink"), "sink")
    assert sink.status is Status.FAIL
    assert sink.what.startswith("events are not stored: ")
    assert "weir.metrics/" in sink.what
    member = kafka.consumer(settings.kafka, "weir-observe")
    member.subscribe(["weir.metrics"])
    message = None
    while message is None or message.error() is not None:
        message = member.poll(10)
        assert message is not None
    standing = one(found(settings, "groups"), "observe")
    assert standing.what.startswith("it does not get on: weir.metrics/")
    assert "stands at 0 of 1, the next waits for " in standing.what
    member.commit(message=message, asynchronous=False)
    assert [each for each in found(settings, "groups") if each.subject == "observe"] == []
    member.close()


def test_records_from_the_future(stack: Stack) -> None:
    value, key = metric(stack.settings)
    produce(stack.settings, "weir.requests", value, key, wall_ms() + 3_000_000)
    records = one(found(stack.settings, "clocks"), "records")
    assert records.status is Status.FAIL
    assert records.what.startswith("the newest record of weir.requests/")
    assert records.what.endswith("is 50 min in the future")


def test_open_dead_letters_and_states_that_do_not_fit(stack: Stack) -> None:
    form = spec_named("drift").format
    state = replace(example(Snapshot), key="drift/0", processor="drift", partition=0, format=form)
    letter = replace(example(DeadLetter), topic="weir.metrics", error="malformed")
    send(stack.settings, letter, replace(state, parameters="other", positions=()))
    refused = one(found(stack.settings, "deadletters"), "weir.metrics")
    assert refused.status is Status.WARN
    assert refused.what.startswith("1 messages were refused as malformed")
    drift = one(found(stack.settings, "snapshots"), "drift")
    assert drift.status is Status.FAIL
    assert drift.why.startswith("drift/0: it was taken under other parameters")


@pytest.mark.faults
def test_registrations_of_nobody_are_warned_of(stack: Stack, weir: Weir) -> None:
    clause = ("--clause", "accuracy >= 0.9 over 10s")
    strict = weir("contracts", "register", "desk", "--app", "nowhere", *clause, "--strict")
    assert strict.returncode == 4
    assert "names application nowhere, which is not registered" in strict.stderr
    warned = weir("contracts", "register", "desk", "--app", "nowhere", *clause, "--json")
    assert warned.returncode == 0
    assert warned.stderr.startswith("weir: warning: contract desk names application nowhere")
    assert len(json.loads(warned.stdout)["warnings"]) == 1
    send(stack.settings, replace(example(ServiceRegistered), app="", artifact="", variants=()))
    findings = found(stack.settings, "catalogue")
    assert one(findings, "nowhere").mend == (
        "weir apps register nowhere, or weir contracts remove desk"
    )
    assert one(findings, "artifacts").status is Status.WARN


def test_the_command_tells_all_in_json_and_by_its_code(weir: Weir) -> None:
    bad = weir("doctor", "--only", "machine", "--only", "topics", "--json", WEIR_KAFAK="1")
    assert bad.returncode == 1
    told = json.loads(bad.stdout)
    assert told["status"] == "fail"
    assert [(row["check"], row["status"]) for row in told["findings"]] == [
        ("machine", "fail"),
        ("topics", "ok"),
    ]
    assert "WEIR_KAFAK: there is no such setting" in told["findings"][0]["what"]
    well = weir("doctor", "--only", "topics")
    assert (well.returncode, well.stderr) == (0, "")
    assert f"{len(TOPICS)} topics, as the table says" in well.stdout
    unknown = weir("doctor", "--only", "nothing")
    assert unknown.returncode == 2
    assert "is none of machine, processes, broker" in unknown.stderr

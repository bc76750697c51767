"""Bad input on the whole stack: each gets its dead letter or refusal, and everything else goes on.

One stack for all; what is sent stands beside a good event that must come through.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.codec import frame
from schemas.graphs import Stage
from schemas.observing import MetricReport
from schemas.registrations import (
    ApplicationRegistered,
    Clause,
    ContractRegistered,
    InstanceReported,
    ServiceRegistered,
)
from streams.embedded.stack import Stack
from streams.entries import Entries
from workers.clickhouse import Database, connect
from workers.client import Client, tensors
from workers.clock import wall_ms
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import HostSettings, Settings

PATIENCE_S = 60.0
YEAR_MS = 365 * 86_400_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("stack"), host=HostSettings(max_bad_share=1.0)
    )
    with Stack(settings) as running:
        yield running


@pytest.fixture(scope="module")
def database(stack: Stack) -> Iterator[Database]:
    found = connect(stack.settings.clickhouse)
    yield found
    found.close()


def eventually(database: Database, query: str, least: int = 1) -> list[dict[str, Any]]:
    """Return the rows of a query once there are enough."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        rows = database.query(query).records()
        if len(rows) >= least:
            return rows
        assert time.monotonic() < deadline, f"{len(rows)} rows, wanted {least}: {query}"
        time.sleep(0.2)


def metric(app: str, value: float, at: int | None = None) -> MetricReport:
    return MetricReport(
        event_time=wall_ms() if at is None else at, app=app, metric="temperature", value=value
    )


def test_poison_on_the_metrics_topic_stops_nobody(stack: Stack, database: Database) -> None:
    registry = Registry(stack.settings.registry)
    codec = registry.codec()
    good = codec.encode(metric("poisoned", 1.0))
    poison = {
        "not-framed": b"no avro at all",
        "unknown-schema": frame(999_999, good[5:]),
        "malformed": good[:-3],
        "trailing-bytes": good + good[5:],
        "not-finite": codec.encode(metric("poisoned", float("nan"))),
        "time-ahead": codec.encode(metric("poisoned", 1.0, wall_ms() + YEAR_MS)),
        "too-large": bytes(10 * 1_048_576),
    }
    producer = kafka.producer(stack.settings.kafka)
    for number, value in enumerate([good, *poison.values(), good]):
        producer.produce("weir.metrics", value, key=f"poison-{number}")
    assert producer.flush(60) == 0
    letters = eventually(
        database,
        "SELECT error, field, message, length FROM dead_letters FINAL WHERE topic = 'weir.metrics'",
        len(poison),
    )
    assert sorted(letter["error"] for letter in letters) == sorted(poison)
    by_error = {letter["error"]: letter for letter in letters}
    assert by_error["not-finite"]["field"] == "value"
    assert by_error["time-ahead"]["field"] == "event_time"
    assert by_error["too-large"]["length"] == 10 * 1_048_576
    rows = eventually(
        database, "SELECT sum(count) AS n FROM observations FINAL WHERE app = 'poisoned' HAVING n"
    )
    assert rows[0]["n"] == 2
    registry.close()


def test_a_request_for_an_unknown_application_is_answered(stack: Stack, database: Database) -> None:
    with Client(stack.settings) as client:
        answer = client.ask("nobody", tensors({"x": np.zeros(3, np.float32)}), deadline_ms=3_000)
    assert answer.status == "rejected"
    assert "nobody" in (answer.reason or "")
    letters = eventually(
        database, "SELECT field FROM dead_letters FINAL WHERE topic = 'weir.requests'"
    )
    assert letters[0]["field"] == "app"


def test_a_broken_model_file_and_an_unknown_metric_are_told(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no model")
    with Entries(stack.settings) as entries, ExitStack() as things:
        odd = replace(_contract("odd").clauses[0], statistic="median")
        entries.send([_service(broken), _contract("unhappy"), _application()])
        entries.send([replace(_contract("odd"), clauses=(odd,))])
        reader = things.enter_context(entries.follow(InstanceReported))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = list(reader.current().of(InstanceReported).values())
            failed = [i for i in found if i.service == "brittle" and i.health == "failed"]
            if failed:
                break
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
    assert "broken.onnx" in (failed[0].message or "")
    told = eventually(
        database, "SELECT status, clauses FROM standings FINAL WHERE contract = 'unhappy'"
    )
    assert {row["status"] for row in told} == {"unobserved"}, "nobody reports happiness"
    refused = eventually(
        database,
        "SELECT reason FROM actions FINAL WHERE kind = 'contract.refused' AND target = 'odd'",
    )
    assert "clause c: statistic 'median' is unknown" in refused[0]["reason"]
    assert "p95" in refused[0]["reason"], "the known statistics are listed"


def _service(model: Path) -> ServiceRegistered:
    return ServiceRegistered(
        service="brittle",
        service_id="brittle",
        app="fragile",
        stage="only",
        model="brittle",
        image="",
        artifact=f"file://{model}",
        format="onnx",
        cpu_milli=100,
        memory_mib=64,
        accuracy=0.9,
        latency_ms=1.0,
        registered_at=wall_ms(),
        event_id="brittle",
    )


def _contract(name: str) -> ContractRegistered:
    clause = Clause(
        name="c",
        metric="happiness",
        statistic="mean",
        operator=">=",
        threshold=1.0,
        window_ms=1000,
    )
    return ContractRegistered(
        contract=name,
        consumer="",
        app="fragile",
        owner="o",
        clauses=(clause,),
        registered_at=wall_ms(),
        event_id=name,
    )


def _application() -> ApplicationRegistered:
    return ApplicationRegistered(
        app="fragile",
        app_id="fragile",
        run="r",
        user="u",
        owner="o",
        stages=(Stage(stage="only", stage_id="s", services=("brittle",)),),
        registered_at=wall_ms(),
        event_id="fragile",
    )


PLAIN_PRODUCER = """
import sys, time
from confluent_kafka import SerializingProducer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import StringSerializer

bootstrap, registry_url = sys.argv[1:]
registry = SchemaRegistryClient({"url": registry_url})
schema = registry.get_latest_version("weir.metrics-value").schema
producer = SerializingProducer({
    "bootstrap.servers": bootstrap,
    "key.serializer": StringSerializer(),
    "value.serializer": AvroSerializer(registry, schema.schema_str),
})
now = int(time.time() * 1000)
value = {"event_time": now, "app": "greenhouse", "metric": "temperature", "value": 21.5}
producer.produce("weir.metrics", key="greenhouse", value=value)
assert producer.flush(60) == 0
"""


def test_a_plain_avro_producer_needs_only_broker_and_registry(
    stack: Stack, database: Database
) -> None:
    settings = stack.settings
    script = [sys.executable, "-c", PLAIN_PRODUCER, settings.kafka.bootstrap, settings.registry.url]
    done = subprocess.run(script, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = eventually(database, "SELECT value, unit FROM metrics WHERE app = 'greenhouse'")
    assert rows == [{"value": 21.5, "unit": ""}]


def test_produce_tells_line_and_field_and_sends_the_rest(stack: Stack, database: Database) -> None:
    good = {"event_time": wall_ms(), "app": "lines", "metric": "m", "value": 1.0}
    lines = [good, good | {"value": "warm"}, {"app": "lines"}, good | {"value": 2.0}]
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "produce", "weir.metrics"],
        check=False,
        input="\n".join(json.dumps(line) for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment(stack),
    )
    assert done.returncode == 4
    assert "line 2" in done.stderr
    assert "value" in done.stderr
    assert "line 3" in done.stderr
    assert "Traceback" not in done.stderr
    rows = eventually(database, "SELECT value FROM metrics WHERE app = 'lines' ORDER BY value", 2)
    assert [row["value"] for row in rows] == [1.0, 2.0]


def _environment(stack: Stack) -> dict[str, str]:
    import os

    return os.environ | stack.settings.environment()

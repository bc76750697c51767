"""Registration and sending as a user does it, against the servers of a stack without apps."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.observing import MetricReport
from schemas.registrations import ServiceRegistered
from streams.embedded.stack import Stack
from streams.entries import Entries
from tests.commanding import command
from tests.contracts.scenarios.explain import START, drift, inputs
from tests.unit.workers.tiny_models import classifier
from workers.kafka.reading import read_all
from workers.registry import Registry
from workers.settings import Settings

Weir = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = """
owner = "team"
tags = {zone = "hall"}

[[stages]]
stage = "classify"
services = ["mlp"]

[[services]]
service = "mlp"
stage = "classify"
artifact = "%s"
variants = [{name = "cpu-fp32", precision = "fp32", device = "cpu"}]

[[contracts]]
contract = "desk"
[[contracts.clauses]]
name = "right"
metric = "accuracy"
statistic = "mean"
operator = ">="
threshold = 0.9
window_ms = 1000

[[consumers]]
consumer = "desk"
apps = ["digits"]
"""
METRIC = {"event_time": "2026-01-01T00:00:00Z", "app": "a", "metric": "m", "value": 1.5}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(Settings(data_dir=tmp_path_factory.mktemp("stack")), apps=()) as started:
        yield started


@pytest.fixture
def weir(stack: Stack) -> Weir:
    return partial(
        command, environ={"WEIR_DATA_DIR": str(stack.settings.data_dir), "COLUMNS": "200"}
    )


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_application_comes_and_goes(stack: Stack, weir: Weir, tmp_path: Path) -> None:
    model = tmp_path / "mlp.onnx"
    model.write_bytes(b"model")
    file = tmp_path / "app.toml"
    file.write_text(FILE % model)
    probes = tmp_path / "probes"
    register = ("apps", "register", "digits", "--run", "r1", "--file", str(file), "--json")
    first = told(weir(*register, "--output-dir", str(probes)))
    assert sorted(first["changed"]) == ["desk", "desk", "digits", "mlp"]
    assert len(list(probes.iterdir())) == 2
    again = told(weir(*register))
    assert again["changed"] == []
    assert again["instances"] == first["instances"]
    assert told(weir("apps", "get", "digits"))["tags"] == [{"key": "zone", "value": "hall"}]
    assert told(weir("apps", "list", "--json"))[0]["app"] == "digits"
    with Entries(stack.settings) as entries:
        service = entries.of(ServiceRegistered)["mlp"]
    assert (service.artifact, len(service.digest or "")) == (model.as_uri(), 64)
    assert "accuracy.mean >= 0.9" in weir("contracts", "list").stdout
    removed = weir("apps", "remove", "digits")
    assert removed.returncode == 0, removed.stderr
    for noun in ("apps", "services", "contracts"):
        assert told(weir(noun, "list", "--json")) == []
    assert [entry["consumer"] for entry in told(weir("consumers", "list", "--json"))] == ["desk"]
    gone = weir("apps", "remove", "digits")
    assert (gone.returncode, "no application 'digits'" in gone.stderr) == (4, True)


@pytest.mark.faults
def test_a_model_is_published_once_a_version(weir: Weir, tmp_path: Path) -> None:
    model = classifier(tmp_path / "digits.onnx")
    publish = ("models", "publish", "digits", str(model), "--to", str(tmp_path / "store"))
    first = told(weir(*publish, "--version", "1", "--provenance", "data=optdigits", "--json"))
    assert first["changed"]
    assert first["uri"] == (tmp_path / "store" / "digits" / "1.onnx").as_uri()
    assert not told(weir(*publish, "--version", "1", "--provenance", "data=optdigits", "--json"))[
        "changed"
    ]
    (listed,) = told(weir("models", "list", "--json"))
    assert (listed["inputs"], listed["digest"]) == (["x:float32[-1, 3]"], first["digest"])
    classifier(model, 2.0)
    refused = weir(*publish, "--version", "1")
    assert refused.returncode == 4
    assert "version 1 is published with SHA-256" in refused.stderr
    assert told(weir(*publish, "--version", "2", "--json"))["digest"] != first["digest"]
    assert told(weir("models", "get", "digits"))["version"] == "2"
    for arguments, why in (
        (("digits", "nowhere.onnx", "--version", "3"), "nowhere.onnx: No such file"),
        (("digits", "s3://b/k", "--version", "3"), "needs its SHA-256"),
        (("digits", str(model), "--version", "3", "--provenance", "x"), "write name=value"),
    ):
        wrong = weir("models", "publish", *arguments)
        assert (wrong.returncode, why in wrong.stderr) == (4, True), wrong.stderr
    assert told(weir("models", "cached", "--json")) == []
    assert weir("models", "remove", "digits").returncode == 0


def test_nothing_of_a_bad_file_is_registered(weir: Weir, tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text(FILE % "/none.onnx")
    refused = weir("apps", "register", "half", "--file", str(file))
    assert (refused.returncode, refused.stdout) == (4, "")
    assert refused.stderr == "weir: artifact /none.onnx: there is no such file\n"
    assert "half" not in weir("apps", "list").stdout


def test_a_contract_on_an_unknown_metric_needs_its_definition(weir: Weir) -> None:
    promise = ("contracts", "register", "fps", "--app", "a", "--clause", "fps >= 9 over 1s")
    refused = weir(*promise)
    assert refused.returncode == 4
    assert "unknown metric 'fps'; known: latency" in refused.stderr
    definition = {
        "name": "fps",
        "metric": "fps",
        "unit": "1/s",
        "description": "frames",
        "registered_at": 1,
        "event_id": "e",
    }
    sent = weir(
        *("produce", "weir.definitions", "--record", "MetricDefined"), lines=json.dumps(definition)
    )
    assert sent.returncode == 0, sent.stderr
    assert weir(*promise).returncode == 0


def test_only_good_events_are_sent(stack: Stack, weir: Weir) -> None:
    lines = [
        METRIC,
        {"app": "a", "metric": "m", "value": 1},
        METRIC | {"value": float("nan")},
        METRIC | {"event_time": "2100-01-01T00:00:00Z"},
        METRIC | {"valeu": 1},
        METRIC | {"app": ""},
        METRIC | {"metric": "x" * 2_000_000},
        METRIC | {"metric": "second"},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n\nno json\n"
    assert weir("produce", "weir.metrics", "--dry-run", lines=text).returncode == 4
    done = weir("produce", "weir.metrics", lines=text)
    assert done.returncode == 4
    bad = [line.split(":")[0] for line in done.stderr.splitlines()[:-1]]
    assert bad == [f"line {number}" for number in (2, 3, 4, 5, 6, 7, 10)]
    for word in ("event_time", "nan", "clock", "valeu", "app is empty", "2000"):
        assert word in done.stderr
    registry = Registry(stack.settings.registry)
    codec = registry.codec()
    values = [message.value() for message in read_all(stack.settings.kafka, ["weir.metrics"])]
    found = {codec.decode(value, MetricReport).metric for value in values if value is not None}
    assert (len(values), found) == (2, {"m", "second"})
    registry.close()


def test_topics_are_listed_and_there(weir: Weir) -> None:
    found = {row["topic"]: row for row in told(weir("topics", "list", "--json"))}
    assert found["weir.metrics"]["partitions"] == 4
    assert {row["exists"] for row in found.values()} == {"yes"}
    assert weir("topics", "create").stdout == "every topic exists\n"
    assert told(weir("nodes", "list", "--json")) == []


def test_drifts_are_listed_and_shown_out_of_the_log(stack: Stack, weir: Weir) -> None:
    warning = drift("error", START, 1, status="warning", sources=())
    confirmed = drift("error", START, 2, causes=(warning.event_id,), concept="c", events=40)
    shifted = inputs(START, 3)
    explained = replace(
        confirmed,
        event_id="why",
        status="explained",
        cause="covariate",
        retrain=True,
        features=shifted.features,
        causes=(confirmed.event_id, shifted.event_id),
    )
    dismissed = drift("error", START, 4, status="dismissed", app="faces")
    with Entries(stack.settings) as entries:
        entries.send([warning, confirmed, shifted, explained, dismissed])

    rows = {row["drift"]: row for row in told(weir("drifts", "list", "--json"))}
    assert rows.keys() == {shifted.event_id, "why"}
    assert (rows["why"]["cause"], rows["why"]["retrain"]) == ("covariate", True)
    assert len(told(weir("drifts", "list", "--all", "--json"))) == 3
    assert len(told(weir("drifts", "list", "--metric", "inputs", "--json"))) == 1
    assert told(weir("drifts", "list", "--app", "nobody", "--json")) == []
    said = weir("drifts", "show", confirmed.event_id).stdout
    for words in ("sudden drift, explained", "training anew is advised", "image.mean", "warning"):
        assert words in said
    events = told(weir("drifts", "show", "why", "--json"))
    assert [event["status"] for event in events] == ["warning", "confirmed", "explained"]
    gone = weir("drifts", "show", "nix")
    assert (gone.returncode, "no drift 'nix'" in gone.stderr) == (4, True)

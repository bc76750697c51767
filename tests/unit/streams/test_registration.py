"""Registrations: stable ids, nothing accepted that nothing could ever serve, a whole removal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.catalogue import Catalogue, Update
from schemas.decisions import EnsembleSelected, PlacementDecided
from schemas.registrations import (
    ApplicationRegistered,
    ContractRegistered,
    MetricDefined,
    PolicySelected,
    ServiceRegistered,
)
from schemas.topics import home_of, key_of
from streams import probe_files, registration
from streams.artifacts import built, located
from streams.errors import RegistrationError
from streams.forms.contracts import clause
from streams.settings import load
from tests.unit.placement import world
from workers.settings import KafkaSettings, Settings

APP: dict[str, Any] = {
    "app": "digits",
    "run": "r1",
    "user": "me",
    "stages": [
        {"stage": "crop", "services": ["crop"]},
        {"stage": "classify", "services": ["mlp", "knn"], "inputs": ["crop"]},
    ],
}
SERVICE = {"service": "mlp", "app": "digits", "stage": "classify", "artifact": "file:///m.onnx"}
CLAUSE = {
    "name": "c",
    "metric": "accuracy",
    "statistic": "mean",
    "operator": ">=",
    "threshold": 0.9,
    "window_ms": 1000,
}
CONTRACT: dict[str, Any] = {"contract": "desk", "app": "digits", "clauses": [CLAUSE]}
names = st.from_regex(registration.NAME, fullmatch=True)


def catalogue_of(*entries: Event) -> Catalogue:
    return Catalogue().apply(
        Update(home_of(type(entry)).name, 0, place, key_of(entry), entry)
        for place, entry in enumerate(entries)
    )


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_registering_again_changes_nothing_but_the_time(first: int, second: int) -> None:
    for make in (
        lambda now: registration.application(APP, now),
        lambda now: registration.service(SERVICE, "r1", now),
        lambda now: registration.contract(CONTRACT, {}, now),
        lambda now: registration.consumer({"consumer": "c"}, now),
    ):
        assert replace(make(first), registered_at=second) == make(second)


@given(st.lists(st.tuples(names, names), min_size=2, max_size=20, unique=True))
def test_ids_differ_by_application_and_run(found: list[tuple[str, str]]) -> None:
    made = [registration.application({**APP, "app": app, "run": run}, 0) for app, run in found]
    assert len({event.app_id for event in made}) == len(found)
    assert len({event.event_id for event in made}) == len(found)
    stages = [stage.stage_id for event in made for stage in event.stages]
    instances = [i.instance for event in made for i in registration.identities(event, 2)]
    assert len(set(stages)) == len(stages)
    assert len(set(instances)) == len(instances)


def test_a_change_gives_another_event() -> None:
    first = registration.service(SERVICE, "r1", 0)
    second = registration.service({**SERVICE, "memory_mib": 99}, "r1", 0)
    assert first.service_id == second.service_id
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"app": ""}, "app ''"),
        ({"app": "a/b"}, "a/b"),
        ({"app": "-a"}, "-a"),
        ({"app": "a" * 64}, "63"),
        ({"app": None}, "app is needed"),
        ({"shard": 2}, "no field shard"),
        ({"shards": "two"}, "shards must be a whole number"),
        ({"stages": [{"stage": "a"}, {"stage": "a"}]}, "must differ"),
        ({"stages": [{"stage": "a", "inputs": ["b"]}, {"stage": "b"}]}, "put 'b' before 'a'"),
        ({"stages": [{"stage": "a", "inputs": ["a"]}]}, "in a cycle: a -> a"),
        ({"stages": [{"stage": "a", "services": ["x y"]}]}, "x y"),
        ({"stages": [{"services": ["x"]}]}, "stage"),
        ({"stages": 3}, "stages must be a list of tables"),
        ({"stages": ["classify"]}, "stages must be a list of tables"),
    ],
)
def test_applications_that_make_no_sense_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistrationError, match=told):
        registration.application({**APP, **change}, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"accuracy": 90}, "accuracy must be between 0 and 1"),
        ({"memory_mib": 0}, "memory_mib"),
        ({"app": None}, "app is needed"),
        ({"latency_ms": "fast"}, "latency_ms must be a number"),
        ({"latency_ms": float("nan")}, "latency_ms: nan is no finite number"),
        ({"cost": -1}, "cost: -1"),
    ],
)
def test_services_that_make_no_sense_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistrationError, match=told):
        registration.service({**SERVICE, **change}, "r1", 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metric": "acuracy"}, "unknown metric 'acuracy'; known: latency, .*response_latency"),
        ({"statistic": "median"}, "statistic 'median' is unknown; known: mean"),
        ({"operator": "="}, "operator"),
        ({"window_ms": 0}, "window_ms"),
        ({"tolerance": -1}, "tolerance"),
        ({"threshold": float("inf")}, "threshold is inf; it must be a finite number"),
    ],
)
def test_clauses_that_nothing_answers_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistrationError, match=told):
        registration.contract({**CONTRACT, "clauses": [CLAUSE | change]}, {}, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weights": [{"objective": "accuracy", "weight": float("nan")}]}, "nan is no finite"),
        ({"weights": [{"objective": "accuracy", "weight": -1}]}, "-1.0 is no finite"),
        ({"max_members": 0}, "max_members"),
        ({"version": 0}, "version"),
    ],
)
def test_contracts_that_make_no_sense_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistrationError, match=told):
        registration.contract({**CONTRACT, **change}, {}, 0)


def test_declared_metrics_may_be_promised() -> None:
    defined = MetricDefined(
        name="own", metric="fps", unit="1/s", description="", registered_at=0, event_id="e"
    )
    known = registration.metrics_defined(catalogue_of(defined))
    promised = {**CONTRACT, "clauses": [CLAUSE | {"metric": "fps"}]}
    assert registration.contract(promised, known, 0).clauses[0].metric == "fps"
    with pytest.raises(RegistrationError, match="at least one clause"):
        registration.contract({**CONTRACT, "clauses": []}, known, 0)
    with pytest.raises(RegistrationError, match="objective"):
        registration.contract(
            {**CONTRACT, "weights": [{"objective": "speed", "weight": 1}]}, known, 0
        )


def test_the_accuracy_of_a_class_may_be_asked_for_if_the_class_is_named() -> None:
    asked = [{"objective": "accuracy.class.rider", "weight": 1}]
    made = registration.contract({**CONTRACT, "weights": asked}, {}, 0)
    assert made.weights[0].objective == "accuracy.class.rider"
    nameless = [{"objective": "accuracy.class.", "weight": 1}]
    with pytest.raises(RegistrationError, match=r"accuracy\.class\.LABEL"):
        registration.contract({**CONTRACT, "weights": nameless}, {}, 0)


def test_the_accuracy_under_a_condition_may_be_asked_for_if_it_has_name_and_value() -> None:
    under = "accuracy.condition.light=night"
    promised = [CLAUSE | {"metric": under, "threshold": 0.9, "operator": ">="}]
    asked = {**CONTRACT, "clauses": promised, "weights": [{"objective": under, "weight": 1}]}
    made = registration.contract(asked, {}, 0)
    assert (made.weights[0].objective, made.clauses[0].metric) == (under, under)
    for wrong in ("accuracy.condition.", "accuracy.condition.night", "accuracy.condition.=x",
                  "agreement.condition.light=night", "accuracy.condition.light="):  # fmt: skip
        unusable = {**asked, "weights": [{"objective": wrong, "weight": 1}]}
        with pytest.raises(RegistrationError, match=r"accuracy\.condition\.NAME=VALUE"):
            registration.contract(unusable, {}, 0)
    nobody = CLAUSE | {"metric": "accuracy.condition.night"}
    above = CLAUSE | {"metric": under, "threshold": 1.5, "operator": ">="}
    for clause_of, why in ((nobody, "unknown metric 'accuracy.condition"), (above, "no value")):
        with pytest.raises(RegistrationError, match=why):
            registration.contract({**asked, "clauses": [clause_of]}, {}, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "accuracy.condition.light=night-2.p50>=0.9 over 1s",
            (*["accuracy.condition.light=night-2"] * 2, "p50", ">=", 0.9, 1_000),
        ),
        ("accuracy >= 0.9 over 10s", ("accuracy", "accuracy", "mean", ">=", 0.9, 10_000)),
        ("fast: latency.p95<250 over 500 ms", ("fast", "latency", "p95", "<", 250, 500)),
        ("accuracy.class.3 > .5 over 2m", (*["accuracy.class.3"] * 2, "mean", ">", 0.5, 120_000)),
    ],
)
def test_clauses_are_written_as_sentences(text: str, expected: tuple[Any, ...]) -> None:
    assert tuple(clause(text).values()) == expected


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy = 1 over 1s", "a > 1e over 1s", "a>1"])
def test_other_sentences_are_refused(text: str) -> None:
    with pytest.raises(RegistrationError, match="write"):
        clause(text)


def placed(service: str, app: str) -> PlacementDecided:
    return PlacementDecided(
        event_id="p",
        service=service,
        app=app,
        generation=3,
        status="placed",
        replicas=1,
        score=0,
        algorithm="",
        reason="",
        decided_at=0,
    )


SCOPES = (
    "apply/gone",
    "apply/theirs",
    "avoid/mlp/a",
    "avoid/mlp2/a",
    "canary/mlp",
    "installation",
    "place",
    "place/digits",
    "share/mlp",
    "takes/mlp",
    "takes/theirs",
)


def test_a_removal_ends_all_that_belongs_and_nothing_else() -> None:
    other = {"app": "other"}
    ensemble = EnsembleSelected(
        event_id="e",
        app="digits",
        contract="",
        generation=1,
        algorithm="",
        combine="",
        predicted_latency_ms=0,
        predicted_accuracy=0,
        predicted_cost=0,
        score=0,
        gap=0,
        reason="",
        selected_at=0,
    )
    catalogue = catalogue_of(
        registration.application(APP, 0),
        registration.application({**APP, **other}, 0),
        registration.service(SERVICE, "r1", 0),
        registration.service({**SERVICE, **other, "service": "theirs"}, "r1", 0),
        registration.contract(CONTRACT, {}, 0),
        registration.contract({**CONTRACT, **other, "contract": "theirs"}, {}, 0),
        ensemble,
        placed("mlp", "digits"),
        placed("gone", "digits"),
        placed("theirs", "other"),
        *(world.policy(scope, "act") for scope in SCOPES),
    )
    ending = registration.removal("digits", catalogue, 5)
    assert ending.services == ("gone", "mlp")
    assert {(d.service, d.replicas) for d in ending.request.demands} == {("gone", 0), ("mlp", 0)}
    assert ending.tombstones == (
        (EnsembleSelected, "digits"),
        (ContractRegistered, "desk"),
        (PlacementDecided, "gone"),
        (PlacementDecided, "mlp"),
        (ServiceRegistered, "mlp"),
        (PolicySelected, "apply/gone"),
        (PolicySelected, "avoid/mlp/a"),
        (PolicySelected, "canary/mlp"),
        (PolicySelected, "place/digits"),
        (PolicySelected, "share/mlp"),
        (PolicySelected, "takes/mlp"),
        (ApplicationRegistered, "digits"),
    )
    with pytest.raises(RegistrationError, match="no application 'nobody'; registered: digits"):
        registration.removal("nobody", catalogue, 5)


def test_probe_files_are_settings_that_a_process_reads(tmp_path: Path) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap="broker:1"))
    identities = registration.identities(registration.application(APP, 0), 2)
    written = probe_files.write(tmp_path, identities, settings)
    assert len(written) == 2 * len(identities) == 12
    tables = [path for path in written if path.suffix == ".toml"]
    for table, identity in zip(tables, identities, strict=True):
        lines = table.with_suffix(".env").read_text().splitlines()
        variables = dict(line.split("=", 1) for line in lines)
        for read in (load(table, {}), load(environ=variables)):
            assert read.identity == identity
            assert read.kafka.bootstrap == "broker:1"


def test_a_stage_without_services_reports_for_itself(tmp_path: Path) -> None:
    bare = registration.application({"app": "a", "user": "u"}, 0)
    assert [i.app for i in registration.identities(bare, 3)] == ["a"]
    staged = registration.application({"app": "a", "stages": [{"stage": "s"}]}, 0)
    written = probe_files.write(tmp_path, registration.identities(staged, 1), Settings())
    assert [path.name for path in written] == ["a-s.toml", "a-s.env"]


def test_options_of_all_runtimes_are_looked_at() -> None:
    plain = {"service": "s", "app": "a", "stage": "t", "artifact": ""}
    for value, why in (("-1", "greater than 0"), ("nan", "less than"), ("soon", "number")):
        entry = {"key": "runtime.deadline_ms", "value": value}
        with pytest.raises(
            RegistrationError, match=rf"service s: option runtime\.deadline_ms.*{why}"
        ):
            registration.service(plain | {"environment": [entry]}, "r", 0)


def test_artifacts_are_looked_at(tmp_path: Path) -> None:
    model = tmp_path / "a model.onnx"
    model.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    uri, found = located(str(model), None)
    assert (uri, found) == (model.as_uri(), digest)
    assert located(uri, digest.upper()) == (uri, digest)
    assert located("s3://b/m", digest.upper()) == ("s3://b/m", digest)
    carried = f"s3://b/m#sha256={digest}"
    assert located(carried, None) == (carried, digest)
    served = {"service": "s", "app": "a", "stage": "t", "artifact": "http://h/v2/models/m"}
    assert built(served | {"format": "open-inference"}, "r").digest is None
    with pytest.raises(RegistrationError, match="digest 5 is no text"):
        built(served | {"artifact": uri, "digest": 5}, "r")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for artifact, stated, told in (
        (str(tmp_path / "none"), None, "no such file"),
        (str(empty), None, "empty"),
        ("x" * 5_000, None, "File name too long"),
        (uri, "00", "not 00"),
        ("s3://b/m", None, "--digest"),
        ("s3://b/m", "00", "64 hexadecimal digits"),
        ("http://[", None, "IPv6"),
    ):
        with pytest.raises(RegistrationError, match=told):
            located(artifact, stated)

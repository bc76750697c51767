"""From a request to its answer: client, route on the batch host, worker processes, probe."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from processors.routing import route
from schemas.checks import INLINE_BYTES
from schemas.decisions import ClauseUnmet, DeadLetter, EnsembleMember
from schemas.errors import DecodeError, InvalidEvent
from schemas.graphs import Condition, Split, Stage
from schemas.inference import GroundTruth, InferenceRequest, InferenceResponse
from schemas.observing import MetricReport
from schemas.registrations import Clause, ContractRegistered, ErasureRequested
from schemas.topics import Topic
from streams.embedded.broker import Broker
from tests.commanding import command
from tests.embedded.answering import (
    Caller,
    Told,
    application,
    binary,
    certificate,
    ensemble,
    gateway,
    serve_shapes,
)
from tests.embedded.conftest import Server
from tests.embedded.worker_world import Surroundings, now, placement, service, until
from tests.unit.workers.tiny_models import of_repeated, repeated
from workers.awaiting import NoAnswer
from workers.client import Client, tensors
from workers.gateway import leftovers
from workers.hosting.host import BatchHost
from workers.kafka import clients as kafka
from workers.kafka.reading import read_all
from workers.payloads.store import store_of
from workers.probe import NoIdentity, Probe
from workers.settings import Identity, RegistrySettings

INFER = "/v1/apps/shapes/infer"
IMAGE = tensors({"x": np.array([0, 5, 0], np.float32)})


@pytest.fixture(scope="module")
def world(
    broker: Broker, registry: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Surroundings]:
    made = Surroundings(
        broker.bootstrap,
        f"http://127.0.0.1:{registry.port}",
        tmp_path_factory.mktemp("answers"),
    )
    serve_shapes(made, tmp_path_factory.mktemp("models"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def router(world: Surroundings) -> Iterator[BatchHost]:
    host = BatchHost(route.spec(), world.settings, codec=world.codec)
    stop = threading.Event()
    thread = threading.Thread(target=host.run, args=(stop,))
    thread.start()
    until(lambda: host.ready)
    yield host
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def _request(number: int, deadline_ms: int = 20_000) -> InferenceRequest:
    return InferenceRequest(
        request_id=f"q{number}",
        app="shapes",
        created_at=now(),
        deadline=now() + deadline_ms,
        inputs=IMAGE,
    )


@pytest.mark.usefixtures("router")
def test_a_request_is_answered_by_the_ensemble(world: Surroundings) -> None:
    with Client(world.settings) as client:
        answer = client.ask("shapes", IMAGE, deadline_ms=20_000)
        assert (answer.label, answer.status, answer.confidence) == ("1", "complete", 1.0)
        assert [member.status for member in answer.members] == ["ok", "ok"]
        assert all(client.ask("shapes", IMAGE).deadline_met for _ in range(20))
        unknown = client.ask("nobody", IMAGE)
        assert unknown.status == "rejected"
        with pytest.raises(InvalidEvent, match="at least one input"):
            client.ask("shapes", ())
        once = {"consumer": "kim", "idempotency_key": "once", "deadline_ms": 20_000}
        first = client.ask("shapes", IMAGE, **once)
        again = asyncio.run(client.asking("shapes", IMAGE, **once))
        assert again == first, "a repeat by key is the same request, whoever asks how"
        client.label("shapes", answer.request_id, "1")
        assert client.flush()
        assert client.acknowledged == 25
    labels = [world.codec.decode(m.value() or b"", GroundTruth) for m in _all(world, "weir.labels")]
    assert [label.label for label in labels] == ["1"]


@pytest.mark.usefixtures("router")
def test_a_graph_is_walked_stage_by_stage(world: Surroundings) -> None:
    first = Stage(
        stage="quick", stage_id="1", services=("sharp", "soft"), kind="cascade", escalate_below=0.1
    )
    second = Stage(
        stage="sure",
        stage_id="2",
        services=("soft",),
        kind="split",
        splits=(Split(service="soft", weight=1.0),),
        conditions=(Condition(stage="quick", on="label", operator="in", labels=("1",)),),
    )
    world.send(replace(application(), app="graph", event_id="graph", stages=(first, second)))
    with Client(world.settings) as client:
        until(lambda: client.ask("graph", IMAGE).status == "complete")
        request = replace(_request(900), app="graph", explain=True)
        answer = client.submit(request).result(10)
    assert [(s.stage, s.status) for s in answer.stages] == [
        ("quick", "answered"),
        ("sure", "answered"),
    ]
    assert [(m.stage, m.service) for m in answer.members] == [("quick", "sharp"), ("sure", "soft")]
    assert "stage sure answered" in (answer.explanation or "")


@pytest.mark.usefixtures("router")
def test_what_a_stage_prepares_is_stored_once_and_read_by_every_member(
    world: Surroundings, tmp_path: Path
) -> None:
    readers = ("left", "right")
    files = {name: of_repeated(tmp_path / f"{name}.onnx", 10_000) for name in readers}
    files["prepare"] = repeated(tmp_path / "prepare.onnx", 10_000)
    world.send(*(service(name, path) for name, path in files.items()))
    world.send(*(placement(name, "two", generation=9) for name in files))
    until(lambda: all(world.health(f"{n}.two", "two-1") == "ready" for n in files))
    first = Stage(stage="prepare", stage_id="1", services=("prepare",), kind="preprocess")
    second = Stage(
        stage="judge", stage_id="2", services=readers, kind="ensemble", inputs=("prepare",)
    )
    wide = replace(application(), app="wide", event_id="wide", stages=(first, second))
    alone = replace(wide, app="alone", event_id="alone", stages=(first,))
    members = tuple(
        EnsembleMember(service=name, weight=1.0, role="member", stage="judge") for name in readers
    )
    world.send(wide, alone, replace(ensemble(), app="wide", event_id="e3", members=members))
    asked, store = {"inputs": {"x": [0, 5.0, 0]}}, store_of(world.settings)
    with gateway(world.settings, deadline_ms=20_000) as call:
        until(lambda: call("POST", INFER.replace("shapes", "wide"), asked).status == 200)
        told = call("POST", INFER.replace("shapes", "wide"), asked).plain
        assert (told["label"], told["status"], told["agreement"]) == ("1", "complete", 1.0)
        assert [one["service"] for one in told["members"]] == ["prepare", *readers]
        (kept,) = store.kept()
        assert kept.size == 120_000, "one for all of them, however often it is asked"
        until(lambda: call("POST", INFER.replace("shapes", "alone"), asked).status == 200)
        (given,) = call("POST", INFER.replace("shapes", "alone"), asked).plain["outputs"].values()
        assert given["data"] == [0, 5.0, 0] * 10_000, "who calls gets the bytes"
        body, header = binary("x", np.array([0, 0, 5], np.float32))
        whole = call("POST", "/v2/models/alone/infer", body, kind="", **header)
        outputs = {one["name"]: one["data"] for one in whole.plain["outputs"]}
        assert outputs["wide"] == [0, 0, 5.0] * 10_000
    for one in store.kept():
        (store.root / one.digest[:2] / one.digest).unlink()


@pytest.mark.usefixtures("router")
def test_a_contract_that_no_ensemble_keeps_is_told_with_the_answer(world: Surroundings) -> None:
    clause = Clause(
        name="sure",
        metric="confidence",
        statistic="mean",
        operator=">=",
        threshold=1.5,
        window_ms=1_000,
    )
    strict = ContractRegistered(
        contract="strict",
        consumer="",
        app="strict",
        owner="o",
        clauses=(clause,),
        registered_at=now(),
        event_id="strict",
    )
    short = ClauseUnmet(clause="sure", threshold=1.5, predicted=0.75)
    chosen = replace(ensemble(), app="strict", contract="strict", event_id="e2", unmet=(short,))
    world.send(replace(application(), app="strict", event_id="a2"), strict, chosen)
    with Client(world.settings) as client:
        asked = replace(_request(3_000), app="strict", contract="strict")
        until(lambda: client.ask("strict", IMAGE, deadline_ms=2_000).status == "complete")
        until(lambda: client.ask("strict", IMAGE, contract="strict").clauses)
        answer = client.submit(asked).result(10)
    assert (answer.label, answer.status) == ("1", "complete"), "it is answered all the same"
    told = "no ensemble is known to keep sure (0.75 expected where 1.5 is the bound)"
    assert told in (answer.explanation or "")
    (held,) = answer.clauses
    assert (held.clause, held.held, held.observed, held.threshold) == ("sure", False, 1.0, 1.5)


@pytest.mark.usefixtures("router")
def test_a_request_that_is_too_large_is_a_dead_letter_and_stops_nobody(world: Surroundings) -> None:
    fat = replace(IMAGE[0], shape=(INLINE_BYTES // 4 + 1,), data=bytes(INLINE_BYTES + 4))
    many = tuple(replace(fat, name=f"x{number}") for number in range(16))
    producer = kafka.producer(world.settings.kafka, message_max_bytes=4_000_000)
    for key, inputs in (("fat", (fat,)), ("many", many), ("good", IMAGE)):
        asked = replace(_request(0), request_id=key, inputs=inputs)
        producer.produce("weir.requests", world.codec.encode(asked), key="large", partition=0)
    assert producer.flush(60) == 0

    def letters() -> dict[str, DeadLetter]:
        found = _all(world, "weir.deadletters")
        events = [world.codec.decode(message.value() or b"", DeadLetter) for message in found]
        return {one.error: one for one in events if one.key == b"large"}

    until(lambda: len(letters()) == 2)
    assert letters()["tensor"].field == "inputs.x"
    assert "above 65536 use a reference" in letters()["tensor"].message
    assert letters()["too-large"].length > 16 * INLINE_BYTES
    until(lambda: b"good" in [message.key() for message in _all(world, "weir.responses")])


@pytest.mark.usefixtures("router")
def test_a_killed_worker_costs_no_answer(world: Surroundings) -> None:
    with Client(world.settings) as client:
        futures = []
        for number in range(150):
            futures.append(client.submit(_request(number)))
            if number == 60:
                world.processes[0].kill()
                world.processes[0].wait()
            time.sleep(0.005)
        again = client.submit(_request(3))
        answers = [future.result(60) for future in futures]
    assert [answer.status for answer in answers].count("complete") == 150
    assert again.result().event_id == answers[3].event_id


def test_a_client_says_when_nobody_answers(world: Surroundings) -> None:
    with Client(world.settings) as client:
        future = client.submit(_request(1_000, deadline_ms=100))
    with pytest.raises(NoAnswer):
        future.result(1)


def test_a_probe_reports_metrics_and_itself(world: Surroundings) -> None:
    identity = Identity(app="shapes", service="camera", instance="camera-1", run="r7")
    settings = world.settings.model_copy(update={"identity": identity})
    with Probe(settings, tags=("dark",), metadata={"lens": "wide"}) as probe:
        probe.report("brightness", 0.5, unit="1")
        probe.report("brightness", float("nan"))
        probe.report("brightness", "very")  # type: ignore[arg-type]  # a mistake of the caller
        probe.report("bri\udcffghtness", 1.0, event_time=now())

        @probe.timer("capture")
        def capture() -> None:
            time.sleep(0.01)

        capture()
        until(lambda: "camera-1" in world.instances())
    assert (probe.sent, probe.dropped, probe.refused) == (3, 0, 2)
    metrics = [world.codec.decode(m.value() or b"", MetricReport) for m in _all(world)]
    found = {m.metric: m for m in metrics if m.service == "camera"}
    assert set(found) == {"brightness", "bri?ghtness", "capture", "probe.refused"}
    assert sum(m.value for m in metrics if m.metric == "probe.refused") == 2
    assert found["capture"].value >= 10
    assert (found["capture"].unit, found["capture"].instance) == ("ms", "camera-1")
    until(lambda: world.instances()["camera-1"].health == "stopped")
    reported = world.instances()["camera-1"]
    assert (reported.role, reported.tags, reported.run) == ("probe", ("dark",), "r7")
    assert reported.metadata[0].value == "wide"


def test_a_probe_never_blocks_its_caller(world: Surroundings) -> None:
    with pytest.raises(NoIdentity):
        Probe(world.settings)
    nowhere = world.settings.model_copy(
        update={
            "identity": Identity(app="shapes"),
            "registry": RegistrySettings(url="http://127.0.0.1:9"),
        }
    )
    probe = Probe(nowhere)
    began = time.monotonic()
    for _ in range(10_500):
        probe.report("x", 1.0)
    assert time.monotonic() - began < 2
    assert probe.dropped >= 499
    assert probe.sent == 0
    probe.close(timeout_s=0.1)


def _reply_topics(world: Surroundings, **written: int) -> dict[str, str]:
    """Make topics as gateways have them for answers, last written to at these instants (ms)."""
    names = {name: f"{leftovers.PREFIX}{name}" for name in written}
    made = [Topic(name, (InferenceResponse,), ("request_id",)) for name in names.values()]
    kafka.create_topics(world.settings.kafka, made)
    producer = kafka.producer(world.settings.kafka)
    for name, at in written.items():
        producer.produce(names[name], None, partition=0, timestamp=at)
    assert producer.flush(60) == 0
    return names


def _all(world: Surroundings, topic: str = "weir.metrics") -> Iterator[kafka.RawMessage]:
    yield from read_all(world.settings.kafka, [topic])


@pytest.mark.usefixtures("router")
def test_a_reply_topic_that_does_not_exist_costs_nobody(world: Surroundings) -> None:
    replies = Topic("replies-of-mine", (InferenceResponse,), ("request_id",))
    kafka.create_topics(world.settings.kafka, [replies])
    wishes = [
        {"reply_to_topic": "nobody-made-this"},
        {"reply_to_topic": replies.name, "reply_to_partition": 99},
        {"reply_to_topic": replies.name, "reply_to_partition": 0},
    ]
    with Client(world.settings) as client:
        for number, wish in enumerate(wishes, 2_000):
            asked = replace(_request(number), **wish)  # type: ignore[arg-type]
            assert client.submit(asked).result(10).status == "complete"
        until(lambda: [m.key() for m in _all(world, replies.name)] == [b"q2002"])
        enough = time.monotonic() + 2
        while time.monotonic() < enough:
            assert client.ask("shapes", IMAGE, deadline_ms=20_000).status == "complete"


@pytest.mark.usefixtures("router")
def test_a_call_over_http_is_answered_by_the_ensemble(world: Surroundings) -> None:
    asked = {"inputs": {"x": [0, 5.0, 0]}}
    left = _reply_topics(world, gone=now() - leftovers.STALE_MS - 60_000, lives=now())
    with gateway(world.settings, admin_token=SecretStr("boss")) as call:
        until(lambda: left["gone"] not in kafka.partition_counts(world.settings.kafka))
        assert left["lives"] in kafka.partition_counts(world.settings.kafka)
        assert call("GET", "/v2/health/ready").plain == {"ready": True}
        assert call("GET", "/metrics").status == 401
        counted = call("GET", "/metrics", Authorization="Bearer boss").body
        assert b"weir_gateway_calls_total" in counted
        told = call("POST", INFER, asked, Weir_Explain="1", Weir_Deadline_Ms="5000")
        assert (told.status, told.plain["label"], told.plain["status"]) == (200, "1", "complete")
        assert [member["status"] for member in told.plain["members"]] == ["ok", "ok"]

        body, header = binary("x", np.array([0, 0, 5], np.float32))
        kind = "application/octet-stream"
        told = call("POST", "/v2/models/shapes/infer", body, kind=kind, **header)
        outputs = {one["name"]: one["data"] for one in told.plain["outputs"]}
        assert (told.status, outputs["label"]) == (200, ["2"])

        later = call("POST", INFER, asked, Prefer="respond-async", Idempotency_Key="k")
        assert later.status == 202
        again = call("GET", f"{later.headers['Location']}?wait_s=10")
        assert (again.status, again.plain["label"]) == (200, "1")
        repeated = call("POST", INFER, asked, Idempotency_Key="k")
        assert repeated.plain["request_id"] == later.plain["request_id"]
        other = {"inputs": {"x": [1, 5.0, 0]}}
        assert call("POST", INFER, other, Idempotency_Key="k").status == 422

        assert call("GET", "/v2/models/shapes/ready").plain["ready"] is True
        wrong = call("POST", "/v1/apps/nobody/infer", asked)
        assert (wrong.status, sorted(wrong.plain)) == (404, ["error", "remedy", "what", "where"])
        short = call("POST", INFER, {"inputs": {"x": [1.0]}})
        assert (short.status, "shape" in short.plain["what"]) == (422, True)


@pytest.mark.usefixtures("router")
def test_a_large_input_reaches_every_member_by_reference(world: Surroundings) -> None:
    large = tensors({"x": np.zeros((100, 200), np.float32)})
    with Client(world.settings, replies="replies-of-large", resend_ms=500) as client:
        answer = client.ask("shapes", large, deadline_ms=20_000, user="ann")
        told = [member.reason for member in answer.members]
        assert all("has shape 100x200" in why for why in told), "it was read, and does not fit"
        store = store_of(world.settings)
        (kept,) = store.kept()
        assert kept.size == 80_000
        stored = replace(
            large[0], data=None, reference=f"payload:{kept.digest}", digest=kept.digest
        )
        assert store.erase("ann", time.time() + 1) == 1
        answer = client.ask("shapes", (stored,), deadline_ms=20_000)
        assert all("is not in" in member.reason for member in answer.members)
        many = [
            replace(IMAGE[0], name=f"x{n}", shape=(15_000,), data=bytes(60_000)) for n in range(20)
        ]
        with pytest.raises(DecodeError, match="takes at most 1048576"):
            client.ask("shapes", many)
        inline = asyncio.run(client.asking("shapes", IMAGE, deadline_ms=20_000))
        assert inline.status == "complete"
        assert client.waiting == 0
    assert "replies-of-large" not in kafka.partition_counts(world.settings.kafka)


@pytest.mark.usefixtures("router")
def test_the_catalogue_is_changed_over_http(world: Surroundings) -> None:
    boss = {"Authorization": "Bearer boss"}
    asked = {"inputs": {"x": [0, 5.0, 0]}}
    with gateway(world.settings, admin_token=SecretStr("boss"), deadline_ms=20_000) as call:
        assert call("GET", "/v1/consumers").status == 401
        made = call("POST", "/v1/consumers", {"consumer": "desk", "apps": ["shapes"]}, **boss)
        assert (made.status, made.plain["changed"]) == (201, True)
        again = call("POST", "/v1/consumers", {"consumer": "desk", "apps": ["shapes"]}, **boss)
        assert (again.status, again.plain["event_id"]) == (200, made.plain["event_id"])
        token = call("POST", "/v1/consumers/desk/token", **boss).plain["token"]
        known = call("GET", "/v1/consumers/desk", **boss).plain
        assert (known["has_token"], "token_sha256" in known) == (True, False)

        until(lambda: call("POST", INFER, asked, Weir_Consumer="desk").status == 401)
        by_token = {"Authorization": f"bearer {token}"}
        told = call("POST", INFER, asked, **by_token)
        assert (told.status, told.plain["consumer"]) == (200, "desk")
        limited = {"consumer": "desk", "apps": ["shapes"], "rate_per_s": 0.1, "burst": 1}
        assert call("POST", "/v1/consumers", limited, **boss).status == 201
        until(lambda: call("POST", INFER, asked, **by_token).status == 429)
        assert int(call("POST", INFER, asked, **by_token).headers["Retry-After"]) > 1

        clause = {"contract": "c", "app": "shapes", "clauses": ["nothing >= 1 over 10s"]}
        refused = call("POST", "/v1/contracts", clause, **boss)
        assert (refused.status, "unknown metric" in refused.plain["what"]) == (422, True)
        assert call("POST", "/v1/placements/pause", {"reason": "\ud800"}, **boss).status == 422
        paused = call("POST", "/v1/placements/pause", {"reason": "test"}, **boss)
        assert (paused.plain["changed"], len(paused.plain["event_id"])) == (True, 32)
        assert call("POST", "/v1/placements/resume", **boss).plain["on"] is False
        for_o = boss | {"Weir_User": "o"}
        pinned = call("POST", "/v1/ensembles/shapes/pin", {"services": ["soft"]}, **for_o)
        assert (pinned.status, len(pinned.plain["event_id"])) == (200, 32)
        assert call("POST", "/v1/ensembles/shapes/pin", {"services": "soft"}, **for_o).status == 422
        assert call("POST", "/v1/ensembles/shapes/unpin", {}, **for_o).status == 200
        owner = call("POST", "/v1/apps/shapes/pause", **boss)
        assert (owner.status, "belongs to o" in owner.plain["what"]) == (422, True)
        gone = call("DELETE", "/v1/consumers/desk", **boss)
        assert (gone.status, len(gone.plain["event_id"])) == (200, 32)
        assert call("GET", "/v1/consumers/desk", **boss).status == 404

        paths = call("GET", "/openapi.json").plain["paths"]
        assert {"/v1/apps", "/v1/placements/pause", INFER.replace("shapes", "{app}")} <= set(paths)
        assert b"/openapi.json" in call("GET", "/docs").body


@pytest.mark.usefixtures("router")
def test_what_is_under_way_is_answered_over_tls_before_a_gateway_ends(
    world: Surroundings, tmp_path: Path
) -> None:
    world.send(replace(application(), app="idle", event_id="idle"))
    told: list[Told] = []

    def ask(call: Caller) -> None:
        headers = {"Weir_Deadline_Ms": "1500", "Connection": "close"}
        told.append(call("POST", "/v1/apps/idle/infer", {"inputs": {"x": [0]}}, **headers))

    with gateway(world.settings, **certificate(tmp_path)) as call:
        assert call.address.startswith("https://")
        until(lambda: call("GET", "/v2/models/idle/ready").status == 503)
        asking = threading.Thread(target=ask, args=(call,))
        asking.start()
        until(lambda: b"requests_under_way 1.0" in generate_latest())
    asking.join(60)
    assert [answer.status for answer in told] == [503]
    assert "no ensemble" in told[0].plain["what"]


@pytest.mark.usefixtures("router")
def test_one_request_is_asked_from_the_command_line(world: Surroundings, tmp_path: Path) -> None:
    environ = world.settings.environment()
    np.save(tmp_path / "image.npy", np.array([0, 0, 5], np.float32))
    wishes = ("--deadline", "5000", "--key", "once", "--explain")
    told = command("infer", "shapes", str(tmp_path / "image.npy"), *wishes, environ=environ)
    assert (told.returncode, told.stdout.splitlines()[0][:17]) == (0, "2, confidence 1.0")
    assert "sharp" in told.stdout
    under = ("--condition", "light=night", "--condition", "camera=3")
    again = command("infer", "shapes", "[0, 0, 5]", *wishes, *under, "--json", environ=environ)
    answered = json.loads(again.stdout)
    assert (answered["label"], answered["conditions"]) == ("2", [])
    other = ("--deadline", "5000", "--json")
    night = command("infer", "shapes", "[0, 0, 5]", *other, *under, environ=environ)
    assert json.loads(night.stdout)["conditions"] == ["camera=3", "light=night"]
    bare = command("infer", "shapes", "[0, 0, 5]", "--condition", "night", environ=environ)
    assert (bare.returncode, "needs a name and a value" in bare.stderr) == (4, True)
    wrong = command("infer", "shapes", "x=[1]", "--deadline", "5000", environ=environ)
    assert (wrong.returncode, "has shape 1" in wrong.stdout) == (4, True)
    nobody = command("infer", "nobody", "[1]", environ=environ)
    assert (nobody.returncode, "no application 'nobody'" in nobody.stderr) == (4, True)
    asked = command("erase", "ann", "--reason", "she asked", "--json", environ=environ)
    assert asked.returncode == 0
    (sent,) = (message.value() for message in _all(world, "weir.erasures"))
    erasure = world.codec.decode(sent or b"", ErasureRequested)
    assert (erasure.user, erasure.event_id) == ("ann", json.loads(asked.stdout)["event_id"])

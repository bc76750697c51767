"""A probe as its caller uses it, threads included; Kafka is played by a fake."""

import math
import threading
import time

import pytest

from processors.deriving import derive
from schemas.inference import GroundTruth, InferenceResult, InputSummary
from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from schemas.topics import topic_of
from tests.unit.workers.probe_world import FakeProducer, probe, until
from workers.local import LocalHost, LocalLog
from workers.probe import Probe
from workers.probing.link import to_kafka
from workers.probing.results import Answer
from workers.probing.sampling import Sampling
from workers.settings import Identity, KafkaSettings, RegistrySettings, Settings


def test_measurements_become_events_of_who_reports_them() -> None:
    producer = FakeProducer()
    before = time.time_ns() // 1_000_000
    with probe(producer) as made:
        made.report("brightness", 0.5, unit="1", request_id="r1")
        made.report("brightness", True, event_time=77)
    first, second = producer.events(MetricReport)
    assert (first.app, first.stage, first.service, first.instance, first.node) == (
        "shop", "till", "camera", "camera-1", "n1",
    )  # fmt: skip
    assert (first.metric, first.value, first.unit, first.request_id) == (
        "brightness",
        0.5,
        "1",
        "r1",
    )
    assert before <= first.event_time <= before + 10_000
    assert (second.event_time, second.value, second.request_id) == (77, 1.0, None)


def test_mistakes_of_a_caller_are_counted_and_told() -> None:
    producer = FakeProducer()
    made = probe(producer)
    for value in (math.nan, math.inf, "very", None, 10**400, Several()):
        made.report("x", value)  # type: ignore[arg-type]  # what callers do
    made.report("", 1.0)
    made.report("x", 1.0, event_time=-1)
    made.report("x", 1.0, event_time="soon")  # type: ignore[arg-type]  # what callers do
    made.report(Nameless(), 1.0)  # type: ignore[arg-type]  # what callers do
    made.report_whole("x", math.nan)
    made.report_whole("x", "very")  # type: ignore[arg-type]  # what callers do
    until(lambda: made.refused == 12)
    made.report("x", 1.0)
    made.close()
    assert made.dropped == 0
    assert sum(producer.metrics()["probe.refused"]) == 12.0
    assert producer.metrics()["x"] == [1.0]


def test_what_makes_no_sense_is_not_counted_among_what_was_sampled() -> None:
    producer = FakeProducer()
    with probe(producer, Sampling(rate=0.5, seed=1)) as made:
        for value in (1.0, math.nan, math.inf, 2.0):
            made.report("x", value)
        made.report("x", 3.0, event_time=-1)
        made.report(Nameless(), 1.0)  # type: ignore[arg-type]  # what callers do
    assert made.refused == 4
    assert sum(producer.metrics()["x.seen"]) == 2.0
    assert sum(producer.metrics()["probe.refused"]) == 4.0


class Nameless:
    """A name that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("no name")


class Several:
    """Refuses to be one number as a tensor of several does."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


@pytest.mark.parametrize("given", [7, 0, "r\udcff"])
def test_answer_and_truth_meet_whatever_the_caller_calls_the_request(given: str) -> None:
    producer = FakeProducer()
    with probe(producer, Sampling(rate=0.5, requests=0.999999, seed=1)) as made:
        chosen = made.report_inference(label="a", request_id=given)
        made.report_truth(given, "a")
        made.report("m\udcff", 1.0)
        with made.inference(given) as call:
            call.answer = Answer(label="b")
    (answer, again), (truth,) = producer.events(InferenceResult), producer.events(GroundTruth)
    assert answer.request_id == again.request_id == truth.request_id == chosen
    assert made.refused == 0


def test_a_caller_goes_on_while_everything_is_away() -> None:
    producer = FakeProducer(away=True, room=5)
    made = probe(producer, buffer=50)
    for number in range(200):
        made.report("x", float(number))
        with made.timer("t"):
            pass
        made.report_truth("r", "cat")
    until(lambda: len(producer.under_way) == 5)
    assert made.dropped >= 600 - 50 - 5
    producer.away, producer.room = False, 10_000
    until(lambda: "probe.dropped" in producer.metrics())
    made.close()
    known = made.sent + made.dropped + made.refused
    assert known == 600
    assert producer.metrics()["probe.dropped"] == [made.dropped]


def test_gauges_and_counters_are_told_whole_whatever_the_sampling() -> None:
    producer = FakeProducer()
    made = probe(producer, Sampling(rate=0.001, seed=1))
    made.gauge("depth", lambda: 4.0, unit="1", every_s=0.02)
    frames = made.counter("frames", every_s=3600.0)
    for _ in range(7):
        frames.add()
        made.report("sampled", 1.0)
    until(lambda: len(producer.metrics().get("depth", [])) >= 3)
    made.close()
    found = producer.metrics()
    assert found["frames"] == [7.0]
    assert found["sampled.seen"] == [7.0]
    assert "depth.seen" not in found


def test_answers_of_any_model_become_series() -> None:
    producer = FakeProducer()
    with probe(producer) as made:
        chosen = made.report_inference(
            label="cat", confidence=0.75, execution_ms=12.0, queue_ms=3.0, request_id="r1"
        )
        made.report_truth(chosen, "cat")
        other = made.report_inference(label="cat")
        made.report_truth(other, "dog", source="desk", known_at=5)
    assert chosen == "r1"
    assert other != chosen
    log = LocalLog()
    results = producer.events(InferenceResult)
    events = (*results, *producer.events(GroundTruth))
    log.produce(*events, timestamp=results[0].finished_at)
    LocalHost([derive.spec()], log).run_until_idle(results[0].finished_at + 1)
    metrics = log.events("weir.metrics")
    found = {
        (event.metric, event.request_id == "r1"): event.value
        for event in metrics
        if isinstance(event, MetricReport)
    }
    assert (found["latency", True], found["queue", True]) == (15.0, 3.0)
    assert (found["confidence", True], found["failure", True]) == (0.75, 0.0)
    assert (found["accuracy", True], found["accuracy.class.cat", True]) == (1.0, 1.0)
    assert (found["accuracy", False], found["accuracy.class.dog", False]) == (0.0, 0.0)


def test_a_repeated_answer_is_the_same_event() -> None:
    producer = FakeProducer()
    with probe(producer) as made:
        for label in ("cat", "dog"):
            made.report_inference(label=label, request_id="r1")
        made.report_inference(label="cat", request_id="r2")
    first, again, other = producer.events(InferenceResult)
    assert first.event_id == again.event_id != other.event_id
    assert (first.service, first.instance, first.node) == ("camera", "camera-1", "n1")
    assert (first.status, first.runtime) == ("ok", "external")


SEEN = InputSummary(name="image", mean=0.5, std=0.1, low=0.0, high=1.0, missing=0.0)


def test_a_block_times_a_model_and_tells_its_failure() -> None:
    producer = FakeProducer()
    with probe(producer) as made:
        with made.inference("r1") as call:
            threading.Event().wait(0.01)
            call.answer = Answer(
                label="cat", confidence=0.5, scores=(0.5, 0.5), queue_ms=2.0, input_summary=(SEEN,)
            )
        with pytest.raises(ZeroDivisionError), made.inference() as failing:
            raise ZeroDivisionError("no")
    good, bad = producer.events(InferenceResult)
    assert (good.request_id, good.label, good.scores, good.status) == (
        "r1",
        "cat",
        (0.5, 0.5),
        "ok",
    )
    assert good.input_summary == (SEEN,)
    assert good.execution_ms >= 10
    assert good.finished_at - good.received_at == round(good.execution_ms + 2.0)
    assert (bad.request_id, bad.status) == (failing.request_id, "failed")
    assert bad.reason == "ZeroDivisionError('no')"


def test_answers_that_make_no_sense_are_refused() -> None:
    producer = FakeProducer()
    made = probe(producer)
    made.report_answer("r", Answer(confidence="high"))  # type: ignore[arg-type]  # what callers do
    made.report_answer("r", Answer(batch_size="two"))  # type: ignore[arg-type]  # what callers do
    made.report_answer("r", Answer(confidence=Several()))  # type: ignore[arg-type]  # as above
    until(lambda: made.refused == 3)
    assert made.reached
    made.close()
    assert not made.reached
    assert producer.events(InferenceResult) == []


def test_sampled_requests_keep_answer_and_truth_together() -> None:
    producer = FakeProducer()
    with probe(producer, Sampling(requests=0.3)) as made:
        for number in range(200):
            made.report_truth(made.report_inference(label="a", request_id=f"r{number}"), "a")
    answered = {event.request_id for event in producer.events(InferenceResult)}
    assert answered == {event.request_id for event in producer.events(GroundTruth)}
    assert 30 < len(answered) < 90
    assert sum(producer.metrics()["inference.seen"]) == 400


def test_an_event_is_sent_as_it_is_and_a_second_close_does_nothing() -> None:
    producer = FakeProducer()
    made = probe(producer)
    event = MetricReport(event_time=5, app="other", metric="m", value=2.0)
    made.tell(event)
    made.close()
    made.close()
    assert producer.events(MetricReport) == [event]
    made.report("too late", 1.0)
    assert made.dropped == 1
    assert {topic for topic, _, _ in producer.delivered} == {topic_of(event), "weir.instances"}
    assert producer.events(InstanceReported)[-1].health == "stopped"


def test_a_real_client_without_broker_or_registry_costs_the_caller_nothing() -> None:
    nowhere = Settings(
        identity=Identity(app="shop"),
        kafka=KafkaSettings(bootstrap="127.0.0.1:9"),
        registry=RegistrySettings(url="http://127.0.0.1:9"),
    )
    made = Probe(nowhere, buffer=100)
    for _ in range(1_000):
        made.report("x", 1.0)
    assert made.dropped >= 890
    assert made.instance.startswith("shop.")
    made.close(timeout_s=0.05)
    until(lambda: made.dropped == 1_000)
    assert made.sent == 0


def test_a_client_that_takes_no_such_settings_is_told_at_once() -> None:
    from workers.errors import KafkaUnavailable

    wrong = Settings(kafka=KafkaSettings(security_protocol="CARRIER_PIGEON"))
    with pytest.raises(KafkaUnavailable, match=r"security\.protocol"):
        to_kafka(wrong, 10, bool)

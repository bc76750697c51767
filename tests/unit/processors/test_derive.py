"""Derive: which metrics follow from which records, in whatever order they come."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.deriving.classes import LONGEST
from processors.deriving.classes import OTHER as UNNAMED
from processors.deriving.derive import Derive, DeriveParams, spec
from processors.vocabulary import CLASS_ACCURACY, CONDITION_ACCURACY, DERIVED, known
from schemas import conditions
from schemas.base import Event
from schemas.decisions import ActionTaken
from schemas.inference import GroundTruth, InferenceResponse, InferenceResult, InputSummary
from schemas.observing import MetricReport
from schemas.processing import Batch, Output, Record
from schemas.records import KeyValue
from schemas.topics import topic_of

START = 1_700_000_000_000
RESULT = InferenceResult(
    event_id="r1-small",
    task_id="t1",
    request_id="r1",
    app="digits",
    stage="classify",
    service="small",
    instance="small.edge",
    node="edge",
    worker="edge-1",
    attempt=1,
    status="ok",
    label="7",
    confidence=0.8,
    queue_ms=2.0,
    execution_ms=5.0,
    received_at=START,
    finished_at=START + 10,
    runtime="onnxruntime",
    provider="CPUExecutionProvider",
    variant="fp32",
    batch_size=1,
    model_version="1",
    input_digest="",
    deadline_missed=False,
    generation=1,
)
OTHER = replace(RESULT, event_id="r1-large", service="large", instance="large.edge", label="1")
RESPONSE = InferenceResponse(
    event_id="r1",
    request_id="r1",
    app="digits",
    consumer="",
    contract="",
    status="complete",
    label="7",
    confidence=0.6,
    generation=1,
    deadline_met=True,
    created_at=START,
    answered_at=START + 20,
    latency_ms=20.0,
)
LABEL = GroundTruth(request_id="r1", app="digits", label="7", known_at=START + 500)


class Feeder:
    """Gives records the next offset of their topic; availability is not sampled."""

    def __init__(self, params: DeriveParams) -> None:
        built = spec(replace(params, availability_ms=0)).build(0)
        assert isinstance(built, Derive)
        self.processor = built
        self._offsets: Counter[str] = Counter()

    def feed(self, *events: Event, now: int = 0) -> list[Output]:
        records = []
        for event in events:
            topic = topic_of(event)
            records.append(Record(event, topic, 0, self._offsets[topic], START))
            self._offsets[topic] += 1
        return list(self.processor.process(Batch(tuple(records), START + now)))


def derive(*events: Event) -> list[Output]:
    return Feeder(DeriveParams()).feed(*events)


def values(outputs: list[Output]) -> dict[tuple[str, str], float]:
    """Return the value of each metric per service; every one at most once."""
    found: dict[tuple[str, str], float] = {}
    for event in outputs:
        assert isinstance(event, MetricReport)
        assert (event.service, event.metric) not in found
        found[event.service, event.metric] = event.value
    return found


def metrics(outputs: list[Output]) -> dict[str, float]:
    """Return the value of each metric, whoever reports it."""
    return {event.metric: event.value for event in outputs if isinstance(event, MetricReport)}


def test_a_result_tells_its_times_and_confidence() -> None:
    outputs = derive(RESULT)

    assert values(outputs) == {
        ("small", "latency"): 7.0,
        ("small", "queue"): 2.0,
        ("small", "execution"): 5.0,
        ("small", "confidence"): 0.8,
        ("small", "failure"): 0.0,
        ("small", "deadline_met"): 1.0,
    }
    first = outputs[0]
    assert isinstance(first, MetricReport)
    place = (first.app, first.stage, first.instance, first.node, first.unit, first.request_id)
    assert place == ("digits", "classify", "small.edge", "edge", "ms", "r1")
    assert first.event_time == RESULT.finished_at


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_no_number_is_not_reported(broken: float) -> None:
    told = metrics(derive(replace(RESULT, confidence=broken, queue_ms=broken)))

    assert set(told) == {"execution", "failure", "deadline_met"}


def test_the_summaries_of_inputs_are_metrics_of_the_first_tensors() -> None:
    def summary(name: str, mean: float = 0.5) -> InputSummary:
        return InputSummary(name=name, mean=mean, std=0.1, low=0.0, high=1.0, missing=0.25)

    seen = (summary("image"), summary(""), summary("x" * 101), summary("broken", math.inf))
    told = metrics(derive(replace(RESULT, input_summary=seen)))

    inputs = {name: value for name, value in told.items() if name.startswith("input.")}
    assert inputs == {
        "input.mean.image": 0.5,
        "input.std.image": 0.1,
        "input.missing.image": 0.25,
        "input.std.broken": 0.1,
        "input.missing.broken": 0.25,
    }
    assert all(known(name) for name in inputs)
    assert not known("input.mean.")
    many = tuple(summary(f"t{n}") for n in range(20))
    told = metrics(derive(replace(RESULT, input_summary=many)))
    assert sum(name.startswith("input.mean.") for name in told) == 8


def test_a_failed_result_tells_only_that() -> None:
    failed = replace(RESULT, status="failed", label=None, confidence=None)

    assert values(derive(failed, RESPONSE, LABEL))["small", "failure"] == 1.0
    told = {metric: value for (service, metric), value in values(derive(failed)).items() if service}
    assert told == {"failure": 1.0, "deadline_met": 0.0}


def test_a_response_tells_of_the_whole() -> None:
    partial = replace(RESPONSE, status="failed", label=None, confidence=None, deadline_met=False)

    assert values(derive(partial)) == {
        ("", "response_latency"): 20.0,
        ("", "answered"): 0.0,
        ("", "deadline_met"): 0.0,
    }


def test_the_order_of_arrival_plays_no_part() -> None:
    def key(event: Output) -> str:
        return repr(event)

    expected = sorted(derive(RESULT, OTHER, RESPONSE, LABEL), key=key)
    for order in permutations((RESULT, OTHER, RESPONSE, LABEL)):
        assert sorted(derive(*order), key=key) == expected

    found = values(expected)
    assert found["small", "accuracy"] == 1.0
    assert found["large", "accuracy"] == 0.0
    assert found["large", "error"] == 1.0
    assert found["large", "accuracy.class.7"] == 0.0
    assert found["", "accuracy"] == 1.0
    assert found["small", "agreement"] == 1.0
    assert found["large", "agreement"] == 0.0


def test_metrics_of_a_join_happen_when_the_later_is_known() -> None:
    times = {
        (e.service, e.metric): e.event_time
        for e in derive(RESULT, RESPONSE, LABEL)
        if isinstance(e, MetricReport)
    }

    assert times["small", "accuracy"] == LABEL.known_at
    assert times["small", "agreement"] == RESPONSE.answered_at


def test_repeats_count_once() -> None:
    feeder = Feeder(DeriveParams())
    feeder.feed(RESULT, RESPONSE, LABEL)

    assert feeder.feed(RESULT, RESPONSE, LABEL, replace(LABEL, label="3")) == []


def test_every_metric_is_in_the_vocabulary_at_a_level_it_names() -> None:
    for event in derive(RESULT, OTHER, RESPONSE, LABEL):
        assert isinstance(event, MetricReport)
        if event.metric.startswith(CLASS_ACCURACY):
            continue
        level = "instance" if event.instance else "service" if event.service else "app"
        assert level in DERIVED[event.metric].levels
        assert event.unit == DERIVED[event.metric].unit


def test_a_label_that_meets_nothing_is_told() -> None:
    feeder = Feeder(DeriveParams(ttl_ms=1_000, mark_ms=100))
    feeder.feed(LABEL, RESULT, replace(LABEL, request_id="r2"), now=0)
    due = feeder.processor.wake_at()

    assert due == START + 1_000
    assert feeder.feed(now=999) == []
    (action,) = feeder.feed(now=1_000)
    assert isinstance(action, ActionTaken)
    assert (action.kind, action.target) == ("label.unmatched", "digits")
    assert action.reason.startswith("1 labels")
    assert feeder.processor.wake_at() is None


def test_a_label_may_come_long_before_its_result_but_not_longer_than_it_is_remembered() -> None:
    feeder = Feeder(DeriveParams(ttl_ms=1_000, mark_ms=100))
    feeder.feed(LABEL, replace(LABEL, request_id="r2"), now=0)

    assert "accuracy" in metrics(feeder.feed(RESULT, now=999))
    late = feeder.feed(replace(RESULT, request_id="r2", event_id="r2"), now=1_000)
    assert [e.kind for e in late if isinstance(e, ActionTaken)] == ["label.unmatched"]
    assert "accuracy" not in metrics(late)


def test_a_label_that_comes_too_late_is_told_when_it_is_forgotten_too() -> None:
    feeder = Feeder(DeriveParams(ttl_ms=1_000, mark_ms=100))
    feeder.feed(RESULT, now=0)

    assert feeder.feed(LABEL, now=1_000) == []
    (action,) = feeder.feed(now=2_000)
    assert isinstance(action, ActionTaken)
    assert action.kind == "label.unmatched"


def test_the_first_label_holds_and_others_are_told_once_per_request() -> None:
    feeder = Feeder(DeriveParams(ttl_ms=1_000, mark_ms=100))
    feeder.feed(RESULT, LABEL, LABEL)

    assert feeder.feed(replace(LABEL, label="3"), replace(LABEL, label="4"), now=10) == []
    again = feeder.feed(replace(RESULT, event_id="r1-again", attempt=2), now=20)
    assert metrics(again)["accuracy"] == 1.0
    (action,) = feeder.feed(now=1_000)
    assert isinstance(action, ActionTaken)
    assert (action.kind, action.target) == ("label.contradicted", "digits")
    assert action.reason.startswith("1 requests")


def test_applications_may_number_their_requests_alike() -> None:
    other = replace(LABEL, app="signs", label="stop")

    outputs = derive(RESULT, other, LABEL)
    assert metrics(outputs)["accuracy"] == 1.0
    assert "accuracy.class.stop" not in metrics(outputs)


def test_classes_have_accuracies_of_their_own_up_to_a_bound() -> None:
    feeder = Feeder(DeriveParams(classes=2, class_ttl_ms=5_000))

    def named(label: str, now: int) -> list[str]:
        number = f"{label[:1]}{now}"
        result = replace(RESULT, request_id=number, event_id=number)
        outputs = feeder.feed(result, replace(LABEL, request_id=number, label=label), now=now)
        return [m for m in metrics(outputs) if m.startswith(CLASS_ACCURACY)]

    assert named("x" * 101, 0) == [CLASS_ACCURACY + UNNAMED]
    assert named("", 0) == [CLASS_ACCURACY + UNNAMED]
    assert named("a", 0) == ["accuracy.class.a"]
    assert named("b", 1_000) == ["accuracy.class.b"]
    assert named("c", 2_000) == [CLASS_ACCURACY + UNNAMED]
    assert named("b", 4_000) == ["accuracy.class.b"]
    other = Feeder(DeriveParams(classes=2, class_ttl_ms=5_000))
    other.processor.restore(feeder.processor.snapshot())
    feeder = other
    assert named("c", 4_999) == [CLASS_ACCURACY + UNNAMED]
    assert named("c", 5_000) == ["accuracy.class.c"]
    assert named("a", 5_001) == [CLASS_ACCURACY + UNNAMED]


def under(*told: str) -> tuple[KeyValue, ...]:
    return conditions.spelled((one.partition("=")[0], one.partition("=")[2]) for one in told)


def test_accuracy_and_agreement_are_told_under_each_condition_of_the_request() -> None:
    asked = replace(RESPONSE, conditions=under("light=night", "camera=3"))
    expected = {
        (service, f"{what}.condition.{condition}"): value
        for condition in ("light=night", "camera=3")
        for service, what, value in (
            ("small", "accuracy", 1.0),
            ("large", "accuracy", 0.0),
            ("", "accuracy", 1.0),
            ("small", "agreement", 1.0),
            ("large", "agreement", 0.0),
        )
    }
    plain = values(derive(RESULT, OTHER, RESPONSE, LABEL))
    assert not any("condition" in metric for _, metric in plain)
    for order in permutations((RESULT, OTHER, asked, LABEL)):
        outputs = derive(*order)
        assert values(outputs) == plain | expected
        times = {e.metric: e.event_time for e in outputs if isinstance(e, MetricReport)}
        assert times["accuracy.condition.camera=3"] == LABEL.known_at
        assert times["agreement.condition.camera=3"] == asked.answered_at
    assert all(known(metric) for _, metric in expected)
    early = replace(LABEL, known_at=START)
    (told,) = (
        e
        for e in derive(RESULT, early, asked)
        if isinstance(e, MetricReport)
        and (e.service, e.metric) == ("small", "accuracy.condition.camera=3")
    )
    assert told.event_time == asked.answered_at, "before, nobody knew under which conditions"


def test_members_are_judged_under_conditions_where_there_was_no_answer() -> None:
    late = replace(
        RESPONSE, status="failed", label=None, confidence=None, conditions=under("light=night")
    )
    for order in permutations((RESULT, late, LABEL)):
        told = {m: v for (_, m), v in values(derive(*order)).items() if ".condition." in m}
        assert told == {"accuracy.condition.light=night": 1.0}


def test_conditions_have_series_of_their_own_up_to_a_bound() -> None:
    feeder = Feeder(DeriveParams(conditions=2, class_ttl_ms=5_000))

    def named(now: int, *told: str) -> list[str]:
        response = replace(RESPONSE, request_id=f"r{now}", conditions=under(*told))
        outputs = feeder.feed(response, replace(LABEL, request_id=f"r{now}"), now=now)
        return [
            e.metric.removeprefix(CONDITION_ACCURACY)
            for e in outputs
            if isinstance(e, MetricReport) and e.metric.startswith(CONDITION_ACCURACY)
        ]

    longest = "n=" + "x" * (conditions.LONGEST - 2)
    assert named(0, longest) == [longest], "whatever a request may name has a name"
    assert conditions.LONGEST == LONGEST
    assert named(1_000, "light=night") == ["light=night"]
    assert named(2_000, "a=1", "b=1", "light=night") == [UNNAMED, "light=night"]
    other = Feeder(DeriveParams(conditions=2, class_ttl_ms=5_000))
    other.processor.restore(feeder.processor.snapshot())
    feeder = other
    assert named(4_999, "a=1") == [UNNAMED]
    assert named(5_000, "a=1") == ["a=1"]
    assert named(5_001, longest) == [UNNAMED]


def test_what_is_forgotten_for_lack_of_room_is_told() -> None:
    feeder = Feeder(DeriveParams(max_requests=3))

    outputs = feeder.feed(*(replace(LABEL, request_id=f"r{n}") for n in range(4)))

    (action,) = outputs
    assert isinstance(action, ActionTaken)
    assert action.kind == "join.evicted"
    assert feeder.feed(replace(RESULT, request_id="r0"), now=1) != []
    joined = feeder.feed(replace(RESULT, request_id="r3", event_id="r3"), now=1)
    assert "accuracy" in {e.metric for e in joined if isinstance(e, MetricReport)}


def test_a_restart_knows_which_request_was_forgotten_in_between() -> None:
    # r1: result at 0, response at 700; forgotten at 1000; a label of the same request at 1050
    feeder = Feeder(DeriveParams(ttl_ms=1_000, mark_ms=500))
    feeder.feed(RESULT, now=0)
    feeder.feed(RESPONSE, now=700)
    assert feeder.feed(LABEL, now=1_050) == []
    needed = feeder.processor.oldest_needed()
    params = DeriveParams(ttl_ms=1_000, mark_ms=500, availability_ms=0)
    restarted = Derive(params, 0)
    restarted.restore(feeder.processor.snapshot())
    for event in (RESULT, RESPONSE, LABEL):
        place = (topic_of(event), 0)
        assert needed[place] == 0
        restarted.rebuild(Batch((Record(event, *place, 0, START),), START))

    (action,) = restarted.process(Batch((), START + 2_050))
    assert isinstance(action, ActionTaken)
    assert action.kind == "label.unmatched"
    assert feeder.feed(now=2_050) == [action]


ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 900), st.sampled_from("ab"), st.sampled_from((RESULT, RESPONSE, LABEL))
    ),
    max_size=14,
)


@given(arrivals=ARRIVALS, mark_ms=st.sampled_from((100, 500)))
@example(
    arrivals=[
        (0, "a", RESULT),
        (400, "a", RESPONSE),
        (0, "b", RESULT),
        (700, "b", RESPONSE),  # the marks of 0 and 400 expire at 1000 and 1400
        (200, "a", LABEL),  # at 1300, when what came at 0 is forgotten
        (200, "b", RESULT),
    ],
    mark_ms=100,
)
def test_a_restart_at_any_time_tells_news_from_what_was_forgotten(
    arrivals: list[tuple[int, str, Event]], mark_ms: int
) -> None:
    params = DeriveParams(ttl_ms=1_000, mark_ms=mark_ms, availability_ms=0)
    lived, now = Derive(params, 0), START
    log: list[Record] = []
    restarted: list[Derive] = []
    for number, (passed, request, kind) in enumerate(arrivals):
        now += passed
        event = replace(kind, request_id=request)  # type: ignore[call-arg]  # all of them have one
        log.append(Record(event, topic_of(event), 0, number, now))
        batch = Batch((log[-1],), now)
        told = lived.process(batch)
        assert [other.process(batch) for other in restarted] == [told] * number
        restarted.append(_restarted(lived, params, log))
    for later in range(now, now + 3_000, 100):
        told = lived.process(Batch((), later))
        assert [other.process(Batch((), later)) for other in restarted] == [told] * len(log)


def _restarted(lived: Derive, params: DeriveParams, log: Sequence[Record]) -> Derive:
    """Return another one that takes over the state, and what it needs of the log."""
    other, needed = Derive(params, 0), lived.oldest_needed()
    other.restore(lived.snapshot())
    read = (r for r in log if r.offset >= needed.get((r.topic, r.partition), len(log)))
    other.rebuild(Batch(tuple(read), START))
    return other

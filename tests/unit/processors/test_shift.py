"""Drift of data: when it is told, of which features, and what of it is the fault of a sensor."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from processors.errors import InvalidParameters
from processors.shifting.shift import Choice, Shift, ShiftParams, spec
from processors.shifting.spaces import Sizes
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.inference import InferenceResult, InputSummary
from schemas.observing import DriftDetected
from schemas.processing import Batch, Output, Record
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.contracts.scenarios.shift import MINE, OTHER, START, result, summary

Change = Callable[[InputSummary, random.Random], InputSummary]
STILL = InputSummary(name="image", mean=0.5, std=0.2, low=0.2, high=0.8, missing=0.0)


def results(
    parts: Sequence[tuple[int, Change | None]], seed: int = 1, app: str = MINE
) -> list[InferenceResult]:
    """Return results of one service; each part has so many, their summaries changed."""
    dice = random.Random(seed)
    made: list[InferenceResult] = []
    for count, change in parts:
        for _ in range(count):
            seen = summary(dice)
            seen = seen if change is None else change(seen, dice)
            label = dice.choice("ab")
            made.append(result(len(made), app, "small", seen, label))
    return made


def batch(seen: Sequence[InferenceResult], first: int = 0, *policies: PolicySelected) -> Batch:
    records = tuple(
        Record(one, "weir.results", 0, first + place, 0) for place, one in enumerate(seen)
    )
    return Batch(records, START, Catalogue({PolicySelected: {p.scope: p for p in policies}}))


def told(seen: Sequence[InferenceResult], *policies: PolicySelected) -> list[DriftDetected]:
    outputs = spec().build(0).process(batch(seen, 0, *policies))  # type: ignore[arg-type]  # takes batches
    return [one for one in outputs if isinstance(one, DriftDetected)]


def policy(scope: str, algorithm: str, **given: str) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component="drift",
        algorithm=algorithm,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in given.items()),
        selected_at=START,
        event_id=f"{scope} {algorithm} {given}",
    )


def shifted(by: float, times: float = 1.0) -> Change:
    def change(one: InputSummary, _: random.Random) -> InputSummary:
        return replace(
            one,
            mean=times * one.mean + by,
            std=times * one.std,
            low=times * one.low + by,
            high=times * one.high + by,
        )

    return change


def test_steady_data_is_no_drift() -> None:
    found = [one for seed in range(4) for one in told(results([(2_000, None)], seed))]

    assert [one for one in found if one.status == "confirmed"] == []
    assert len(found) <= 2


def test_darker_pictures_are_told_with_what_moved_and_since_when() -> None:
    warning, drift = told(results([(430, None), (400, shifted(-0.06))]))

    assert (warning.status, drift.status) == ("warning", "confirmed")
    assert (drift.app, drift.service, drift.metric) == (MINE, "small", "inputs")
    assert (drift.cause, drift.cause_class, drift.retrain) == ("covariate", "data", False)
    assert drift.causes == (warning.event_id,)
    assert abs(drift.sources[0].first - 430) <= 40
    assert drift.sources[0].last < 830
    assert drift.events == drift.sources[0].last - drift.sources[0].first + 1
    assert drift.since == START + drift.sources[0].first * 10 + 3
    assert drift.until == drift.detected_at > warning.detected_at
    assert {one.feature for one in drift.features} >= {"image.mean"}
    assert drift.before == pytest.approx(0.5, abs=0.03)
    assert drift.after == pytest.approx(0.44, abs=0.03)
    assert drift.effect_size > 0.3
    assert drift.p_value is not None
    assert drift.confidence == 1.0 - drift.p_value > 0.99


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda _one, _dice: STILL, "sensor-stuck"),
        (lambda one, _dice: replace(one, mean=0.0, std=0.0, low=0.0, high=0.0), "sensor-nil"),
        (lambda one, _dice: replace(one, missing=1.0), "sensor-nil"),
        (shifted(0.0, 255.0), "sensor-unit"),
        (shifted(32.0, 1.8), "sensor-unit"),
        (shifted(5.0), "sensor-range"),
        (lambda one, _dice: replace(one, high=0.75), "sensor-range"),
        (shifted(0.1), "covariate"),
        (shifted(0.0, 1.3), "covariate"),
    ],
)
def test_the_fault_of_a_sensor_is_told_apart(change: Change, cause: str) -> None:
    drift = told(results([(400, None), (400, change)]))[-1]

    assert (drift.status, drift.metric, drift.cause) == ("confirmed", "inputs", cause)
    assert not drift.retrain


def test_other_answers_are_a_drift_of_outputs() -> None:
    seen = results([(800, None)])
    changed = [replace(one, label="b", confidence=0.6) for one in seen[400:]]

    drift = told([*seen[:400], *changed])[-1]

    assert (drift.metric, drift.cause, drift.status) == ("outputs", "", "confirmed")
    assert {one.feature for one in drift.features} == {"label", "confidence"}


@pytest.mark.parametrize("confidence", [0.9, None])
def test_a_label_that_nobody_gave_before_is_a_drift_of_outputs(confidence: float | None) -> None:
    seen = results([(800, None)])
    answers = ["a"] * 400 + ["b"] * 400
    seen = [
        replace(one, label=label, confidence=confidence)
        for one, label in zip(seen, answers, strict=True)
    ]

    drift = told(seen)[-1]

    assert (drift.metric, drift.status) == ("outputs", "confirmed")
    assert [one.feature for one in drift.features] == ["label"]


def test_a_concept_that_comes_back_has_its_old_id() -> None:
    dark = shifted(-0.2)
    seen = results([(400, None), (500, dark), (500, None), (500, dark)])

    first, second, third = [one for one in told(seen) if one.status == "confirmed"]

    assert (first.kind, first.recurs) == ("sudden", "")
    assert (second.kind, third.kind) == ("recurring", "recurring")
    assert second.recurs == second.concept != first.concept
    assert third.recurs == first.concept


def test_a_policy_chooses_the_test_or_none() -> None:
    seen = results([(400, None), (400, shifted(-0.2))])

    assert {one.detector for one in told(seen, policy(f"drift/{MINE}/inputs", "psi"))} == {"psi"}
    assert {one.detector for one in told(seen, policy(f"drift/{MINE}/inputs", "mmd"))} == {"mmd"}
    assert told(seen, policy(f"drift/{MINE}/inputs", "off")) == []
    assert told(seen, policy(f"drift/{MINE}", "off"))


@pytest.mark.parametrize(
    ("algorithm", "given", "reason"),
    [
        ("adwin", {}, "test 'adwin' is unknown; known: ks, psi, mmd, two-sample, off"),
        ("ks", {"window": "3"}, "parameter 'window' is unknown; known: significance"),
        ("ks", {"significance": "0"}, "significance must be above 0, and 0.5 at most"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    algorithm: str, given: dict[str, str], reason: str
) -> None:
    wrong = policy(f"drift/{MINE}/outputs", algorithm, **given)
    (action,) = Shift(ShiftParams(), 0, 4).process(batch(results([(1, None)]), 0, wrong))

    assert isinstance(action, ActionTaken)
    assert reason in action.reason


def test_bad_input_is_passed_over() -> None:
    nan = math.nan
    broken = InputSummary(name="image", mean=nan, std=nan, low=nan, high=1e308, missing=nan)
    seen = results([(900, lambda _one, _dice: broken)])
    constant = results([(900, lambda _one, _dice: STILL)])
    once = [result(1, MINE, "once", STILL, "a")]
    others = results([(400, None), (400, shifted(1.0))], app=OTHER)
    shadows = [replace(one, shadow=True) for one in results([(400, None), (400, shifted(1.0))])]
    plain = [replace(one, input_summary=(), label=None) for one in constant]

    for given in (seen, constant, once, others, shadows, plain):
        assert told(given) == []


def test_other_tensors_begin_anew() -> None:
    renamed = results([(400, None), (400, lambda one, _: replace(shifted(1.0)(one, _), name="x"))])

    assert [one for one in told(renamed) if one.metric == "inputs"] == []


def test_a_clock_that_jumps_back_loses_nothing() -> None:
    seen = results([(400, None), (400, shifted(-0.2))])
    back = [replace(one, finished_at=one.finished_at - 9_000_000) for one in seen[400:]]

    drift = told([*seen[:400], *back])[-1]

    assert drift.status == "confirmed"
    assert drift.until is not None
    assert drift.until >= drift.since


def test_services_beyond_the_bound_push_out_the_longest_unused() -> None:
    shift = Shift(ShiftParams(max_spaces=2), 0, 4)
    outputs: list[Output] = []
    for name in ("one", "two", "three"):
        outputs += shift.process(batch([result(1, MINE, name, STILL, "a")]))
    again = Shift(ShiftParams(max_spaces=2), 0, 4)
    again.restore(shift.snapshot())

    assert outputs == []
    assert again.snapshot() == shift.snapshot()
    assert b"three" in shift.snapshot()
    assert b"two" not in shift.snapshot()


def test_of_large_spaces_there_are_as_many_as_fit_into_a_snapshot() -> None:
    shift = Shift(ShiftParams(sizes=Sizes(reference=20_000, window=20)), 0, 4)
    for number in range(9):
        one = replace(result(1, MINE, f"service-{number}", STILL, "a"), label=None)
        shift.process(batch([one]))

    saved = shift.snapshot()

    assert [n for n in range(9) if f"service-{n}".encode() in saved] == [3, 4, 5, 6, 7, 8]


def test_a_test_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="'nix'"):
        spec(ShiftParams(choice=Choice(test="nix")))

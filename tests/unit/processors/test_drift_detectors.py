"""Detectors of drift by name: River's verdicts, policies, two samples, detectors of others."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from river.drift import PageHinkley
from river.drift.binary import DDM, HDDMA, HDDMW

from processors.drifting.banking import banked
from processors.drifting.banks import Level, Window
from processors.drifting.changes import CONFIRMED
from processors.drifting.detectors import PARAMETERS, DriftDetector, default
from processors.drifting.drift import Detect, DriftParams, spec
from processors.drifting.kernels import Floats
from processors.drifting.samples import ks, ks_p, mmd, psi, psi_p
from processors.errors import InvalidParameters, PluginError
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.observing import DriftDetected
from schemas.processing import Output
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.unit.processors.test_drift import START, bernoulli, columns


def policy(scope: str, algorithm: str, **given: str) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component="drift",
        algorithm=algorithm,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in given.items()),
        selected_at=START,
        event_id=f"{scope} {algorithm} {given}",
    )


def world(*policies: PolicySelected) -> Catalogue:
    return Catalogue({PolicySelected: {one.scope: one for one in policies}})


def confirmed(outputs: Sequence[Output]) -> list[DriftDetected]:
    seen = [one for one in outputs if isinstance(one, DriftDetected)]
    return [one for one in seen if one.status == CONFIRMED]


def alarms(name: str, values: Floats) -> list[int]:
    bank = banked(default(name), _no_adwin, {})
    rows = np.full(len(values), bank.take(), np.int64)
    return [alarm.place for alarm in bank.feed(rows, values)]


def _no_adwin(delta: float, state: bytes | None) -> Window:
    raise AssertionError(f"ADWIN was asked for: {delta}, {state!r}")


@pytest.mark.parametrize(
    ("name", "river"),
    [
        ("page-hinkley", PageHinkley(threshold=30.0)),
        ("ddm", DDM()),
        ("hddm-a", HDDMA(two_sided_test=True)),
        ("hddm-w", HDDMW(two_sided_test=True)),
    ],
)
def test_detectors_say_what_those_of_river_say(name: str, river: object) -> None:
    values = bernoulli(4, (2_000, 0.1), (2_000, 0.5), (2_000, 0.1))
    told = []
    for place, value in enumerate(values.tolist()):
        river.update(value)  # type: ignore[attr-defined]  # River's base class names it learn
        if river.drift_detected:  # type: ignore[attr-defined]
            told.append(place)

    assert len(told) >= 2
    assert alarms(name, values) == told


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_detector_is_selected_by_name(name: str) -> None:
    catalogue = world(policy("drift/digits/error", name))
    values = bernoulli(2, (3_000, 0.05), (2_000, 0.6))

    one, *others = confirmed(Detect(DriftParams()).process(columns(values, catalogue=catalogue)))

    assert len(others) <= (name == "hddm-w"), "one change is told once, but by the nervous one"
    assert one.detector == name
    assert one.before == pytest.approx(0.05, abs=0.05)
    assert one.after > 0.3
    assert one.effect_size > 0.3
    assert one.p_value is not None
    assert one.confidence == 1.0 - one.p_value > 0.99
    assert one.until == one.detected_at >= one.since
    assert one.events == one.width > 0
    assert one.concept
    assert not one.recurs
    (shift,) = one.features
    assert (shift.feature, shift.after) == ("digits/classify/small///error", one.after)


def test_a_policy_for_a_metric_lets_it_be_watched_and_others_be() -> None:
    dice = np.random.default_rng(1)
    values = np.concatenate([dice.normal(30, 1, 1_000), dice.normal(30, 8, 1_000)])
    chosen = world(policy("drift/digits/latency", "ks"), policy("drift/digits", "ddm"))

    def told(catalogue: Catalogue, metric: str) -> list[DriftDetected]:
        given = columns(values, metric=metric, catalogue=catalogue)
        return confirmed(Detect(DriftParams()).process(given))

    (one,) = told(chosen, "latency")
    assert one.effect_size > 0.2
    assert one.features[0].statistic == "ks"
    assert abs((one.since - START) // 25 - 1_000) <= 208
    assert told(chosen, "queue") == []
    assert told(world(policy("drift", "ks")), "latency") == []


def test_a_series_begins_anew_under_another_policy_and_ends_when_it_is_off() -> None:
    values = bernoulli(5, (1_000, 0.05), (1_000, 0.6))
    adwin, off = Catalogue(), world(policy("drift/digits/error", "off"))
    ddm = world(policy("drift/digits/error", "ddm"))

    def told(second: Catalogue) -> list[DriftDetected]:
        watching = Detect(DriftParams())
        watching.process(columns(values[:1_000], catalogue=adwin))
        return confirmed(watching.process(columns(values[1_000:], 1_000, catalogue=second)))

    assert [one.detector for one in told(adwin)] == ["adwin"]
    assert told(ddm) == []
    assert told(off) == []


@pytest.mark.parametrize(
    ("algorithm", "given", "reason"),
    [
        ("nix", {}, "detector 'nix' is unknown; known: adwin, ddm"),
        ("ks", {"delta": "1"}, "ks has no parameter 'delta'; it has: significance, window"),
        ("ks", {"window": "7"}, "window must be within 20 and 300"),
        ("adwin", {"delta": "much"}, "delta must be within 1e-12 and 0.5"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_once(
    algorithm: str, given: dict[str, str], reason: str
) -> None:
    watching = Detect(DriftParams())
    wrong = policy("drift/digits", algorithm, **given)
    outputs = [*watching.process(columns(bernoulli(1, (50, 0.1)), catalogue=world(wrong)))]
    saved, again = watching.snapshot(), Detect(DriftParams())
    again.restore(saved)
    outputs += again.process(columns(bernoulli(1, (50, 0.1)), 50, catalogue=world(wrong)))

    (action,) = outputs
    assert isinstance(action, ActionTaken)
    assert action.kind == "policy.refused"
    assert reason in action.reason


@pytest.mark.parametrize("name", ["ks", "psi", "kswin"])
def test_two_samples_of_one_distribution_hardly_ever_differ(name: str) -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 15_000)
    bank = banked(default(name), _no_adwin, {})
    found = bank.feed(np.zeros(len(values), np.int64) + bank.take(), values)

    assert [one for one in found if one.level is Level.CONFIRMED] == []
    assert len(found) <= 6


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_bad_input_alarms_nobody(name: str) -> None:
    watching = Detect(DriftParams(detector=name))
    constant, huge = np.full(1_500, 0.25), np.full(3, 1e308)
    strange = np.array([math.nan, math.inf, -math.inf] * 20)

    outputs = [*watching.process(columns(constant)), *watching.process(columns(strange, 1_500))]
    outputs += watching.process(columns(np.array([0.5]), 1_560, service="once"))
    saved = watching.snapshot()
    assert confirmed(outputs) == []
    watching.process(columns(np.concatenate([huge, -huge]), 1_570))
    again = Detect(DriftParams(detector=name))
    again.restore(saved)
    assert again.snapshot() == saved


def test_a_clock_that_jumps_back_loses_nothing() -> None:
    values = bernoulli(2, (1_000, 0.05), (600, 0.6))
    given = columns(values)
    back = given.frame["event_time"].to_numpy().copy()
    back[1_000:] -= 10_000_000
    watching = Detect(DriftParams())
    moved = type(given)(
        given.frame.with_columns(event_time=back), "weir.metrics", 1, START, series=given.series
    )

    (one,) = confirmed(watching.process(moved))

    assert one.since == one.sources[0].first * 25 + START - 10_000_000
    assert one.until is not None
    assert one.until >= one.since


def test_a_constant_that_changes_is_told_with_the_greatest_effect() -> None:
    values = np.concatenate([np.full(504, 0.1), np.full(300, 0.9)])

    (one,) = confirmed(Detect(DriftParams()).process(columns(values)))

    assert one.effect_size == 1_000.0
    assert one.kind == "sudden"


def test_a_climb_of_a_value_is_incremental_and_a_mixture_gradual() -> None:
    dice = np.random.default_rng(8)
    share = np.concatenate([np.zeros(800), np.linspace(0.0, 1.0, 900)])
    climbing = 0.2 + 0.5 * share + dice.normal(0.0, 0.03, len(share))
    mixed = 0.2 + 0.5 * (dice.random(len(share)) < share) + dice.normal(0.0, 0.03, len(share))

    kinds = [confirmed(Detect(DriftParams()).process(columns(v))) for v in (climbing, mixed)]

    assert [each[0].kind for each in kinds] == ["incremental", "gradual"]


def test_a_concept_that_comes_back_has_its_old_id() -> None:
    values = bernoulli(3, (1_000, 0.05), (1_000, 0.5), (1_000, 0.05), (1_000, 0.5))

    first, second, third = confirmed(Detect(DriftParams()).process(columns(values)))

    assert (first.recurs, first.kind) == ("", "sudden")
    assert second.concept == second.recurs != first.concept
    assert (third.concept, third.recurs) == (first.concept, first.concept)
    assert third.kind == "recurring"


def test_a_warning_comes_first_and_is_confirmed_or_dismissed() -> None:
    def told(*parts: tuple[int, float]) -> list[DriftDetected]:
        outputs = Detect(DriftParams()).process(columns(bernoulli(6, *parts)))
        return [one for one in outputs if isinstance(one, DriftDetected)]

    warning, drift = told((1_000, 0.05), (400, 0.5))
    assert (warning.status, drift.status) == ("warning", "confirmed")
    assert warning.detected_at < drift.detected_at
    assert drift.causes == (warning.event_id,)
    warning, dismissal = told((1_000, 0.05), (16, 1.0), (1_500, 0.05))
    assert (warning.status, dismissal.status) == ("warning", "dismissed")
    assert dismissal.causes == (warning.event_id,)


@pytest.mark.parametrize("name", ["ks", "psi", "kswin"])
def test_the_largest_window_is_within_the_past(name: str) -> None:
    dice = np.random.default_rng(2)
    values = np.concatenate([dice.normal(0.3, 0.05, 600), dice.normal(0.7, 0.05, 900)])
    largest = policy("drift/digits/error", name, window=f"{PARAMETERS[name]['window'].high:g}")

    one, *_ = confirmed(Detect(DriftParams()).process(columns(values, catalogue=world(largest))))

    assert (one.detector, one.before) == (name, pytest.approx(0.3, abs=0.15))


class Cusum:
    width = 3

    def update(self, memory: Floats, value: float) -> bool:
        memory[0] += 1.0
        memory[1] += (value - memory[1]) / memory[0]
        memory[2] = max(0.0, memory[2] + value - memory[1] - 0.05)
        return bool(memory[0] > 30 and memory[2] > 10.0)


class Broken:
    width = 0

    def update(self, memory: Floats, value: float) -> bool:
        raise PluginError(f"ValueError: {value:g} and {len(memory)}")


def test_a_detector_of_others_is_selected_and_confirmed_by_weir() -> None:
    plugins: dict[str, DriftDetector] = {"cusum": Cusum(), "broken": Broken()}
    values = bernoulli(5, (1_000, 0.05), (600, 0.6))
    catalogue = world(policy("drift", "cusum"))

    (one,) = confirmed(Detect(DriftParams(), plugins).process(columns(values, catalogue=catalogue)))
    assert one.detector == "cusum"
    failing = Detect(DriftParams(), plugins)
    catalogue = world(policy("drift", "broken"))
    outputs = [*failing.process(columns(values[:5], catalogue=catalogue))]
    outputs += failing.process(columns(values[5:9], 5, catalogue=catalogue))
    (action,) = outputs
    assert isinstance(action, ActionTaken)
    assert (action.kind, action.target) == ("detector.failed", "broken")
    gone = Detect(DriftParams())
    gone.restore(failing.snapshot())
    assert gone.process(columns(values[9:20], 9)) == []


def test_a_default_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="'nix'; nobody knows it"):
        spec(DriftParams(detector="nix"))


def test_two_samples_by_hand() -> None:
    ones, others = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])
    assert ks(ones, others) == 0.5
    assert ks(ones, ones[::-1].copy()) == 0.0
    assert ks_p(0.205, 200, 100) == pytest.approx(0.0061, abs=1e-4)
    assert psi(np.array([50.0, 50.0]), np.array([50.0, 50.0])) == 0.0
    assert psi(np.array([90.0, 10.0]), np.array([50.0, 50.0])) == pytest.approx(0.858, abs=0.01)
    assert psi_p(0.25, 200, 200, 10) == pytest.approx(0.003, abs=1e-4)
    dice = np.random.default_rng(1)
    first, second = dice.normal(size=(80, 3)), dice.normal(size=(80, 3))
    assert mmd(first, second)[1] > 0.05
    assert mmd(first, second + 1.0)[1] < 1e-6
    assert mmd(first[:3], second) == (0.0, 1.0)
    assert mmd(np.ones((50, 2)), np.ones((50, 2))) == (0.0, 1.0)

"""Second tier of quality: verdicts on series, policies, and what disturbs them."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from processors.anomalies.anomaly import Anomalies, AnomalyParams, spec
from processors.anomalies.detectors import Detector
from processors.anomalies.kernels import SEEN, Floats
from processors.anomalies.multivariate import VECTOR_DETECTORS
from processors.anomalies.policies import LEAST_RATE, MOST_RATE, Choice, policies_of, rates
from processors.anomalies.state import AnomalyState
from processors.anomalies.univariate import DETECTORS
from processors.errors import InvalidParameters, PluginError
from processors.scoped import _MOST_KEPT
from schemas.catalogue import Catalogue
from schemas.codec import unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import Observation, QualityEvaluated
from schemas.processing import Output
from schemas.quality import SilenceDefined
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from schemas.topics import TOPICS
from tests.contracts.making import START, columns, observation
from tests.contracts.scenarios.quality import silence

MINUTES = 300_000


class Steps:
    """How far a value is from the one before."""

    width = 2

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:  # noqa: ARG002 - as the Protocol has it
        return abs(value - memory[0]) if memory[1] else 0.0

    def learn(self, memory: Floats, time_ms: int, value: float) -> None:  # noqa: ARG002 - as the Protocol has it
        memory[0], memory[1] = value, 1.0


class Broken(Steps):
    """A detector that fails."""

    def strangeness(self, memory: Floats, time_ms: int, value: float) -> float:  # noqa: ARG002 - as the Protocol has it
        raise PluginError("ZeroDivisionError: division by zero")


def made(detectors: Mapping[str, Detector] | None = None, **given: object) -> Anomalies:
    processor = spec(AnomalyParams(**given), plugins=detectors).build(0)  # type: ignore[arg-type]
    assert isinstance(processor, Anomalies)
    return processor


def windows(values: Sequence[float], first: int = 0, **given: str) -> list[Observation]:
    """Return windows of five minutes, the first of which ends at `first` + 1."""
    return [
        observation(value, (first + n + 1) * MINUTES, size_ms=MINUTES, metric="latency", **given)  # type: ignore[arg-type]
        for n, value in enumerate(values)
    ]


def said(processor: Anomalies, seen: list[Observation], *policies: PolicySelected) -> list[Output]:
    catalogue = Catalogue({PolicySelected: {one.scope: one for one in policies}})
    return list(processor.process(columns(seen, START, catalogue)))


def policy(scope: str, algorithm: str = "weir", **parameters: str) -> PolicySelected:
    return PolicySelected(
        scope=scope,
        component="detect",
        algorithm=algorithm,
        parameters=tuple(KeyValue(key=key, value=value) for key, value in parameters.items()),
        selected_at=START,
        event_id=f"{scope} {algorithm} {parameters}",
    )


def noise(count: int, seed: int = 2) -> list[float]:
    dice = random.Random(seed)
    return [dice.gauss(10.0, 1.0) for _ in range(count)]


def verdicts(outputs: list[Output]) -> list[tuple[str, int]]:
    """Return the verdicts and the numbers of the windows that they are of."""
    return [
        (one.verdict, (one.window_end - START) // MINUTES - 1)
        for one in outputs
        if isinstance(one, QualityEvaluated)
    ]


def test_a_spike_is_a_verdict_that_is_withdrawn_after_quiet_windows() -> None:
    values = noise(1_030)
    values[1_000] = 60.0
    seen = windows(values, service="camera")
    bad, good = said(made(), seen)
    assert verdicts([bad, good]) == [("degraded", 1_000), ("healthy", 1_008)]
    assert isinstance(bad, QualityEvaluated)
    assert (bad.app, bad.service, bad.metric) == ("digits", "camera", "latency")
    assert (bad.tier, bad.rule, bad.severity) == ("anomaly", "weir", "warning")
    assert bad.causes == (seen[1_000].event_id,)
    observed, chance = bad.findings
    assert (observed.what, observed.observed) == ("mean of latency", 60.0)
    assert observed.expected == pytest.approx(10.0, abs=0.5)
    assert chance.observed <= chance.expected == pytest.approx(2 * MINUTES / (7 * 86_400_000))
    assert bad.score >= 0.0


def test_a_series_seen_once_and_one_that_never_changes_are_quiet() -> None:
    assert said(made(), windows([7.0])) == []
    assert said(made(), windows([7.0] * 1_000)) == []


def test_early_and_repeated_windows_are_not_judged() -> None:
    processor = made()
    seen = windows(noise(300))
    said(processor, seen)
    before = processor.snapshot()
    states = unpack_state(before, AnomalyState).series
    early = [replace(one, final=False) for one in windows([60.0], first=300)]
    said(processor, [*seen[-1:], *early])
    (after,) = unpack_state(processor.snapshot(), AnomalyState).series
    assert after.memory == states[0].memory
    assert after.older == 1


def test_a_clock_that_was_set_back_is_believed_after_a_while() -> None:
    processor = made(back=10)
    said(processor, windows(noise(1_000)))
    again = windows([60.0] * 12)
    assert verdicts(said(processor, again)) == [("degraded", 9)]


def test_after_a_gap_a_series_begins_anew() -> None:
    processor = made()
    values = [*noise(1_000), 60.0]
    outputs = said(processor, [*windows(values), *windows([60.0] * 300, first=2_000)])
    assert verdicts(outputs) == [("degraded", 1_000), ("healthy", 1_000)]
    (one,) = unpack_state(processor.snapshot(), AnomalyState).series
    assert np.frombuffer(one.memory)[SEEN] == 300


def test_a_gap_within_bounds_is_no_anomaly() -> None:
    processor = made()
    assert said(processor, windows(noise(1_000))) == []
    assert said(processor, windows(noise(1_300)[1_000:], first=1_200)) == []


def test_the_narrowest_policy_is_heeded() -> None:
    values = [*noise(1_000), 60.0]
    for scope in ("detect", "detect/digits", "detect/digits/latency"):
        assert verdicts(said(made(), windows(values), policy(scope, "off"))) == []
    wide, narrow = policy("detect", "off"), policy("detect/digits/latency")
    assert verdicts(said(made(), windows(values), wide, narrow)) == [("degraded", 1_000)]
    assert verdicts(said(made(), windows(values), policy("detect/others", "off")))


def test_what_is_turned_off_is_withdrawn_and_forgotten() -> None:
    processor = made()
    said(processor, windows([*noise(1_000), 60.0]))
    end = said(processor, windows([10.0], first=1_001), policy("detect", "off"))
    assert verdicts(end) == [("healthy", 1_000)]
    assert unpack_state(processor.snapshot(), AnomalyState).series == ()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (
            policy("detect", "magic"),
            "detector 'magic' is unknown; known: dspot, half-space-trees, mahalanobis, random-cuts",
        ),
        (policy("detect", statistic="mode"), "statistic 'mode' is unknown"),
        (policy("detect", false_alarms_per_week="few"), "must be a number above 0"),
        (policy("detect", false_alarms_per_week="-1"), "must be a number above 0"),
        (policy("detect", colour="red"), "parameter 'colour' is unknown"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_once(wrong: PolicySelected, reason: str) -> None:
    processor = made()
    (action,) = said(processor, windows([1.0]), wrong)
    assert isinstance(action, ActionTaken)
    assert (action.kind, action.target) == ("policy.refused", "detect")
    assert reason in action.reason
    other = made()
    other.restore(processor.snapshot())
    assert said(other, windows([1.0], first=1), wrong) == []


def test_the_statistic_of_a_policy_is_judged() -> None:
    values = [*noise(1_000), 60.0]
    (bad,) = said(made(), windows(values), policy("detect", statistic="p99"))
    assert isinstance(bad, QualityEvaluated)
    assert bad.findings[0].what == "p99 of latency"


def test_the_rate_follows_from_the_length_of_a_window() -> None:
    found = rates(np.full(3, 2.0), np.array([60_000, 1, 3_600_000]))
    assert found.tolist() == pytest.approx([2 / 10_080, LEAST_RATE, MOST_RATE])


def test_names_of_metrics_that_never_end_do_not_pile_up() -> None:
    default = Choice(detector="weir")
    policies = policies_of({}, (), default)
    assert all(policies.of("digits", str(n)) is None for n in range(_MOST_KEPT + 1))
    assert len(policies._found) <= _MOST_KEPT


def test_detectors_of_others_are_calibrated_alike() -> None:
    values = noise(1_500)
    values[1_200] = 60.0
    found = verdicts(said(made({"steps": Steps()}), windows(values), policy("detect", "steps")))
    assert ("degraded", 1_200) in found
    assert len(found) <= 6


def test_another_detector_begins_anew_and_keeps_its_memory() -> None:
    processor = made({"steps": Steps()})
    said(processor, windows(noise(300)))
    said(processor, windows([4.0], first=300), policy("detect", "steps"))
    (one,) = unpack_state(processor.snapshot(), AnomalyState).series
    assert one.detector == "steps"
    assert np.frombuffer(one.memory)[-2:].tolist() == [4.0, 1.0]
    without = made()
    without.restore(processor.snapshot())
    assert unpack_state(without.snapshot(), AnomalyState).series == ()


def test_a_detector_that_fails_is_told_once_and_stops_nobody() -> None:
    processor = made({"broken": Broken()})
    broken = policy("detect/digits/latency", "broken")
    first = said(processor, windows(noise(10)), broken)
    assert [one.reason for one in first if isinstance(one, ActionTaken)] == [
        "detector broken: ZeroDivisionError: division by zero"
    ]
    assert said(processor, windows(noise(10), first=10), broken) == []


def test_the_longest_unused_series_is_forgotten() -> None:
    processor = made(max_series=2)
    said(processor, windows([*noise(1_000), 60.0], service="a"))
    outputs = [o for s in "bc" for o in said(processor, windows([1.0], first=1_001, service=s))]
    assert [(o.service, o.verdict) for o in outputs if isinstance(o, QualityEvaluated)] == [
        ("a", "healthy")
    ]
    kept = unpack_state(processor.snapshot(), AnomalyState).series
    assert [one.key[2] for one in kept] == ["b", "c"]


def test_the_memories_of_series_that_are_forgotten_are_used_again() -> None:
    processor = made(max_series=2)
    for service in range(100):
        said(processor, windows([1.0, 2.0], service=f"s{service}"))
    assert len(processor._memories["weir"].states) == 16
    kept = unpack_state(processor.snapshot(), AnomalyState).series
    assert [np.frombuffer(one.memory)[SEEN] for one in kept] == [2, 2]


def test_each_partition_gets_the_series_of_its_applications() -> None:
    processor = made()
    seen = windows([1.0])
    said(processor, [*seen, replace(seen[0], app="others")])
    state, share = unpack_state(processor.snapshot(), AnomalyState), spec().share
    assert share is not None
    parts = [share([state], number, lambda app: int(app == "others")) for number in (0, 1)]
    assert [[one.key[0] for one in part.series] for part in parts] == [["digits"], ["others"]]


@pytest.mark.parametrize("ends", ["off", "spot"])
def test_what_ends_a_series_is_told_after_the_windows_before(ends: str) -> None:
    processor = made()
    seen = windows([*noise(1_000), 60.0, 10.0])
    queue = [replace(one, metric="queue") for one in seen]
    assert len(said(processor, [*seen[:1_000], *queue[:1_001]])) == 1
    chosen = policy("detect/digits/queue", ends)
    outputs = said(processor, [seen[1_000], queue[1_001]], chosen)
    assert [(one.metric, one.verdict) for one in outputs if isinstance(one, QualityEvaluated)] == [
        ("latency", "degraded"),
        ("queue", "healthy"),
    ]


@pytest.mark.parametrize(
    "wrong", [{"detector": "magic"}, {"statistic": "mode"}, {"weekly": 0.0}, {"weekly": math.nan}]
)
def test_a_default_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(InvalidParameters, match=f"AnomalyParams.{name} is"):
        spec(AnomalyParams(**wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["weir", *DETECTORS, *VECTOR_DETECTORS])
def test_as_many_series_as_may_be_fit_a_snapshot(name: str) -> None:
    processor = made()
    said(processor, windows([1.0], service="a-service-with-a-name"), policy("detect", name))
    size = len(processor.snapshot()) * AnomalyParams().max_series
    assert size < TOPICS["weir.snapshots"].max_bytes


def test_a_silenced_verdict_is_told_when_the_silence_ends() -> None:
    processor = made()
    until = START + 1_002 * MINUTES
    quiet = replace(silence(START, until, service=""), tier="anomaly")
    catalogue = Catalogue({SilenceDefined: {"upkeep": quiet}})

    def see(seen: Sequence[Observation], now_ms: int) -> list[QualityEvaluated]:
        outputs = processor.process(columns(seen, now_ms, catalogue))
        return [one for one in outputs if isinstance(one, QualityEvaluated)]

    (bad,) = see(windows([*noise(1_000), 60.0], service="camera"), until - 4_000)
    assert (bad.silenced_by, bad.spell, bad.since) == (
        "silence upkeep",
        bad.event_id,
        until - 2 * MINUTES,
    )
    other = made()
    other.restore(processor.snapshot())
    processor = other
    assert processor.wake_at() == until + 1_000
    assert see([], until) == []
    (again,) = see([], until + 1_000)
    assert (again.verdict, again.silenced_by, again.spell) == ("degraded", "", bad.spell)
    assert again.event_id != bad.event_id
    assert processor.wake_at() is None
    (good,) = see(windows([10.0] * 8, first=1_001, service="camera"), until + 2_000)
    assert (good.verdict, good.silenced_by, good.spell) == ("healthy", "", bad.spell)


def test_what_is_off_takes_no_part_in_a_batch() -> None:
    quiet = windows([1.0] * 3, service="camera", first=5)
    off = policy("detect/digits/latency", "off")
    processor = made()
    loud = [replace(one, metric="load") for one in quiet]
    assert said(processor, [quiet[0], *loud, *quiet[1:]], off) == []
    kept = unpack_state(processor.snapshot(), AnomalyState).series
    assert [(one.key[5], one.last_end) for one in kept] == [("load", loud[-1].window_end)]
    assert said(processor, quiet, off) == []

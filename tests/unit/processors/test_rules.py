"""Rules of quality: hysteresis, severity, withdrawal."""

from processors.rules.quality import QualityParams, spec
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.observing import QualityEvaluated
from schemas.processing import Batch, Output
from schemas.quality import RuleDefined
from tests.contracts.making import START, observation, records

LOW = RuleDefined(
    name="low",
    metric="accuracy",
    statistic="mean",
    operator="<",
    threshold=0.8,
    clear_threshold=0.85,
    for_windows=2,
    clear_windows=2,
    severity="critical",
    registered_at=START,
    event_id="low-1",
)


def world(*rules: RuleDefined) -> Catalogue:
    return Catalogue({RuleDefined: {rule.name: rule for rule in rules}})


def judge(values: list[float], catalogue: Catalogue | None = None) -> list[Output]:
    events = [observation(value, 1_000 * (n + 1)) for n, value in enumerate(values)]
    batch = Batch(records(events), START, world(LOW) if catalogue is None else catalogue)
    return list(spec().build(0).process(batch))  # type: ignore[arg-type]


def verdicts(outputs: list[Output]) -> list[tuple[str, int]]:
    """Return each verdict and the end of its window, in seconds after START."""
    return [
        (event.verdict, (event.window_end - START) // 1_000)
        for event in outputs
        if isinstance(event, QualityEvaluated)
    ]


def test_a_verdict_needs_its_number_of_windows_in_a_row() -> None:
    #        bad  ok   bad  bad        between  good good
    values = [0.7, 0.9, 0.7, 0.6, 0.5, 0.82, 0.9, 0.84, 0.9, 0.86]

    assert verdicts(judge(values)) == [("degraded", 4), ("healthy", 10)]


def test_a_verdict_tells_what_it_rests_on() -> None:
    (one,) = judge([0.7, 0.6])

    assert isinstance(one, QualityEvaluated)
    assert (one.tier, one.rule, one.severity) == ("rules", "low", "critical")
    assert one.score == (0.8 - 0.6) / 0.8
    assert one.causes == tuple(observation(v, e).event_id for v, e in ((0.7, 1_000), (0.6, 2_000)))
    (finding,) = one.findings
    assert (finding.what, finding.observed) == ("mean of accuracy < 0.8", 0.6)


def test_a_window_is_judged_once() -> None:
    same = observation(0.7, 1_000)
    batch = Batch(records([same, same, same]), START, world(LOW))

    assert list(spec().build(0).process(batch)) == []  # type: ignore[arg-type]


def test_rules_of_other_apps_and_metrics_do_not_apply() -> None:
    elsewhere = RuleDefined(
        **{name: getattr(LOW, name) for name in LOW.__slots__} | {"app": "another"}
    )

    assert judge([0.1, 0.1], world(elsewhere)) == []


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    strange = RuleDefined(
        **{name: getattr(LOW, name) for name in LOW.__slots__} | {"for_windows": 0}
    )

    (refusal,) = judge([0.1, 0.1], world(strange))

    assert isinstance(refusal, ActionTaken)
    assert (refusal.kind, refusal.target) == ("definition.refused", "low")
    assert "for_windows is 0" in refusal.reason


def test_the_verdict_of_a_rule_that_goes_is_withdrawn() -> None:
    processor = spec().build(0)
    bad = records([observation(0.1, 1_000), observation(0.1, 2_000)])
    processor.process(Batch(bad, START, world(LOW)))  # type: ignore[arg-type]

    later = records([observation(0.1, 3_000)], 2)
    outputs = list(processor.process(Batch(later, START, world())))  # type: ignore[arg-type]

    assert verdicts(outputs) == [("healthy", 2)]


def test_a_verdict_that_is_forgotten_for_lack_of_room_is_withdrawn() -> None:
    processor = spec(QualityParams(max_judged=1)).build(0)
    bad = records([observation(0.1, 1_000), observation(0.1, 2_000)])
    processor.process(Batch(bad, START, world(LOW)))  # type: ignore[arg-type]

    other = records([observation(0.9, 3_000, service="small")], 2)
    outputs = list(processor.process(Batch(other, START, world(LOW))))  # type: ignore[arg-type]

    assert verdicts(outputs) == [("healthy", 2)]

"""Second tier of quality: metrics of one subject that are judged together."""

import random
from collections.abc import Iterator, Sequence

import pytest

from processors.anomalies.anomaly import Anomalies
from processors.anomalies.state import AnomalyState
from schemas.codec import unpack_state
from schemas.decisions import ActionTaken
from schemas.observing import Observation, QualityEvaluated
from schemas.registrations import PolicySelected
from tests.contracts.making import observation
from tests.unit.processors.test_anomaly import MINUTES, made, policy, said, verdicts

BOTH = "detect/digits/latency+load"
WINDOWS, ODD = 460, 450


def window(number: int, metric: str, value: float) -> Observation:
    end = (number + 1) * MINUTES
    return observation(value, end, size_ms=MINUTES, service="camera", metric=metric)


def pairs(count: int = WINDOWS) -> Iterator[Observation]:
    """Yield latency and load, which rise and fall together but for one window."""
    dice = random.Random(6)
    for number in range(count):
        level = dice.gauss(10.0, 1.0)
        off = 1.5 if number == ODD else 0.0
        yield window(number, "load", level - off + dice.gauss(0.0, 0.1))
        yield window(number, "latency", level + off + dice.gauss(0.0, 0.1))


def together(
    processor: Anomalies, seen: Sequence[Observation], *policies: PolicySelected
) -> list[QualityEvaluated]:
    """Return the verdicts on both at once."""
    outputs = said(processor, list(seen), *policies)
    return [
        one for one in outputs if isinstance(one, QualityEvaluated) and one.metric == "latency+load"
    ]


def test_what_each_metric_allows_both_together_may_not() -> None:
    seen = list(pairs())
    bad, good = together(made(), seen, policy(BOTH, "mahalanobis"))
    assert verdicts([bad, good]) == [("degraded", ODD), ("healthy", ODD + 8)]
    assert (bad.service, bad.rule, bad.tier) == ("camera", "mahalanobis", "anomaly")
    latency, load, _ = bad.findings
    assert (latency.what, load.what) == ("mean of latency", "mean of load")
    assert latency.observed > latency.expected == pytest.approx(10.0, abs=0.6)
    assert set(bad.causes) == {one.event_id for one in seen[2 * ODD : 2 * ODD + 2]}


def test_a_window_that_misses_a_metric_is_not_judged() -> None:
    seen = [one for number, one in enumerate(pairs()) if number != 2 * ODD]
    assert together(made(), seen, policy(BOTH, "mahalanobis")) == []


def test_windows_that_wait_are_saved() -> None:
    seen, both = list(pairs()), policy(BOTH, "mahalanobis")
    whole, first, second = made(), made(), made()
    cut = 2 * ODD + 1
    together(first, seen[:cut], both)
    (waits,) = unpack_state(first.snapshot(), AnomalyState).joints
    assert [(one.metrics, len(one.values)) for one in waits.waiting] == [(("load",), 1)]
    second.restore(first.snapshot())
    assert together(second, seen[cut:], both) == together(whole, seen, both)
    assert second.snapshot() == whole.snapshot()


def test_without_its_policy_a_vector_is_judged_no_more() -> None:
    processor, seen = made(), list(pairs())
    (bad,) = together(processor, seen[: 2 * ODD + 2], policy(BOTH, "mahalanobis"))
    (gone,) = together(processor, seen[2 * ODD + 2 :])
    assert (bad.verdict, gone.verdict, gone.spell) == ("degraded", "healthy", bad.event_id)
    assert unpack_state(processor.snapshot(), AnomalyState).joints == ()


@pytest.mark.parametrize(
    ("scope", "detector", "said_of_it"),
    [
        (BOTH, "weir", "judges no vectors"),
        ("detect/digits/load+load", "mahalanobis", "two to 5 different"),
        ("detect/digits/load+", "mahalanobis", "two to 5 different"),
        ("detect/digits/a+b+c+d+e+f", "random-cuts", "two to 5 different"),
    ],
)
def test_what_cannot_be_judged_together_is_refused(
    scope: str, detector: str, said_of_it: str
) -> None:
    (refused,) = said(made(), list(pairs(2)), policy(scope, detector))
    assert isinstance(refused, ActionTaken)
    assert said_of_it in refused.reason

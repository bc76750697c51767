"""What `weir bench quality` says of detectors of drift: scores by hand, drifts where they are."""

import numpy as np
import pytest

from streams.bench.quality_drift import STEADY, Floats, found_by, scored, turing


def test_the_score_of_the_turing_benchmark_by_hand() -> None:
    assert turing({100}, [[100]]) == 1.0
    assert turing({106}, [[100]]) == 0.5, "only the first observation is right"
    assert turing({104, 105}, [[100]]) == pytest.approx(0.8), "each counts once"
    assert turing(set(), [[100], []]) == pytest.approx(2 * 0.75 / 1.75, abs=1e-3)


def test_a_change_is_found_late_early_or_not_at_all() -> None:
    dice = np.random.default_rng(1)

    def errors(*parts: tuple[int, float]) -> Floats:
        shares = np.concatenate([np.full(count, share) for count, share in parts])
        return (dice.random(len(shares)) < shares).astype(np.float64)

    found = errors((STEADY, 0.1), (1_000, 0.6))
    early = errors((2_000, 0.1), (STEADY - 2_000, 0.6), (1_000, 0.6))
    silent = errors((STEADY + 1_000, 0.1))
    told = found_by("adwin", [found, early, silent])
    assert [len(each) for each in told] == [1, 1, 0]
    assert abs(told[0][0][1] - STEADY) < 20

    marked = [(np.concatenate([np.zeros(80), np.ones(80)]), [[80], [80]])]
    said = scored("adwin", [found, early, silent], marked)
    assert said["delay"] == told[0][0][0] - STEADY
    assert said["found"] == 0.333
    assert said["false_alarms_per_100k"] == round(100_000 / (3 * STEADY), 2)
    assert said["f1"] == pytest.approx(0.4)
    assert said["f1_annotated"] == 1.0
    assert said["f1_silent"] == pytest.approx(0.667)

"""Anomalies over the real path: a policy and observations on the log, verdicts on weir.quality."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.anomalies.anomaly import spec
from schemas.observing import QualityEvaluated
from tests.hosts.worlds import LocalWorld, World, kafka_world
from tests.unit.processors.test_anomaly import noise, policy, verdicts, windows
from tests.unit.processors.test_anomaly_joining import BOTH, ODD, pairs


@pytest.fixture(params=["local", pytest.param("kafka", marks=pytest.mark.faults)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        yield LocalWorld()
    else:
        with kafka_world(tmp_path) as made:
            yield made


def test_a_spike_is_told_once_by_the_detector_that_a_policy_chose(world: World) -> None:
    seen = windows([*noise(1_000), 60.0, *noise(20, 3)])
    detect = spec()

    def told() -> list[QualityEvaluated]:
        return [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]

    world.produce([policy("detect/digits", "seasonal"), *seen[:700]])
    world.run(detect, lambda: bool(world.events("weir.snapshots")))
    world.produce(seen[700:])
    world.run(detect, lambda: ("healthy", 1_008) in verdicts(list(told())))
    assert verdicts(list(told())) == [("degraded", 1_000), ("healthy", 1_008)]
    assert {one.rule for one in told()} == {"seasonal"}
    assert len({one.event_id for one in told()}) == len(told())


def test_metrics_that_a_policy_joins_are_judged_together_across_a_restart(world: World) -> None:
    seen, detect = list(pairs()), spec()

    def told() -> list[QualityEvaluated]:
        found = [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]
        return [one for one in found if one.metric == "latency+load"]

    world.produce([policy(BOTH, "mahalanobis"), *seen[: 2 * ODD + 1]])
    world.run(detect, lambda: bool(world.events("weir.snapshots")))
    world.produce(seen[2 * ODD + 1 :])
    world.run(detect, lambda: len(told()) == 2)
    assert verdicts(list(told())) == [("degraded", ODD), ("healthy", ODD + 8)]

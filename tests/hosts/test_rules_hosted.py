"""Rules over the real path: definitions and observations on the log, verdicts on weir.quality."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.rules.quality import spec
from schemas.observing import QualityEvaluated
from tests.contracts.making import observation
from tests.contracts.scenarios.quality import rule
from tests.hosts.worlds import LocalWorld, World, kafka_world


@pytest.fixture(params=["local", pytest.param("kafka", marks=pytest.mark.faults)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        yield LocalWorld()
    else:
        with kafka_world(tmp_path) as made:
            yield made


def test_a_verdict_is_raised_and_withdrawn_across_a_restart(world: World) -> None:
    slow = rule("slow", metric="latency", operator=">", threshold=100.0)
    levels = [50.0] * 40 + [200.0] * 40 + [50.0] * 40
    seen = [observation(one, 1_000 * n, metric="latency") for n, one in enumerate(levels)]

    def told() -> list[QualityEvaluated]:
        return [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]

    world.produce([slow, *seen[:41]])
    world.run(spec(), lambda: bool(world.events("weir.snapshots")))
    world.produce_raw("weir.observations", b"none")
    world.produce(seen[41:])
    world.run(spec(), lambda: any(one.verdict == "healthy" for one in told()))

    bad, good = told()
    assert (bad.verdict, good.verdict) == ("degraded", "healthy")
    assert bad.causes == tuple(one.event_id for one in seen[40:42])
    assert (bad.window_end, good.window_end) == (seen[41].window_end, seen[81].window_end)
    assert len(world.events("weir.deadletters")) == 1

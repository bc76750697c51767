"""Diagnoses over the real path: what was observed and violated on the log, causes on a topic."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from processors.diagnosing.diagnose import spec
from processors.diagnosing.spells import DiagnoseParams
from schemas.base import Event
from schemas.observing import QualityEvaluated
from tests.hosts.faust_world import faust_world
from tests.hosts.samples import EPOCH
from tests.hosts.worlds import LocalWorld, World
from tests.unit.processors import diagnosing_cases as cases
from tests.unit.processors.test_diagnosing import BEGINS, judged

HOUR_MS = 3_600_000
SETTLED = spec(DiagnoseParams(settle_ms=500, clear_ms=500))


@pytest.fixture(params=["local", pytest.param("faust", marks=pytest.mark.faults)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        yield LocalWorld()
    else:
        with faust_world(tmp_path) as made:
            yield made


def moved(events: Sequence[Event]) -> list[Event]:
    """Return events with their instants moved so that the log's epoch is that of the cases."""
    by = EPOCH - cases.T0 - 60_000

    def of(event: Any) -> Event:
        found = {f.name: getattr(event, f.name) for f in fields(event)}
        late = {k: v + by for k, v in found.items() if isinstance(v, int) and v > 10**12}
        later: Event = replace(event, **late)
        return later

    return [of(event) for event in events]


def test_a_slow_node_is_named_and_the_diagnosis_withdrawn(world: World) -> None:
    def told() -> list[QualityEvaluated]:
        found = [e for e in world.events("weir.quality") if isinstance(e, QualityEvaluated)]
        return [one for one in found if one.tier == "diagnosis"]

    seen = [e for window in range(BEGINS + 12) for e in judged(window, "a-1", "b-1")]
    world.produce(moved([*cases.registered(cases.T0 + 24 * HOUR_MS), *seen]))
    world.run(SETTLED, lambda: bool(told()))
    best = told()[-1].root_causes[0]
    assert (best.kind, best.name) == ("node", "n1")
    assert {f"in-time-violated-{BEGINS + 2}"} == set(told()[-1].causes)

    world.produce(moved([cases.violation(BEGINS + 14, "cleared")]))
    world.run(SETTLED, lambda: told()[-1].verdict == "healthy")
    assert told()[-1].verdict == "healthy"
    assert len({one.event_id for one in told()}) == len(told())

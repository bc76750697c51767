"""remedy and place in one Faust app on a broker: from a verdict to a decision, over a restart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from placement.control import controller
from processors.remedying import remedy
from schemas.decisions import ActionTaken, PlacementDecided
from tests.hosts.faust_world import FaustWorld, faust_world
from tests.hosts.worlds import wait_until
from tests.unit.processors import remedy_world as w

pytestmark = pytest.mark.faults


@pytest.fixture
def world(tmp_path: Path) -> Iterator[FaustWorld]:
    with faust_world(tmp_path) as made:
        yield made


def _said(world: FaustWorld, kind: str) -> list[ActionTaken]:
    every = [a for a in world.events("weir.actions") if isinstance(a, ActionTaken)]
    return [one for one in every if one.kind == kind]


def test_a_verdict_leads_to_more_copies_and_a_new_process_verifies(world: FaustWorld) -> None:
    now = world.clock()
    nodes = [replace(w.node(n), heartbeat=now, expires_at=now + 600_000) for n in "ab"]
    known = [
        w.service(max_replicas=4),
        w.selected("s"),
        replace(w.placed("s", "a"), decided_at=now),
    ]
    mend = w.defined("scale", verify_ms=4_000)
    world.produce([w.policy("installation", "act"), *nodes, *known, mend])
    specs = [remedy.spec(), controller.spec()]
    bad = replace(w.verdict(0), evaluated_at=now, window_end=now)

    with world.worker(specs) as worker:
        world.produce([bad])
        wait_until(lambda: bool(_said(world, "remedy.scale")))
        wait_until(
            lambda: any(
                isinstance(d, PlacementDecided) and d.generation == 2 and d.replicas == 2
                for d in world.events("weir.placements")
            )
        )
        assert worker.error is None
    world.produce([replace(bad, event_id="healthy", verdict="healthy")])
    with world.worker(specs) as worker:
        wait_until(lambda: bool(_said(world, "remedy.verified")))
        assert worker.error is None

    (deed,) = {one.event_id: one for one in _said(world, "remedy.scale")}.values()
    (judged,) = {one.event_id: one for one in _said(world, "remedy.verified")}.values()
    assert (deed.status, judged.helped) == ("done", True)
    assert judged.causes[0] == deed.event_id

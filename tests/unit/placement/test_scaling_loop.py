"""The whole loop: load is observed, copies are asked for, placed, bear it, and leave again."""

from typing import Any

from placement.control.controller import spec as place_spec
from placement.rollout.canary import CanaryParams
from placement.rollout.canary import spec as canary_spec
from placement.scaling.scaler import ScaleParams
from placement.scaling.scaler import spec as scale_spec
from schemas.base import Event
from schemas.decisions import ActionTaken, PlacementDecided, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from schemas.registrations import PolicySelected
from schemas.topics import topic_of
from tests.unit.placement import canary_cases, scaling_cases, world
from tests.unit.placement.scaling_cases import APP, T0, asked, busy, selected

SECOND = 1_000


class Cluster:
    """scale, canary and place, which hear one another; what copies bear follows from the load."""

    def __init__(self, *events: Event) -> None:
        self.processors: dict[str, Any] = {
            "scale": scale_spec(ScaleParams()).build(0),
            "canary": canary_spec(CanaryParams()).build(0),
            "place": place_spec().build(0),
        }
        self.catalogue = world.catalogue_of(events)
        self.now = 0
        self.deeds: list[ActionTaken] = []

    def hear(self, events: list[Event]) -> None:
        """Hand events to whoever reads their topics, and what follows in turn."""
        while events:
            lasting = [e for e in events if isinstance(e, PlacementDecided | PolicySelected)]
            self.catalogue = world.catalogue_of(lasting, self.catalogue)
            self.deeds += [event for event in events if isinstance(event, ActionTaken)]
            out: list[Event] = []
            for name, processor in self.processors.items():
                own = [e for e in events if READS[type(e).__name__] in (name, "both")]
                records = tuple(Record(e, topic_of(e), 0, self.now, T0 + self.now) for e in own)
                out += processor.process(Batch(records, T0 + self.now, self.catalogue))
            events = out

    def run(self, seconds: int, load: float, *, failing: str = "") -> None:
        """Let time pass in windows of 2 s, with a load in copies; a variant may fail."""
        for _ in range(seconds // 2):
            self.now += 2 * SECOND
            running = self.placed().assignments
            seen: list[Event] = [asked(self.now)] if load else []
            for one in running if load else ():
                seen.append(busy(load / len(running), self.now, one.instance))
                failed = 0.5 if failing and one.variant == failing else 0.0
                seen += canary_cases.results(one.node, self.now, failed)
            if load and not running:
                seen = [asked(self.now)]
            self.hear(seen or [scaling_cases.violated(self.now, "other", "cleared")])

    def placed(self) -> PlacementDecided:
        found = self.catalogue.get(PlacementDecided, "s")
        assert found is not None
        return found

    @property
    def copies(self) -> int:
        return len(self.placed().assignments)


READS = {
    "Observation": "both",
    "ContractViolated": "scale",
    "PlacementRequested": "place",
    "PlacementDecided": "",
    "PolicySelected": "",
    "ActionTaken": "",
}


def begun(*events: Event, copies: int = 1, **service: Any) -> Cluster:
    fields = {"max_replicas": 6, "min_replicas": 0, "target_load": 0.5, "idle_ms": 60_000} | service
    variants = canary_cases.service().variants
    registered = world.service("s", cpu=500, app=APP, variants=variants, **fields)
    nodes = [world.node(f"n{number}", cpu=1000) for number in range(6)]
    cluster = Cluster(registered, *nodes, selected("s"), *events)
    demands = (ServiceDemand(service="s", replicas=copies),)
    cluster.hear(
        [
            PlacementRequested(
                event_id="first",
                kind="ensemble",
                subject=APP,
                app=APP,
                demands=demands,
                reason="selection 1",
                requested_at=T0,
            )
        ]
    )
    return cluster


def test_copies_come_with_the_load_leave_with_it_sleep_and_wake() -> None:
    cluster = begun()
    assert cluster.copies == 1

    cluster.run(60, load=2.4)
    assert cluster.copies == 5
    cluster.run(180, load=0.8)
    assert cluster.copies == 2
    cluster.run(200, load=0.0)
    assert (cluster.copies, cluster.placed().status) == (0, "retired")
    cluster.run(20, load=0.3)
    assert cluster.copies == 1


def test_a_steady_load_moves_nothing() -> None:
    cluster = begun()
    cluster.run(60, load=1.4)
    generation = cluster.placed().generation

    cluster.run(300, load=1.4)
    assert cluster.placed().generation == generation


def test_what_copies_bore_that_have_left_calls_none_back() -> None:
    cluster = begun(scaling_cases.policy("installation"), copies=3)
    cluster.run(90, load=0.95)
    assert cluster.copies == 2
    generation = cluster.placed().generation

    cluster.run(180, load=0.95)
    assert cluster.placed().generation == generation


def test_a_new_version_comes_in_by_steps_until_all_copies_run_it() -> None:
    wanted = canary_cases.wanted(settle_ms="0", min_samples="500")
    cluster = begun(wanted, copies=4, max_replicas=0)

    cluster.run(120, load=1.0)

    assert [one.variant for one in cluster.placed().assignments] == ["v2"] * 4
    kinds = [deed.kind for deed in cluster.deeds]
    assert kinds == ["canary.waiting", *["canary.step"] * 4, "canary.promoted"]


def test_a_new_version_that_fails_is_taken_back_while_one_copy_runs_it() -> None:
    wanted = canary_cases.wanted(settle_ms="0")
    cluster = begun(wanted, copies=4, max_replicas=0)

    cluster.run(40, load=1.0, failing="v2")

    assert [one.variant for one in cluster.placed().assignments] == ["v1"] * 4
    kinds = [deed.kind for deed in cluster.deeds]
    assert kinds == ["canary.waiting", "canary.step", "canary.rolled-back"]

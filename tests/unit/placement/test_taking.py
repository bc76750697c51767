"""What copies are seen to take beside what is declared: how it is told, and what follows."""

from dataclasses import replace

import pytest

from placement.algorithms.names import DEFAULT, OWN
from placement.cluster.described import needs_of
from placement.control.controller import Place, PlaceParams
from placement.scaling.scaler import Scale, ScaleParams
from placement.scaling.taking import TakePolicy, correction, stepped, uses_of
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided, PlacementRequested, ServiceDemand
from schemas.processing import Batch, Record
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from schemas.resources import Variant
from schemas.working import InstanceUse, WorkerReported
from streams.placing.explaining import explained
from tests.unit.placement import scaling_cases as cases
from tests.unit.placement import world
from tests.unit.placement.world import T0

ON = TakePolicy(cpu=1)


def use(memory: int = 0, cpu: int = 0, instance: str = "s.a", service: str = "s") -> InstanceUse:
    return InstanceUse(instance=instance, service=service, cpu_milli=cpu, memory_mib=memory)


def reported(*uses: InstanceUse, at: int = T0, status: str = "running") -> WorkerReported:
    return WorkerReported(
        worker="a-1", node="a", status=status, began_at=T0, busy_share=0.5, wasted_share=0.0,
        heartbeat=at, expires_at=at + 15_000, uses=uses,
    )  # fmt: skip


def takes(service: str, at: int = T0, **told: int) -> PolicySelected:
    return PolicySelected(
        scope=f"takes/{service}",
        component="place",
        algorithm="observed",
        parameters=tuple(KeyValue(key=f"{k}/", value=str(v)) for k, v in told.items()),
        mode="act",
        selected_at=at,
        event_id=f"takes-{service}-{at}",
    )


def placed(*more: Event, variant: str = "") -> Catalogue:
    decided = world.decided("s", ["a"])
    ours = tuple(replace(one, variant=variant) for one in decided.assignments)
    return world.catalogue_of([replace(decided, assignments=ours), *more])


def told(found: PolicySelected | None) -> dict[str, str]:
    return {} if found is None else {p.key: p.value for p in found.parameters}


def test_a_copy_that_holds_more_than_it_declares_is_told_rounded_up() -> None:
    service = world.service("s", cpu=1000, memory=512)
    found = correction(service, [use(memory=800, cpu=3000)], placed(), TakePolicy(), T0)
    assert found is not None
    assert (found.scope, found.selected_at) == ("takes/s", T0)
    assert told(found) == {"cpu_milli/": "1000", "memory_mib/": "862"}
    assert told(correction(service, [use(cpu=3000)], placed(), ON, T0))["cpu_milli/"] == "3445"


@pytest.mark.parametrize("memory", [0, 100, 512, 563])
def test_what_is_declared_or_nearly_so_is_not_told(memory: int) -> None:
    service = world.service("s", memory=512)
    assert correction(service, [use(memory=memory)], placed(), TakePolicy(), T0) is None
    assert correction(service, [use(memory=9000)], Catalogue(), TakePolicy(), T0) is None


def test_the_figure_is_bounded_also_for_who_declares_nothing() -> None:
    service = world.service("s", memory=512)
    found = correction(service, [use(memory=1 << 62)], placed(), TakePolicy(), T0)
    assert told(found)["memory_mib/"] == "2048"
    nothing = correction(world.service("s", memory=0), [use(memory=9000)], placed(), ON, T0)
    assert told(nothing)["memory_mib/"] == "1024"


def test_it_rises_after_a_minute_and_falls_after_ten_and_stands_while_nobody_runs() -> None:
    service, before = world.service("s", memory=512), takes("s", memory_mib=862, cpu_milli=1000)
    known, policy = placed(before), TakePolicy()
    more, less = [use(memory=1500)], [use(memory=512)]
    assert correction(service, more, known, policy, T0 + 59_999) is None
    assert told(correction(service, more, known, policy, T0 + 60_000))["memory_mib/"] == "1723"
    assert correction(service, less, known, policy, T0 + 599_999) is None
    fallen = correction(service, less, known, policy, T0 + 600_000)
    assert told(fallen)["memory_mib/"] == "512"
    assert correction(service, [use(memory=840)], known, policy, T0 + 600_000) is None
    assert correction(service, [], known, policy, T0 + 600_000) is None
    off = correction(service, more, known, TakePolicy(memory=0), T0 + 1)
    assert told(off)["memory_mib/"] == "512"


def test_each_variant_has_its_own() -> None:
    variants = tuple(Variant(name=name, precision="", device="cpu") for name in ("v1", "v2"))
    service = world.service("s", memory=512, variants=variants)
    found = correction(service, [use(memory=800)], placed(variant="v2"), TakePolicy(), T0)
    assert told(found)["memory_mib/v1"] == "512"
    first, second = needs_of(service, found)
    assert (first.need.surplus, second.need.surplus) == ((0, 0), (0, 350))


def test_only_workers_that_live_are_heard() -> None:
    known = world.catalogue_of([reported(use(800))])
    assert list(uses_of(known, T0)) == ["s"]
    assert uses_of(known, T0 + 15_000) == {}
    assert uses_of(world.catalogue_of([reported(use(800), status="stopped")]), T0) == {}


def test_amounts_are_rounded_up_to_quarters_of_a_doubling() -> None:
    assert [stepped(n) for n in (0, 1, 2, 512, 513, 600, 1024)] == [0, 1, 2, 512, 609, 609, 1024]
    assert all(n <= stepped(n) <= n * 1.2 + 1 for n in range(1, 5000))


def test_scale_says_it_once_of_its_own_applications() -> None:
    scale = Scale(0, ScaleParams())
    mine = replace(world.service("s", memory=512), app=cases.APP)
    decided = replace(world.decided("s", ["a"]), app=cases.APP)
    ours = replace(decided, assignments=(replace(decided.assignments[0], variant=""),))
    known = world.catalogue_of([mine, ours, reported(use(800))])
    out = scale.process(Batch((), T0, known))
    assert [one.scope for one in out if isinstance(one, PolicySelected)] == ["takes/s"]
    known = world.catalogue_of([*out, reported(use(800), at=T0 + 5_000)], known)
    assert scale.process(Batch((), T0 + 5_000, known)) == []
    observes = world.catalogue_of([world.policy("place", "observe")], known)
    assert Scale(0, ScaleParams()).process(Batch((), T0 + 70_000, observes)) == []
    assert Scale(1, ScaleParams()).process(Batch((), T0, known)) == []


def asked(service: str, number: int, copies: int = 1) -> Record:
    request = PlacementRequested(
        event_id=f"ask-{service}-{copies}",
        kind="operator",
        subject=service,
        app="digits",
        demands=(ServiceDemand(service=service, replicas=copies),),
        reason="asked",
        requested_at=T0,
    )
    return Record(request, "weir.control", 0, number, T0)


def decided_by(catalogue: Catalogue, *records: Record) -> dict[str, PlacementDecided]:
    out = Place(PlaceParams()).process(Batch(records, T0, catalogue))
    return {one.service: one for one in out if isinstance(one, PlacementDecided)}


def test_who_takes_more_than_declared_is_not_packed_with_others() -> None:
    entries = [
        world.policy("installation", "act"),
        world.node("a", memory=1200),
        world.service("s", cpu=100, memory=500),
        world.service("t", cpu=100, memory=500),
    ]
    both = asked("s", 0), asked("t", 1)
    honest = decided_by(world.catalogue_of(entries), *both)
    assert {one.status for one in honest.values()} == {"placed"}
    known = world.catalogue_of([*entries, takes("s", memory_mib=800)])
    found = decided_by(known, *both)
    assert (found["s"].status, found["t"].status) == ("placed", "unplaceable")
    assert found["s"].assignments[0].memory_mib == 500
    assert "300 MiB of memory beside what it declares" in found["s"].reason
    (miss,) = found["t"].near_misses
    assert (miss.constraint, miss.needed, miss.available) == ("memory", 500.0, 400.0)
    again = explained(found["t"], known, [found["s"]], OWN[DEFAULT], {})
    assert again.agrees


def test_a_new_copy_finds_room_for_what_it_takes_and_one_that_runs_is_not_driven_out() -> None:
    entries = [
        world.policy("installation", "act"),
        world.node("a", memory=600),
        world.service("s", cpu=100, memory=500),
    ]
    first = decided_by(world.catalogue_of(entries), asked("s", 0))
    running = world.catalogue_of([*entries, first["s"], takes("s", memory_mib=800)])
    place = Place(PlaceParams())
    assert place.process(Batch((), T0, running)) == []
    fresh = decided_by(world.catalogue_of([*entries, takes("s", memory_mib=800)]), asked("s", 0))
    (miss,) = fresh["s"].near_misses
    assert (miss.constraint, miss.needed, miss.available) == ("memory", 800.0, 600.0)


def test_what_is_told_while_all_runs_counts_at_once_and_is_given_back() -> None:
    entries = [
        world.policy("installation", "act"),
        world.node("a", memory=1200),
        world.service("s", cpu=100, memory=500),
        world.service("t", cpu=100, memory=500),
    ]
    place = Place(PlaceParams())
    known = world.catalogue_of(entries)
    known = world.catalogue_of(place.process(Batch((asked("s", 0),), T0, known)), known)
    known = world.catalogue_of([takes("s", memory_mib=800)], known)
    out = place.process(Batch((asked("t", 1),), T0 + 500, known))
    assert [one.status for one in out if isinstance(one, PlacementDecided)] == ["unplaceable"]
    known = world.catalogue_of([*out, takes("s", T0 + 1, memory_mib=500)], known)
    out = place.process(Batch((), T0 + 1_000, known))
    assert [(one.service, one.status) for one in out if isinstance(one, PlacementDecided)] == [
        ("t", "placed")
    ]

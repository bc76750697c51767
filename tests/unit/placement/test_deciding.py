"""place over the real path: who gives way, who must stay, what moves, who runs the new version."""

from dataclasses import replace
from typing import Any

import pytest

from placement.control.asked import avoided
from placement.control.controller import PlaceParams, spec
from schemas.base import Event
from schemas.codec import pack
from schemas.decisions import (
    ActionTaken,
    EnsembleMember,
    EnsembleSelected,
    PlacementDecided,
    PlacementRequested,
    ServiceDemand,
)
from schemas.processing import Batch, Record
from schemas.registrations import PolicySelected, ServiceRegistered
from schemas.resources import Variant
from tests.unit.placement import world
from tests.unit.placement.scaling_cases import policy, selected
from tests.unit.placement.world import T0


class Control:
    """place, with a catalogue that sees its own decisions."""

    def __init__(self, *events: Event) -> None:
        self.place: Any = spec(PlaceParams(look_ms=500)).build(0)
        self.catalogue = world.catalogue_of(events)
        self.now, self.offset = T0, 0

    def has(self, *events: Event) -> None:
        self.catalogue = world.catalogue_of(events, self.catalogue)

    def ask(self, kind: str = "ensemble", /, **replicas: int) -> dict[str, PlacementDecided]:
        self.offset += 1
        request = PlacementRequested(
            event_id=f"request-{self.offset}",
            kind=kind,
            subject="digits",
            app="digits",
            demands=tuple(ServiceDemand(service=s, replicas=n) for s, n in replicas.items()),
            reason=f"request {self.offset}",
            requested_at=self.now,
        )
        record = Record(request, "weir.control", 0, self.offset, self.now)
        return self.heed(self.place.process(Batch((record,), self.now, self.catalogue)))

    def look(self, *events: Event, after: int = 500) -> dict[str, PlacementDecided]:
        self.has(*events)
        self.now += after
        return self.heed(self.place.process(Batch((), self.now, self.catalogue)))

    def heed(self, out: list[Event]) -> dict[str, PlacementDecided]:
        self.refused = [event for event in out if isinstance(event, ActionTaken)]
        decided = [event for event in out if isinstance(event, PlacementDecided)]
        for event in out:
            pack(event)
        self.has(*decided)
        assert len({d.service for d in decided}) == len(decided)
        return {d.service: d for d in decided}

    def restarted(self) -> None:
        """Begin anew from the snapshot, as after a crash."""
        place: Any = spec(PlaceParams(look_ms=500)).build(0)
        place.restore(self.place.snapshot())
        self.place = place

    def where(self, service: str) -> str:
        decided = self.catalogue.get(PlacementDecided, service)
        return "" if decided is None else "".join(a.node for a in decided.assignments)


def important(name: str, priority: int, cpu: int = 1000, **more: Any) -> ServiceRegistered:
    return world.service(name, cpu=cpu, priority=priority, preemption="lower", **more)


def test_the_less_important_gives_way_and_is_placed_again_when_there_is_room() -> None:
    control = Control(world.node("a", cpu=1000), world.service("low"), important("high", 5))
    control.ask(low=1)

    decided = control.ask(high=1)

    assert decided["high"].status == "placed"
    assert [(v.service, v.instance, v.node, v.priority) for v in decided["high"].victims] == [
        ("low", "low.a", "a", 0)
    ]
    assert "low.a gave way, being less important" in decided["high"].reason
    assert decided["low"].status == "unplaceable"
    assert decided["low"].waiting_since == T0
    assert "low.a gave way to high, which is more important" in decided["low"].reason

    again = control.look(world.node("b", cpu=1000))
    assert control.where("low") == "b"
    assert again["low"].waiting_since is None
    assert control.look() == {}


def test_who_gives_way_runs_elsewhere_at_once_where_there_is_room() -> None:
    control = Control(
        world.node("a", cpu=3000, gpus=("T4",)),
        world.service("low", cpu=2000),
        important("high", 5, cpu=2000, gpu_milli=500),
    )
    control.ask(low=1)
    control.has(world.node("b", cpu=2000))

    decided = control.ask(high=1)

    assert (control.where("high"), control.where("low")) == ("a", "b")
    assert [v.instance for v in decided["high"].victims] == ["low.a"]
    assert decided["low"].status == "placed"


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (world.service("low", priority=5), important("high", 5)),
        (world.service("low", priority=6), important("high", 5)),
        (world.service("low"), world.service("high", priority=5)),
        (world.service("low", min_available=1), important("high", 5)),
        (world.service("low", app="other"), important("high", 5)),
    ],
    ids=["equal", "higher", "never", "needed", "not-weirs"],
)
def test_who_must_not_be_driven_out_stays(low: ServiceRegistered, high: ServiceRegistered) -> None:
    control = Control(world.node("a", cpu=1000), low, high)
    control.ask(low=1)
    if low.app == "other":
        placed = control.catalogue.get(PlacementDecided, "low")
        assert placed is not None
        control.has(replace(placed, app="other", generation=9))
        control.has(world.policy("place/other", "observe"))

    decided = control.ask(high=1)

    assert decided["high"].status == "unplaceable"
    assert decided["high"].victims == ()
    assert control.where("low") == "a"


def test_who_is_only_recommended_to_leave_makes_no_room_for_a_deed() -> None:
    control = Control(
        world.node("a", cpu=1000),
        world.service("low", app="other"),
        important("high", 5),
        world.policy("place/other", "recommend"),
        world.policy("place/digits", "act"),
    )
    control.ask(low=1)
    placed = control.catalogue.get(PlacementDecided, "low")
    assert placed is not None
    control.has(replace(placed, app="other", generation=9))

    assert control.ask(high=1)["high"].status == "unplaceable"
    control.look(world.policy("place/other", "act"))
    assert control.ask(high=1)["high"].status == "placed"


def test_room_that_who_gave_way_leaves_over_is_for_those_who_found_none_before() -> None:
    control = Control(
        world.node("a", cpu=1500),
        world.service("low", cpu=1500),
        important("high", 5),
        world.service("small", cpu=500),
    )
    control.ask(low=1)
    assert control.ask(high=1, small=1)["small"].status == "unplaceable"

    assert control.look()["small"].status == "placed"
    assert control.look() == {}


def test_who_stays_until_others_serve_does_not_give_way() -> None:
    low = world.service("low", min_available=1)
    control = Control(world.node("a", cpu=1000), low, important("high", 5, zones=("x",)))
    control.ask(low=1)
    control.has(*serving("low", "a"))
    control.look(world.node("a", cpu=1000, status="draining"), world.node("b", cpu=1000, zone="x"))
    assert control.where("low") == "ab"
    assert control.ask(high=1)["high"].status == "unplaceable"


def test_a_copy_that_does_not_serve_yet_stands_in_for_nobody() -> None:
    low = world.service("low", min_available=1)
    control = Control(*(world.node(name, cpu=1000) for name in "ab"), low, important("high", 5))
    control.ask(low=2)
    control.has(*serving("low", "a"))
    assert control.ask(high=1)["high"].status == "unplaceable"

    control.look(*serving("low", "b"))
    assert len(control.where("high")) == len(control.where("low")) == 1


def test_a_chain_of_preemptions_ends() -> None:
    names = [f"s{rank}" for rank in range(5)]
    control = Control(
        world.node("a", cpu=1000), *(important(name, rank) for rank, name in enumerate(names))
    )
    for name in names:
        control.ask(**{name: 1})

    assert [control.where(name) for name in names] == ["", "", "", "", "a"]
    for _ in range(6):
        assert control.look() == {}


def serving(service: str, *nodes: str) -> list[Event]:
    return [world.instance(service, node) for node in nodes]


def test_a_node_is_drained_without_falling_below_what_was_promised() -> None:
    control = Control(
        *(world.node(name, cpu=1000) for name in "abc"), world.service("s", min_available=2)
    )
    control.ask(s=2)
    control.has(*serving("s", "a", "b"))

    made = control.look(world.node("a", cpu=1000, status="draining"))["s"]
    assert control.where("s") == "abc"
    assert made.status == "placed"
    assert "s.a stays until others serve" in made.reason
    assert control.look() == {}

    control.restarted()
    assert control.look() == {}
    broken = control.look(*serving("s", "c"))["s"]
    assert [a.node for a in broken.assignments] == ["b", "c"]
    assert control.look() == {}


def test_who_stays_for_now_is_lost_with_its_node() -> None:
    control = Control(
        *(world.node(name, cpu=1000) for name in "abc"), world.service("s", min_available=2)
    )
    control.ask(s=2)
    control.has(*serving("s", "a", "b"))
    control.look(world.node("a", cpu=1000, status="draining"))
    assert control.where("s") == "abc"

    control.look(world.node("a", cpu=1000, status="failed"))
    assert control.where("s") == "bc"


def test_who_was_to_leave_stays_when_the_other_is_lost() -> None:
    control = Control(world.node("a", cpu=1000), world.service("s", min_available=1))
    control.ask(s=1)
    control.has(*serving("s", "a"))
    control.look(world.node("b", cpu=1000), world.node("a", cpu=1000, status="draining"))
    assert control.where("s") == "ab"

    control.look(world.node("b", cpu=1000, status="failed"))
    assert control.where("s") == "a"
    control.look(world.node("a", cpu=1000))
    decided = control.catalogue.get(PlacementDecided, "s")
    assert decided is not None
    assert (control.where("s"), decided.status) == ("a", "placed")
    assert control.look() == {}


def test_fewer_copies_only_when_those_that_stay_serve() -> None:
    control = Control(
        *(world.node(name, cpu=1000) for name in "abc"), world.service("s", min_available=1)
    )
    control.ask(s=3)
    control.has(*serving("s", "c"))

    control.ask(s=1)
    assert control.where("s") == "ac"
    control.look(*serving("s", "a"))
    assert control.where("s") == "a"


def test_a_service_that_is_retired_leaves_at_once() -> None:
    control = Control(world.node("a"), world.service("s", min_available=1))
    control.ask(s=1)
    control.has(*serving("s", "a"))

    assert control.ask(s=0)["s"].assignments == ()


def moving(**more: str) -> PolicySelected:
    told = {"move__rebalance": "1", "move__cooldown_ms": "60000"} | more
    return replace(policy(**told), algorithm="best-fit")


def scattered(*events: Event) -> Control:
    """Return a world in which `s` stands on a large node, and a small one would be full with it."""
    control = Control(world.node("large", cpu=8000, memory=8192), world.service("s"), *events)
    control.ask(s=1)
    control.look(world.node("small", cpu=1000, memory=512))
    return control


def test_a_copy_moves_where_that_pays_and_then_rests() -> None:
    control = scattered(moving())

    assert control.where("s") == "small"
    moved = control.catalogue.get(PlacementDecided, "s")
    assert moved is not None
    assert moved.moves == 1
    assert "s.large moves from large to small, which gains" in moved.reason
    control.look(world.node("tiny", cpu=1000, memory=512))
    assert control.look() == {}


@pytest.mark.parametrize(
    "terms",
    [
        {"move__rebalance": "0"},
        {"move__cost": "5"},
        {"move__min_gain": "5"},
        {"move__budget": "0"},
    ],
)
def test_what_does_not_pay_or_is_not_allowed_stays(terms: dict[str, str]) -> None:
    control = scattered(moving(**terms))

    assert control.where("s") == "large"
    assert control.look() == {}


def test_one_application_alone_may_have_its_copies_moved() -> None:
    own = replace(moving(), scope="place/digits")
    control = scattered(replace(moving(), parameters=()), own)

    assert control.where("s") == "small"


def test_moves_heed_the_budget_of_their_interval() -> None:
    names = ("s", "t", "u")
    terms = {"move__budget": "1", "move__interval_ms": "10000"}
    control = Control(
        world.node("large", cpu=8000, memory=8192),
        *(world.service(name) for name in names),
        moving(**terms),
    )
    control.ask(s=1, t=1, u=1)
    control.has(*(world.node(f"n{n}", cpu=1000, memory=512) for n in range(3)))

    moved = []
    for after in (500, 500, 9_000, 600, 10_000):
        moved.append(len(control.look(after=after)))
        control.restarted()
    assert moved == [1, 0, 0, 1, 1]


def test_two_who_would_join_each_other_do_not_change_places() -> None:
    nodes = (world.node(name, cpu=8000, memory=8192) for name in "ab")
    terms = {"move__cost": "0", "move__min_gain": "0", "move__cooldown_ms": "0"}
    apart = world.service("t", anti_affinity=("s",))
    control = Control(*nodes, world.service("s"), apart, moving(**terms))
    control.ask(s=1)
    control.ask(t=1)
    assert control.where("s") != control.where("t")

    assert len(control.look(world.service("t"))) == 1
    assert control.where("s") == control.where("t")
    for _ in range(3):
        assert control.look() == {}


def test_a_move_is_made_before_it_breaks() -> None:
    control = Control(
        world.node("large", cpu=8000, memory=8192), world.service("s", min_available=1), moving()
    )
    control.ask(s=1)
    control.has(*serving("s", "large"))

    control.look(world.node("small", cpu=1000, memory=512))
    assert sorted(control.where("s")) == sorted("largesmall")
    control.restarted()
    assert control.look() == {}
    control.look(*serving("s", "small"))
    assert control.where("s") == "small"


def test_a_wrong_parameter_is_refused_once() -> None:
    control = Control(world.node("a"), policy(move__budget="many"))
    control.look()

    (refusal,) = control.refused
    assert "move.budget is 'many'; it must be from 0 to 1000" in refusal.reason
    control.look()
    assert control.refused == []
    control.restarted()
    control.look()
    assert control.refused == []


def versions(control: Control) -> str:
    decided = control.catalogue.get(PlacementDecided, "s")
    assert decided is not None
    return "".join(a.variant[1] for a in decided.assignments)


def test_copies_change_their_version_as_the_share_says() -> None:
    variants = tuple(Variant(name=v, precision="fp32", device="cpu") for v in ("v1", "v2"))
    control = Control(*(world.node(n) for n in "abcd"), world.service("s", variants=variants))
    control.ask(s=4)
    assert versions(control) == "1111"

    told = control.look(policy("share/s", variant="v2", share="0.25"))["s"]
    assert versions(control) == "2111"
    assert "1 of 4 copies run v2" in told.reason
    assert control.look() == {}
    control.look(policy("share/s", variant="v2", share="1.0"))
    assert versions(control) == "2222"
    control.look(policy("share/s", variant="v2", share="0.0"))
    assert versions(control) == "1111"
    control.look(policy("share/s", variant="v2", share="nonsense"))
    assert versions(control) == "1111"


def scalable(**more: Any) -> Control:
    return Control(
        *(world.node(name) for name in "abcd"), world.service("s", max_replicas=4, **more)
    )


def test_the_number_that_load_calls_for_stands_against_the_declared_one() -> None:
    control = scalable()
    control.ask(s=1)
    assert control.ask("load", s=3)["s"].replicas == 3
    control.restarted()

    control.ask(s=1)
    assert control.where("s") == "abc"
    assert control.ask(s=0)["s"].replicas == 0
    assert control.ask(s=1)["s"].replicas == 1


def test_load_revives_nobody_who_is_not_in_use() -> None:
    control = scalable()
    control.ask(s=1)
    control.ask(s=0)
    assert control.ask("load", s=2) == {}

    control.has(replace(selected("t"), app="digits"))
    assert control.ask("verdict", s=2) == {}
    shadow = EnsembleMember(service="s", weight=0.0, role="shadow")
    control.has(ensemble(shadow))
    assert control.ask("load", s=2) == {}
    control.has(ensemble(replace(shadow, role="member")))
    assert control.ask("load", s=2)["s"].replicas == 2


def ensemble(member: EnsembleMember) -> EnsembleSelected:
    return replace(selected(), app="digits", members=(member,))


def test_who_sleeps_by_load_wakes_by_load() -> None:
    control = scalable(min_replicas=0)
    control.ask(s=1)
    assert control.ask("load", s=0)["s"].replicas == 0
    control.restarted()

    assert control.ask("load", s=1)["s"].replicas == 1


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("others", [(), (world.node("z", cpu=10),)], ids=["alone", "rebuilt"])
def test_who_asks_for_more_drives_nobody_out(restarted: bool, others: tuple[Event, ...]) -> None:
    control = Control(
        world.node("a", cpu=2000), world.service("s", cpu=500), world.service("t", cpu=1000)
    )
    control.ask(s=1, t=1)
    if restarted:
        control.restarted()

    control.look(world.service("s", cpu=1500), *others)
    assert (control.where("s"), control.where("t")) == ("", "a")


def test_who_finds_no_room_when_all_is_built_anew_is_planned_again() -> None:
    control = Control(
        world.node("a", disk_mib=100),
        world.service("s", disk_mib=10),
        world.service("t", disk_mib=50),
    )
    control.ask(s=1, t=1)

    control.look(world.service("s", disk_mib=60), world.node("z", cpu=10))
    assert sorted((control.where("s"), control.where("t"))) == ["", "a"]


def test_a_policy_that_names_no_node_keeps_nobody_from_deciding() -> None:
    odd, good = policy("avoid/s", state="on"), policy("avoid/s/a", state="on")

    assert "a" in avoided(world.catalogue_of([odd, good]))["s"]

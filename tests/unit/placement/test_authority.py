"""What may be done: modes, freeze, pause, allow-lists, owners, and recommendations let happen."""

from dataclasses import replace

import pytest

from placement import authority
from placement.authority import Limits, Ruling, ruling
from placement.local.actuation import Actuation
from placement.local.fleet import LocalNode, StartWorker
from schemas.authority import draining, mode_of
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken, PlacementDecided
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from schemas.resources import Variant
from tests.unit.placement import world
from tests.unit.placement.world import T0

ACT = world.policy("installation", "act")
FILES = Limits()


def switch(scope: str, state: str = "on", **more: str) -> PolicySelected:
    told = {"state": state, "reason": "repairs"} | more
    parameters = tuple(KeyValue(key=key, value=value) for key, value in told.items())
    return replace(world.policy(scope, "act"), parameters=parameters)


def let(decided: PlacementDecided) -> PolicySelected:
    return switch(f"apply/{decided.service}", decision=authority.written(decided))


def known(*more: Event) -> Catalogue:
    return world.catalogue_of([world.service("s"), *more])


def test_without_policies_everything_is_only_recommended() -> None:
    told = world.decided("s", ["a"])
    ruled = ruling(told, known(), FILES)
    assert (ruled.decided, ruled.policy, ruled.held) == (None, "place/digits", True)
    assert "generation 1 waits" in ruled.reason
    assert ruling(told, known(ACT), FILES) == Ruling(told)
    assert authority.may_decide(known(), "digits")


@pytest.mark.parametrize(
    ("policies", "mode"),
    [
        ([], "recommend"),
        ([("installation", "act")], "act"),
        ([("installation", "act"), ("place", "observe")], "observe"),
        ([("place", "observe"), ("place/digits", "act")], "act"),
        ([("place", "observe"), ("place/other", "act")], "observe"),
        ([("place", "act")], "recommend"),
        ([("place/digits", "act")], "act"),
        ([("place", "act"), ("installation", "act")], "act"),
        ([("place", "nonsense"), ("installation", "act")], "act"),
    ],
)
def test_the_most_special_policy_tells_the_mode(policies: list[tuple[str, str]], mode: str) -> None:
    catalogue = known(*(world.policy(*policy) for policy in policies))
    assert mode_of(catalogue, "place", "digits") == mode
    assert authority.may_decide(catalogue, "digits") is (mode != "observe")


def test_what_was_let_happen_stays_until_the_next_is() -> None:
    first, second = world.decided("s", ["a"]), world.decided("s", ["b"], 2)
    assert ruling(first, known(let(first)), FILES) == Ruling(first)
    waiting = ruling(second, known(let(first)), FILES)
    assert (waiting.decided, waiting.held) == (first, True)
    assert "generation 2 waits" in waiting.reason
    again = world.decided("s", ["a"])
    assert ruling(again, known(let(second)), FILES).decided is None, "it is of a former life"
    made_in_act = replace(second, mode="act")
    assert ruling(made_in_act, known(), FILES) == Ruling(made_in_act)
    spoiled = switch("apply/s", decision='{"generation": 1}')
    assert authority.approved(known(spoiled), "s") is None


@pytest.mark.parametrize("scope", ["freeze", "freeze/digits"])
def test_a_freeze_holds_whatever_the_mode_is(scope: str) -> None:
    told = replace(world.decided("s", ["a"]), mode="act")
    frozen = known(ACT, switch(scope))
    ruled = ruling(told, frozen, FILES)
    assert (ruled.decided, ruled.policy, ruled.held) == (None, scope, True)
    assert "repairs" in ruled.reason
    assert not authority.may_decide(frozen, "digits")
    assert authority.may_decide(frozen, "other") is (scope != "freeze")
    assert authority.served(told, frozen) is None
    thawed = known(ACT, switch(scope, "off"))
    assert ruling(told, thawed, FILES) == Ruling(told)


def test_workers_serve_what_is_in_force_and_what_says_nothing_of_its_mode() -> None:
    old = world.decided("s", ["a"])
    told = replace(old, mode="recommend")
    assert authority.served(old, known()) == old, "it is older than modes"
    assert authority.served(told, known()) is None
    assert authority.served(told, known(ACT)) == told
    assert authority.served(replace(told, generation=2), known(let(told))) == told


def test_a_pause_stops_decisions_and_no_deed() -> None:
    told = world.decided("s", ["a"])
    catalogue = known(ACT, switch("pause"))
    assert not authority.may_decide(catalogue, "digits")
    assert ruling(told, catalogue, FILES) == Ruling(told)


def test_nodes_drain_while_somebody_says_so() -> None:
    assert draining(known(switch("drain/a"), switch("drain/b", "off"))) == {"a"}


@pytest.mark.parametrize(
    ("image", "registries", "allowed"),
    [
        ("minio/minio", (), False),
        ("minio/minio", ("docker.io",), True),
        ("minio/minio:2", ("docker.io/minio",), True),
        ("minio/minio", ("docker.io/min",), False),
        ("nginx", ("docker.io/library",), True),
        ("nginx@sha256:0", ("docker.io/library/nginx",), True),
        ("localhost:5000/a/b:1", ("localhost:5000",), True),
        ("evil.io/docker.io/minio", ("docker.io",), False),
        ("EVIL/minio", ("docker.io",), False),
        ("ghcr.io/team/model:1", ("ghcr.io/team/",), True),
        ("anywhere.org/x", ("*",), True),
    ],
)
def test_images_come_from_registries_on_the_list(
    image: str, registries: tuple[str, ...], allowed: bool
) -> None:
    service = replace(world.service("s", artifact=""), image=image)
    told = authority.outside(service, Limits(registries=registries))
    assert (told is None) is allowed
    assert allowed or (told is not None and told[0] == "image registries" and image in told[1])


def test_artifacts_of_variants_and_namespaces_are_looked_at_too() -> None:
    variant = Variant(name="gpu", precision="fp16", device="cuda", artifact="s3://b/k")
    elsewhere = world.service("s", variants=(variant,))
    assert authority.outside(elsewhere, FILES) == (
        "artifact schemes",
        "artifacts by s3 are not on the list: file",
    )
    spaced = world.service("s", namespace="kube-system")
    told = authority.outside(spaced, Limits(namespaces=("models",)))
    assert told == ("namespaces", "namespace kube-system is not on the list: models")
    assert authority.outside(replace(spaced, namespace="models"), Limits(namespaces=("*",))) is None


def test_what_is_not_its_applications_own_is_refused() -> None:
    app = world.application("digits", owner="alice")
    catalogue = world.catalogue_of([world.service("s", owner="bob"), app, ACT])
    ruled = ruling(world.decided("s", ["a"]), catalogue, FILES)
    assert (ruled.decided, ruled.policy, ruled.held) == (None, "owners", False)
    assert "bob" in ruled.reason
    assert "alice" in ruled.reason
    nobodys = world.catalogue_of([world.service("s", owner="bob"), replace(app, owner=""), ACT])
    told = world.decided("s", ["a"])
    assert ruling(told, nobodys, FILES) == Ruling(told), "what has no owner is everybody's"
    foreign = replace(told, app="other")
    assert "decision to other" in ruling(foreign, known(ACT), FILES).reason
    retired = world.decided("s", (), 2)
    assert ruling(retired, catalogue, FILES) == Ruling(retired), "what leaves asks nobody"
    assert authority.may_change("", "bob", "it") == authority.may_change("bob", "bob", "it") == ""
    assert authority.may_change("alice", "", "it").startswith("it belongs to alice; nobody")


def test_the_local_actuator_does_nothing_while_frozen_and_goes_on_after() -> None:
    actuation = Actuation([LocalNode(name="a", cpu_milli=4000, memory_mib=2048)])
    told = known(ACT, world.decided("s", ["a"]))
    frozen = world.catalogue_of([switch("freeze")], told)
    steps = [actuation.step(T0 + after, frozen, ()) for after in (0, 1, 90_000)]
    assert not any(step.instructions for step in steps)
    actions = [e for step in steps for e in step.events if isinstance(e, ActionTaken)]
    assert [(e.kind, e.status, e.policy) for e in actions] == [
        ("service.refused", "refused", "freeze")
    ]
    assert actuation.step(T0 + 90_001, told, ()).instructions == (StartWorker("a", "a-1"),)

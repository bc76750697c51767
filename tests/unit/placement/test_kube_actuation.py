"""Decisions and a cluster that others change, too: what is applied, left alone, deleted, told."""

import copy
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.kube.answers import Answer, answer, away
from placement.kube.manifests import GENERATION, INSTANCE, MANAGED, generation_of
from schemas.decisions import ActionTaken
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from tests.golden.write_manifests import decided
from tests.unit.placement.kube_world import (
    ACT,
    DIGITS,
    ORPHAN_MS,
    Actor,
    FakeCluster,
    deeds,
    phases,
    placed,
    world,
)
from tests.unit.placement.world import T0, catalogue_of, service, without

NS = "weir-workloads"


def deployment(cluster: FakeCluster, node: str) -> tuple[str, str, str]:
    """Return the key of the Deployment of the copy on a node."""
    (found,) = (
        key
        for key, body in cluster.objects.items()
        if key[0] == "Deployment" and body["metadata"]["annotations"][INSTANCE] == f"digits.{node}"
    )
    return found


def ready(cluster: FakeCluster, *nodes: str) -> None:
    for node in nodes:
        cluster.serve(deployment(cluster, node), readyReplicas=1, updatedReplicas=1)


def test_a_decision_is_carried_out_once_root_first(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a", "b"))
    assert deeds(actor.turn(catalogue)) == [("service.apply", "done")]
    assert [key[0] for _, key in cluster.asked] == ["ConfigMap", "Deployment", "Deployment"]
    root = cluster.objects["ConfigMap", NS, "digits"]["metadata"]["uid"]
    owners = [
        body["metadata"]["ownerReferences"][0]["uid"]
        for (kind, *_), body in cluster.objects.items()
        if kind == "Deployment"
    ]
    assert owners == [root, root]
    ready(cluster, "a", "b")
    assert phases(actor.turn(catalogue)) == [("available", "")]
    assert actor.turn(catalogue) == []
    assert len(cluster.asked) == 3


def test_another_actuator_finds_it_done(cluster: FakeCluster, actor: Actor) -> None:
    actor.turn(world(placed(1, "a")))
    another = Actor(cluster)
    assert deeds(another.turn(world(placed(1, "a")))) == []
    another.close()


def test_a_move_makes_and_deletes_and_leaves_the_rest(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a", "b"))
    actor.turn(catalogue)
    kept = deployment(cluster, "b")
    template = cluster.objects[kept]["spec"]
    actor.turn(world(placed(2, "b", "c"), base=catalogue))
    assert len(cluster.names("Deployment")) == 2
    assert cluster.objects[kept]["spec"] == template
    assert cluster.objects[kept]["metadata"]["annotations"][GENERATION] == "2"
    assert deployment(cluster, "c")


def test_what_another_hand_has_changed_is_mended(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    key = deployment(cluster, "a")
    cluster.put(cluster.objects[key] | {"spec": cluster.objects[key]["spec"] | {"replicas": 0}})
    (told,) = [e for e in actor.turn(catalogue) if isinstance(e, ActionTaken)]
    assert (told.kind, told.status) == ("service.mend", "done")
    assert "spec.replicas" in told.reason
    assert cluster.objects[key]["spec"]["replicas"] == 1
    cluster.delete(key)
    assert deeds(actor.turn(catalogue)) == [("service.mend", "done")]
    assert deployment(cluster, "a") == key


def test_who_comes_again_after_others_deleted_all_of_it_is_no_mending(
    cluster: FakeCluster, actor: Actor
) -> None:
    actor.turn(world(placed(1, "a")))
    cluster.objects.clear()
    assert deeds(actor.turn(world())) == []
    assert deeds(actor.turn(world(placed(1, "a")))) == [("service.apply", "done")]


def test_what_others_add_is_theirs(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    key = deployment(cluster, "a")
    body = cluster.objects[key]
    body["metadata"]["labels"]["team"] = "vision"
    body["spec"]["template"]["spec"]["containers"].append({"name": "sidecar"})
    cluster.put(body)
    assert deeds(actor.turn(catalogue)) == []


def test_what_the_server_writes_otherwise_is_not_written_for_ever(
    cluster: FakeCluster, actor: Actor
) -> None:
    def normal(body: dict[str, Any]) -> None:
        if body["kind"] == "Deployment":
            body["spec"]["progressDeadlineSeconds"] = 601

    cluster.stores = normal
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    asked = len(cluster.asked)
    assert deeds(actor.turn(catalogue)) == []
    assert len(cluster.asked) == asked


def test_an_older_generation_is_refused_once(cluster: FakeCluster, actor: Actor) -> None:
    actor.turn(world(placed(4, "a")))
    late = Actor(cluster)
    older = world(placed(3, "b"))
    assert deeds(late.turn(older)) == [("service.refused", "refused")]
    assert deeds(late.turn(older)) == []
    assert deployment(cluster, "a")
    assert len(cluster.names("Deployment")) == 1
    late.close()


def test_who_has_not_heard_of_the_newer_one_is_stopped_by_it(cluster: FakeCluster) -> None:
    first, second = Actor(cluster), Actor(cluster)
    first.turn(world(placed(1, "a")))
    second.look()
    first.turn(world(placed(3, "a", "b")))
    told = second.turn(world(placed(2, "c")), look=False)
    assert deeds(told) == [("service.apply", "refused")]
    assert len(cluster.names("Deployment")) == 2
    assert {generation_of(body) for body in cluster.objects.values()} == {3}
    for each in (first, second):
        each.close()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 6), st.booleans()), min_size=1, max_size=14
    )
)
def test_no_generation_ever_falls_whoever_acts(turns: list[tuple[int, int, bool]]) -> None:
    """Each actor hears of decisions in order; neither hears of the other's, nor looks in time."""
    cluster = FakeCluster()
    actors = (Actor(cluster), Actor(cluster))
    heard = [1, 1]
    highest: dict[Any, int] = {}
    for who, generation, look in turns:
        heard[who] = max(heard[who], generation)
        nodes = [] if heard[who] == 5 else [f"n{heard[who]}", "shared"]
        actors[who].turn(world(placed(heard[who], *nodes)), look=look)
        for key, body in cluster.objects.items():
            found = generation_of(body)
            assert found >= highest.get(key, 0)
            highest[key] = found
    for actor in actors:
        actor.close()


@pytest.mark.parametrize("at", range(1, 5))
def test_a_newer_decision_wins_whenever_it_comes(at: int) -> None:
    """The newer one is carried out by another actuator just before the first's call `at`."""
    cluster = FakeCluster()
    first, second = Actor(cluster), Actor(cluster)
    first.turn(world(placed(1, "a", "b")))
    uid = cluster.objects[deployment(cluster, "a")]["metadata"]["uid"]
    before = len(cluster.asked)
    acting: list[bool] = []

    def interrupt(_verb: str, _key: Any) -> None:
        if len(cluster.asked) == before + at and not acting:
            acting.append(True)
            second.turn(world(placed(3, "a", "d")))

    cluster.answers = interrupt
    first.turn(world(placed(2, "b", "c")))
    assert acting
    kept = cluster.objects[deployment(cluster, "a")]["metadata"]["uid"]
    assert kept == uid
    second.turn(world(placed(3, "a", "d")))
    assert {generation_of(body) for body in cluster.objects.values()} == {3}
    copies = {body["metadata"]["annotations"].get(INSTANCE) for body in cluster.objects.values()}
    assert copies == {None, "digits.a", "digits.d"}
    for each in (first, second):
        each.close()


def test_what_is_retired_goes_and_its_root_stays_for_a_while(
    cluster: FakeCluster, actor: Actor
) -> None:
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    retired = world(placed(2), base=catalogue)
    assert deeds(actor.turn(retired)) == [("service.remove", "done")]
    assert list(cluster.objects) == [("ConfigMap", NS, "digits")]
    assert phases(actor.turn(retired)) == [("removed", "")]
    late = Actor(cluster)
    assert deeds(late.turn(catalogue)) == [("service.refused", "refused")]
    late.close()
    actor.turn(retired, T0 + ORPHAN_MS)
    assert cluster.objects == {}
    assert deeds(actor.turn(retired, T0 + 2 * ORPHAN_MS)) == []


def test_what_no_service_of_the_catalogue_wants_goes_after_a_while(
    cluster: FakeCluster, actor: Actor
) -> None:
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    for name, labels in (("other", {}), ("by-hand", {MANAGED: "weir"})):
        meta = {"name": name, "namespace": NS, "labels": labels}
        cluster.put({"kind": "ConfigMap", "metadata": meta})
    gone = without(catalogue, placed(1, "a"))
    assert deeds(actor.turn(gone)) == []
    assert deeds(actor.turn(gone, T0 + ORPHAN_MS - 1)) == []
    assert deeds(actor.turn(gone, T0 + ORPHAN_MS)) == [("service.remove", "done")]
    assert cluster.names("ConfigMap") == ["by-hand", "other"]
    assert cluster.names("Deployment") == []


def frozen() -> PolicySelected:
    state = (KeyValue(key="state", value="on"), KeyValue(key="reason", value="an audit"))
    return replace(ACT, scope="freeze", event_id="freeze", parameters=state)


def test_nothing_is_done_while_frozen(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a"))
    actor.turn(catalogue)
    before = dict(cluster.objects)
    still = world(frozen(), placed(2, "b"), base=catalogue)
    assert deeds(actor.turn(still)) == [("service.refused", "refused")]
    for now_ms in (T0, T0 + 10 * ORPHAN_MS):
        actor.turn(without(still, placed(2, "b")), now_ms)
    assert cluster.objects == before


def test_recommended_is_not_applied(cluster: FakeCluster, actor: Actor) -> None:
    recommend = replace(ACT, mode="recommend", event_id="recommend")
    wise = replace(placed(1, "a"), mode="recommend")
    catalogue = catalogue_of([recommend, DIGITS, wise])
    assert deeds(actor.turn(catalogue)) == [("service.refused", "refused")]
    assert cluster.objects == {}
    actor.turn(catalogue_of([ACT], catalogue))
    assert deployment(cluster, "a")


def test_an_object_of_others_is_left_alone(cluster: FakeCluster, actor: Actor) -> None:
    theirs = {"kind": "ConfigMap", "metadata": {"name": "digits", "namespace": NS}}
    cluster.put(theirs)
    catalogue = world(placed(1, "a"))
    (deed,) = [e for e in actor.turn(catalogue) if isinstance(e, ActionTaken)]
    assert (deed.status, "others have made it" in deed.reason) == ("refused", True)
    assert cluster.objects == {("ConfigMap", NS, "digits"): theirs}


def test_what_is_deleted_is_still_ours(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a", "b"))
    actor.turn(catalogue)
    actor.look()
    key = deployment(cluster, "a")
    adopted = copy.deepcopy(cluster.objects[key])
    adopted["metadata"]["labels"] = {}
    cluster.put(adopted)
    told = actor.turn(world(placed(2, "b"), base=catalogue), look=False)
    assert deeds(told) == [("service.apply", "refused")]
    assert key in cluster.objects


def test_fields_that_others_own_are_taken_back_and_told(cluster: FakeCluster, actor: Actor) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl": it'}
    body = {"reason": "Conflict", "details": {"causes": [cause | {"field": ".spec.replicas"}]}}

    def contested(verb: str, key: Any) -> Answer | None:
        return answer(409, body) if (verb, key[0]) == ("apply", "Deployment") else None

    cluster.answers = contested
    told = actor.turn(world(placed(1, "a")))
    assert deeds(told) == [("service.apply", "done"), ("fields.reclaim", "done")]
    (deed,) = [e for e in told if isinstance(e, ActionTaken) and e.kind == "fields.reclaim"]
    assert {entry.key: entry.value for entry in deed.parameters}["fields"] == ".spec.replicas"
    assert deployment(cluster, "a")


REFUSALS = {
    "Invalid": answer(422, {"reason": "Invalid", "message": "spec.replicas: must be a number"}),
    "Forbidden": answer(403, {"reason": "Forbidden", "message": "no"}),
    "Unauthorized": answer(401, {"reason": "Unauthorized", "message": "Unauthorized"}),
    "NoAnswer": away("connection refused"),
    "TooManyRequests": answer(429, {"reason": "TooManyRequests", "message": "later"}, "7"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_plan_that_fails_half_way_says_where_and_why_and_is_tried_again(
    cluster: FakeCluster, actor: Actor, reason: str
) -> None:
    def refuse(verb: str, key: Any) -> Answer | None:
        return REFUSALS[reason] if (verb, key[0]) == ("apply", "Deployment") else None

    cluster.answers = refuse
    catalogue = world(placed(1, "a"))
    told = [e for e in actor.turn(catalogue) if isinstance(e, ActionTaken)]
    assert deeds(told) == [("service.apply", "failed")]
    details = {entry.key: entry.value for entry in told[0].parameters}
    assert details["applied"] == f"ConfigMap {NS}/digits"
    assert details["object"].startswith("Deployment ")
    assert phases(actor.turn(catalogue)) == [("failed", reason)]
    asked = len(cluster.asked)
    cluster.answers = lambda _verb, _key: None
    wait_ms = 8500 if reason == "TooManyRequests" else 1000
    assert deeds(actor.turn(catalogue, T0 + wait_ms // 4)) == []
    assert len(cluster.asked) == asked
    assert deeds(actor.turn(catalogue, T0 + wait_ms)) == [("service.apply", "done")]
    ready(cluster, "a")
    assert phases(actor.turn(catalogue, T0 + wait_ms)) == [("available", "")]


def test_a_try_whose_answer_was_lost_is_no_trouble_once_it_is_seen_to_be_done(
    cluster: FakeCluster, actor: Actor
) -> None:
    catalogue, another = world(placed(1, "a")), Actor(cluster)
    cluster.answers = lambda _verb, _key: REFUSALS["NoAnswer"]
    actor.turn(catalogue)
    assert phases(actor.turn(catalogue)) == [("failed", "NoAnswer")]
    cluster.answers = lambda _verb, _key: None
    another.turn(catalogue)
    ready(cluster, "a")
    assert ("available", "") in phases(actor.turn(catalogue, T0 + 1000))
    another.close()


def test_who_does_not_answer_for_one_service_is_not_asked_for_the_next(
    cluster: FakeCluster, actor: Actor
) -> None:
    other = service("other")
    cluster.answers = lambda _verb, _key: REFUSALS["NoAnswer"]
    actor.turn(world(placed(1, "a"), other, decided(other, "a")))
    assert len(cluster.asked) == 1


def test_what_is_leaving_is_waited_for(cluster: FakeCluster, actor: Actor) -> None:
    catalogue = world(placed(1, "a", "b"))
    actor.turn(catalogue)
    for node in "ab":
        body = copy.deepcopy(cluster.objects[deployment(cluster, node)])
        body["metadata"]["deletionTimestamp"] = "now"
        body["spec"]["replicas"] = 0
        cluster.put(body)
    asked = len(cluster.asked)
    assert deeds(actor.turn(catalogue)) == []
    actor.turn(world(placed(2, "b"), base=catalogue))
    assert [key[0] for _, key in cluster.asked[asked:]] == ["ConfigMap"]


def test_another_object_of_the_same_name_is_not_the_one_to_delete(
    cluster: FakeCluster, actor: Actor
) -> None:
    catalogue = world(placed(1, "a", "b"))
    actor.turn(catalogue)
    actor.look()
    key = deployment(cluster, "a")
    another = copy.deepcopy(cluster.objects[key])
    another["metadata"]["uid"] = "another"
    cluster.put(another)
    told = actor.turn(world(placed(2, "b"), base=catalogue), look=False)
    assert deeds(told) == [("service.apply", "done")]
    assert key in cluster.objects


def test_what_there_is_no_time_for_comes_next_without_a_word(cluster: FakeCluster) -> None:
    actor = Actor(cluster, budget_s=0.05)
    catalogue = world(placed(1, "a", "b"))
    slow = iter([True])

    def answers(_verb: str, _key: Any) -> None:
        if next(slow, False):
            time.sleep(0.1)

    cluster.answers = answers
    assert deeds(actor.turn(catalogue)) == []
    assert cluster.names("Deployment") == []
    assert cluster.names("ConfigMap") == ["digits"]
    assert deeds(actor.turn(catalogue)) == [("service.apply", "done")]
    assert len(cluster.names("Deployment")) == 2
    actor.close()


def test_nothing_is_concluded_before_all_has_been_listed(actor: Actor) -> None:
    from placement.kube.view import Observed

    step = actor.actuation.step(T0, world(placed(1, "a")), Observed({}, complete=False))
    assert step.instructions == ()
    heard = Observed({}, complete=False, troubles=("the API server does not answer: x",))
    (deed,) = actor.actuation.step(T0, world(), heard).events
    assert isinstance(deed, ActionTaken)
    assert (deed.kind, deed.status) == ("cluster.watch", "failed")
    (deed,) = actor.actuation.step(T0, world(), Observed({}, complete=False)).events
    assert isinstance(deed, ActionTaken)
    assert deed.status == "done"


NOT_ALLOWED = {
    "names": {"environment": (KeyValue(key="a b", value="x"),)},
    "image registries": {"image": "evil.example/x"},
    "namespaces": {"namespace": "kube-system"},
    "artifact schemes": {"artifact": "http://example.com/m.onnx"},
    "patch": {"patch": '{"metadata": {"namespace": "kube-system"}}'},
    "pod security": {"patch": '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'},
}


@pytest.mark.parametrize("policy", NOT_ALLOWED)
def test_what_is_not_allowed_is_refused_by_the_rule(
    cluster: FakeCluster, actor: Actor, policy: str
) -> None:
    catalogue = world(replace(DIGITS, **NOT_ALLOWED[policy]), placed(1, "a"))
    (deed,) = [e for e in actor.turn(catalogue) if isinstance(e, ActionTaken)]
    assert (deed.kind, deed.status, deed.policy) == ("service.refused", "refused", policy)
    assert cluster.objects == {}
    actor.turn(world(replace(DIGITS, event_id="mended"), base=catalogue))
    assert deployment(cluster, "a")


@pytest.mark.parametrize(
    "brought",
    [
        '{"containers": [{"name": "worker", "image": "evil.example/x"}]}',
        '{"volumes": [{"name": "x", "image": {"reference": "evil.example/x"}}]}',
    ],
)
def test_an_image_that_a_patch_brings_in_is_on_the_list_or_refused(
    cluster: FakeCluster, brought: str
) -> None:
    patch = f'{{"spec": {{"template": {{"spec": {brought}}}}}}}'
    catalogue = world(replace(DIGITS, patch=patch), placed(1, "a"))
    for registries, allowed in (((), False), (("evil.example",), True)):
        actor = Actor(cluster, registries=registries)
        actor.turn(catalogue)
        assert bool(cluster.objects) is allowed
        actor.close()


def test_a_retired_service_that_never_ran_leaves_nothing(
    cluster: FakeCluster, actor: Actor
) -> None:
    actor.turn(world(placed(1)))
    assert cluster.asked == []

"""Several installations in one cluster, and several actuators of one installation."""

from dataclasses import replace

from placement.kube.manifests import MANAGED, owner_of
from placement.kube.tenure import EXPIRY_S, Tenure, holder_of
from tests.unit.placement.kube_world import (
    ACT,
    DIGITS,
    ORPHAN_MS,
    Actor,
    FakeCluster,
    deeds,
    placed,
    world,
)
from tests.unit.placement.world import T0, catalogue_of


def test_two_installations_leave_each_others_objects_alone(
    cluster: FakeCluster, actor: Actor
) -> None:
    ours, theirs = world(placed(1, "a")), world(placed(7, "b"))
    actor.turn(ours)
    before = dict(cluster.objects)
    another = Actor(cluster, owner="weir-blue")
    for now_ms in (T0, T0 + ORPHAN_MS, T0 + 3 * ORPHAN_MS):
        told = another.turn(theirs, now_ms)
        assert deeds(told) in ([], [("service.apply", "refused")])
        another.turn(world(), now_ms)
    assert cluster.objects == before
    elsewhere = replace(DIGITS, namespace="blue")
    another.close()
    another = Actor(cluster, owner="weir-blue", namespaces=("blue",))
    blue = catalogue_of([ACT, elsewhere, placed(7, "b")])
    assert deeds(another.turn(blue)) == [("service.apply", "done")]
    made = [body for (_, space, _), body in cluster.objects.items() if space == "blue"]
    assert {owner_of(body) for body in made} == {"weir-blue"}
    (deployed,) = (body for body in made if body["kind"] == "Deployment")
    selected = deployed["spec"]["selector"]["matchLabels"]
    assert selected.items() <= deployed["spec"]["template"]["metadata"]["labels"].items()
    assert selected[MANAGED] == "weir-blue"
    for now_ms in (T0, T0 + ORPHAN_MS, T0 + 3 * ORPHAN_MS):
        assert deeds(actor.turn(world(), now_ms)) in ([], [("service.remove", "done")])
    assert {space for _, space, _ in cluster.objects} == {"blue"}
    another.close()


class Candidate:
    """An actuator that looks at the Lease of a cluster in memory."""

    def __init__(self, cluster: FakeCluster, who: str) -> None:
        self.cluster = cluster
        self.tenure = Tenure(who, "weir", "w")

    def look(self, now_s: float) -> str:
        """Look, write what is to be written, and return who has the Lease then."""
        now = self.cluster.get(self.tenure.key)
        found = now.body if now.done else None
        wanted = self.tenure.claim(now_s, f"at {now_s:9.1f}", found)
        if wanted is not None:
            assert self.cluster.apply(wanted, version=now.version).done
            self.tenure.took()
        return holder_of(self.cluster.get(self.tenure.key).body)


def test_who_begins_takes_the_lease_and_who_had_it_leaves_it(cluster: FakeCluster) -> None:
    old, new = Candidate(cluster, "old"), Candidate(cluster, "new")
    assert old.look(0.0) == "old"
    assert new.look(1.0) == "new"
    for now_s in range(2, 100, 4):
        assert old.look(now_s) == "new"
        assert new.look(now_s + 1) == "new"
    (lease,) = cluster.objects.values()
    assert lease["spec"]["leaseTransitions"] == 2
    assert lease["spec"]["acquireTime"] < lease["spec"]["renewTime"]


def test_a_lease_that_is_not_renewed_is_taken_by_ones_own_clock(cluster: FakeCluster) -> None:
    old, new = Candidate(cluster, "old"), Candidate(cluster, "new")
    old.look(0.0)
    new.look(1_000_000.0)
    assert old.look(5.0) == "new"
    assert old.look(5.0 + EXPIRY_S - 0.1) == "new"
    assert old.look(5.0 + EXPIRY_S) == "old"
    assert new.look(1_000_001.0) == "old", "who was away finds that it has lost its turn"


def test_a_lease_that_was_given_up_is_free_at_once(cluster: FakeCluster) -> None:
    old, new = Candidate(cluster, "old"), Candidate(cluster, "new")
    old.look(0.0)
    new.look(1.0)
    (lease,) = cluster.objects.values()
    assert old.tenure.given_up(lease) is None
    free = new.tenure.given_up(lease)
    assert free is not None
    cluster.apply(free, version=cluster.version)
    assert old.look(2.0) == "old"


def test_whose_turn_it_is_is_told_when_it_changes() -> None:
    tenure = Tenure("me", "weir", "w")
    held = ["", "me", "me", "you", "you", "", "me"]
    told = [[(e.kind, e.status) for e in tenure.news(T0, holder)] for holder in held]
    lease = "cluster.lease"
    assert told == [[], [], [], [(lease, "refused")], [], [], [(lease, "done")]]

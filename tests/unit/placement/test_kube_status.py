"""What Deployments and Pods tell of a placement."""

from typing import Any

import pytest

from placement.kube.kinds import key_of
from placement.kube.manifests import INSTANCE, manifests
from placement.kube.status import standing
from placement.kube.view import Group
from tests.golden.write_manifests import CASES, PARAMS
from tests.unit.placement.kube_world import DIGITS, placed

DECIDED = placed(2, "a", "b")


def group(*statuses: dict[str, Any], pods: tuple[dict[str, Any], ...] = ()) -> Group:
    """Return the Deployments of copies a and b with these statuses, and Pods of copy a."""
    made = [m for m in manifests(DECIDED, DIGITS, {}, PARAMS) if m["kind"] == "Deployment"]
    found = {key_of(m): {**m, "status": s} for m, s in zip(made, statuses, strict=False)}
    labels = made[0]["spec"]["template"]["metadata"]["labels"]
    for number, status in enumerate(pods):
        meta = {"name": f"p{number}", "namespace": "n", "labels": labels}
        found["Pod", "n", f"p{number}"] = {"kind": "Pod", "metadata": meta, "status": status}
    return found


READY = {"readyReplicas": 1, "updatedReplicas": 1}


def waiting(reason: str, message: str = "why", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"ready": False, "state": state, **more}]}


def unschedulable() -> dict[str, Any]:
    told = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {"phase": "Pending", "conditions": [told | {"message": "0/3 nodes: no GPU"}]}


CRASHED = {"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}


@pytest.mark.parametrize(
    ("found", "phase", "reason", "told"),
    [
        (group({}, {}), "progressing", "", "it was asked for"),
        (group(READY, READY), "available", "", "2 of 2 copies serve"),
        (group(READY, {}), "degraded", "", "1 of 2 copies serve"),
        (
            group({}, {}, pods=(waiting("ImagePullBackOff"),)),
            "failed",
            "ImagePullBackOff",
            "digits.a: ImagePullBackOff: why",
        ),
        (
            group({}, {}, pods=(waiting("CrashLoopBackOff", "back-off", **CRASHED),)),
            "failed",
            "CrashLoopBackOff",
            "it ended with 137 (OOMKilled)",
        ),
        (group({}, {}, pods=(waiting("ContainerCreating"),)), "progressing", "", "asked for"),
        (group({}, {}, pods=(unschedulable(),)), "failed", "Unschedulable", "no GPU"),
        (
            group(READY, {}, pods=(unschedulable(),)),
            "degraded",
            "Unschedulable",
            "1 of 2 copies serve; digits.a: Unschedulable: 0/3 nodes: no GPU",
        ),
        (
            group({}, {}, pods=({"phase": "Failed", "reason": "Evicted", "message": "disk"},)),
            "failed",
            "Evicted",
            "disk",
        ),
    ],
)
def test_a_standing(found: Group, phase: str, reason: str, told: str) -> None:
    stands = standing(DECIDED, found)
    assert (stands.phase, stands.reason) == (phase, reason)
    assert told in stands.message


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (("ReplicaFailure", "True", "FailedCreate"), "FailedCreate"),
        (("Progressing", "False", "ProgressDeadlineExceeded"), "ProgressDeadlineExceeded"),
        (("Progressing", "True", "NewReplicaSetCreated"), ""),
    ],
)
def test_conditions_of_a_deployment(condition: tuple[str, str, str], reason: str) -> None:
    kind, status, why = condition
    told = {"type": kind, "status": status, "reason": why, "message": "quota"}
    assert standing(DECIDED, group({"conditions": [told]}, {})).reason == reason


def test_what_could_not_be_done_comes_before_what_is_seen() -> None:
    stands = standing(DECIDED, group(READY, READY), ("Forbidden", "Forbidden: no"))
    assert (stands.phase, stands.reason, stands.ready) == ("degraded", "Forbidden", 2)


def test_copies_of_an_older_generation_and_unseen_changes_do_not_count() -> None:
    later = placed(3, "a", "b")
    assert standing(later, group(READY, READY)).ready == 0
    found = group(READY, READY)
    for body in found.values():
        body["metadata"]["generation"] = 2
    assert standing(DECIDED, found).ready == 0


def test_copies_that_kubernetes_scales_are_as_many_as_it_has_scaled_to() -> None:
    placing, registered = CASES["scaled"]
    (made,) = (m for m in manifests(placing, registered, {}, PARAMS) if m["kind"] == "Deployment")
    status = {"readyReplicas": 1, "updatedReplicas": 1}
    spec = {**made["spec"], "replicas": 1}
    stands = standing(placing, {key_of(made): {**made, "spec": spec, "status": status}})
    assert (stands.desired, stands.ready, stands.phase) == (1, 1, "available")


def test_a_retired_service_is_removed_when_nothing_is_left() -> None:
    assert standing(placed(3), group(READY)).phase == "progressing"
    assert standing(placed(3), {}).phase == "removed"


def test_pods_of_other_copies_and_those_that_leave_say_nothing() -> None:
    found = dict(group({}, {}, pods=(unschedulable(), unschedulable())))
    found["Pod", "n", "p0"]["metadata"]["labels"] = {INSTANCE: "other"}  # type: ignore[index]
    found["Pod", "n", "p1"]["metadata"] = {  # type: ignore[index]
        **found["Pod", "n", "p1"]["metadata"],
        "deletionTimestamp": "now",
    }
    assert standing(DECIDED, found).phase == "progressing"

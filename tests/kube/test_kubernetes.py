"""What Weir asks of Kubernetes, asked of a real API server. One file: one cluster is started."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from placement.errors import NotDeployable
from placement.kube.answers import Verdict
from placement.kube.door import ABSENT, Kube, Patience, connect
from placement.kube.kinds import KINDS, key_of, rights
from placement.kube.manifests import INSTANCE, ManifestParams, belonging, manifests, owner_of
from schemas.decisions import (
    ActionTaken,
    DeploymentObserved,
)
from schemas.registrations import NodeReported, ServiceRegistered
from tests.kube import deploying, services
from tests.kube.asking import Api, Document, Refused
from tests.kube.driving import Driven, acting, request
from tests.kube.playing import GPU, Fate, waiting
from tests.kube.servers import Cluster
from tests.kube.services import placed, reported, service
from tests.kube.smoke import smoke
from workers.settings import KubeSettings

pytestmark = pytest.mark.timeout(300)
NODES = {"a": reported("a", 4), "b": reported("b", 2), "c": reported("c")}
_names = count()


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Api]:
    made = cluster.api()
    yield made
    made.close()


@pytest.fixture
def kube(cluster: Cluster) -> Iterator[Kube]:
    made = connect(str(cluster.kubeconfig), patience=Patience(watch_s=5))
    yield made
    made.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace with the account that Pods of workers run as; it is emptied in the end."""
    name = f"test-{next(_names)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": KubeSettings().account}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


def until(found: Callable[[], object], limit_s: float = 15.0) -> None:
    deadline = time.monotonic() + limit_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def path_of(manifest: Document) -> str:
    kind, namespace, name = key_of(manifest)
    return KINDS[kind].path(namespace, name)


def version_of(found: Document) -> str:
    """Return what changes with what is wanted of an object, but not with what came of it."""
    held = found["metadata"]
    return str(held.get("generation") or held["resourceVersion"])


def config_map(namespace: str, name: str = "x", **data: str) -> Document:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def made_of(wanted: ServiceRegistered, namespace: str, *nodes: str, **more: object) -> tuple:
    params = ManifestParams(namespace=namespace)
    return manifests(placed(wanted, *nodes, **more), wanted, NODES, params)


@pytest.mark.parametrize("wanted", [services.FULL, services.SCALED, services.WORKER, service("x")])
def test_manifests_are_taken_as_they_are(
    kube: Kube, namespace: str, wanted: ServiceRegistered
) -> None:
    gpus = tuple(range(wanted.gpus))
    for manifest in made_of(wanted, namespace, "a", "b", gpus=gpus):
        said = kube.apply(manifest)
        assert said.done, f"{manifest['kind']}: {said.message}"
        again = kube.apply(manifest)
        assert version_of(again.body) == version_of(said.body)


@given(services.services())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_is_registered_is_taken_or_refused_before_it_is_sent(
    api: Api, wanted: ServiceRegistered
) -> None:
    try:
        found = made_of(wanted, "default", "a", "b")
    except NotDeployable:
        return
    for manifest in found:
        dry = "&dryRun=All"
        try:
            api.apply(path_of(manifest), manifest, f"weir{dry}")
        except Refused as error:
            pytest.fail(f"{manifest['kind']} of {wanted}: {error}")


def test_a_version_fences_what_two_write(kube: Kube, namespace: str) -> None:
    first = kube.apply(config_map(namespace, a="1"), version=ABSENT)
    assert first.done
    assert kube.apply(config_map(namespace, a="2"), version=ABSENT).verdict is Verdict.CHANGED
    assert kube.apply(config_map(namespace, a="3"), version=first.version).done
    late = kube.apply(config_map(namespace, a="4"), version=first.version)
    assert late.verdict is Verdict.CHANGED
    assert kube.get(("ConfigMap", namespace, "x")).body["data"] == {"a": "3"}


def test_what_another_manager_owns_is_taken_only_by_force(
    api: Api, kube: Kube, namespace: str
) -> None:
    wanted = config_map(namespace, a="ours")
    api.apply(path_of(wanted), config_map(namespace, a="theirs"), "kubectl")
    said = kube.apply(wanted)
    assert said.verdict is Verdict.OWNED
    assert said.contested == (("kubectl", ".data.a"),)
    assert kube.apply(wanted, force=True).body["data"] == {"a": "ours"}


def test_a_misspelt_field_is_refused(kube: Kube, namespace: str) -> None:
    wanted = made_of(service("x"), namespace, "a")[1]
    wanted["spec"]["template"]["spec"]["nodeSelektor"] = {}
    said = kube.apply(wanted)
    assert said.verdict is Verdict.INVALID
    assert "nodeSelektor" in said.message


def test_a_watch_goes_on_where_it_ended(api: Api, kube: Kube, namespace: str) -> None:
    listed = kube.listed("ConfigMap", namespace)
    first = kube.apply(config_map(namespace, "first"))
    seen = kube.watch("ConfigMap", namespace, version=listed.version)
    while (change := next(seen)).body["metadata"]["name"] != "first":
        pass
    assert change.kind == "ADDED"
    seen.close()
    kube.apply(config_map(namespace, "second"))
    kube.delete(("ConfigMap", namespace, "first"))
    resumed = kube.watch("ConfigMap", namespace, version=first.version)
    told = [(c.kind, c.body["metadata"]["name"]) for c in (next(resumed), next(resumed))]
    assert told == [("ADDED", "second"), ("DELETED", "first")]
    resumed.close()


def test_closing_ends_a_watch(kube: Kube, namespace: str) -> None:
    ended = threading.Event()

    def follow() -> None:
        list(kube.watch("Pod", namespace))
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.2)
    kube.close()
    assert ended.wait(4)
    thread.join()


def test_deployments_become_pods_and_go_with_the_root(api: Api, kube: Kube, namespace: str) -> None:
    root, *rest = made_of(service("x", gpu_milli=1000), namespace, "a", "b", gpus=(0,))
    held = kube.apply(root).body
    for manifest in rest:
        assert kube.apply(belonging(manifest, held)).done
    pods = KINDS["Pod"].path(namespace)
    until(lambda: len([p for p in api.items(pods) if "podIP" in p["status"]]) == 2)
    nodes = {pod["spec"]["nodeName"]: pod for pod in api.items(pods)}
    assert set(nodes) == {"a", "b"}
    limits = nodes["a"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits[GPU] == "1"
    assert kube.delete(key_of(root)).done
    until(lambda: not api.items(pods) and not deployments(api, namespace))


def test_who_is_allowed_everything_lacks_no_right(kube: Kube, namespace: str) -> None:
    assert kube.missing(rights((namespace,), nodes=True, others=True)) == ([], None)


@pytest.fixture
def driven(cluster: Cluster, namespace: str) -> Iterator[Driven]:
    with Driven(cluster.kubeconfig, namespace) as made:
        made.tell(acting())
        yield made


def deployments(api: Api, namespace: str) -> list[Document]:
    return api.items(KINDS["Deployment"].path(namespace))


def test_from_a_request_to_what_was_observed(cluster: Cluster, api: Api, namespace: str) -> None:
    with Driven(cluster.kubeconfig, namespace, placing=True) as driven:
        driven.tell(acting(), service("asked", gpus=1, gpu_milli=1000, replicas=2))
        driven.until(lambda: len(driven.heard(NodeReported)) >= 3)
        driven.tell(request("asked", 2))
        driven.until(lambda: driven.phase("asked") == "available")
        (decided,) = driven.log.events("weir.placements")[-1:]
        assert {each.node for each in decided.assignments} == {"a", "b"}
        seen = driven.last(DeploymentObserved, "asked")
        assert (seen.desired, seen.ready, seen.causes) == (2, 2, (decided.event_id,))
        pods = api.items(KINDS["Pod"].path(namespace))
        assert {pod["spec"]["nodeName"] for pod in pods} == {"a", "b"}
        driven.tell(request("asked", 0))
        driven.until(lambda: driven.phase("asked") == "removed")
        assert deployments(api, namespace) == []


def test_drift_by_other_hands_is_mended(api: Api, driven: Driven, namespace: str) -> None:
    wanted = service("drifting", ports=(8080,))
    driven.tell(wanted, placed(wanted, "a"))
    driven.until(lambda: driven.phase("drifting") == "available")
    (found,) = deployments(api, namespace)
    path = path_of(found | {"kind": "Deployment"})
    label = {"metadata": {"labels": {"somebody": "else"}}}
    api.merge(path, label | {"spec": {"replicas": 3}}, "?fieldManager=somebody")
    driven.until(lambda: api.get(path)["spec"]["replicas"] == 1)
    assert api.get(path)["metadata"]["labels"]["somebody"] == "else"
    taken_back = [e for e in driven.heard(ActionTaken) if e.kind == "fields.reclaim"]
    assert "somebody" in taken_back[-1].reason
    reached = KINDS["Service"].path(namespace)
    for gone in (path, f"{reached}/drifting"):
        uid = api.get(gone)["metadata"]["uid"]
        api.delete(gone)
        driven.until(lambda gone=gone, uid=uid: uid_of(api, gone) not in ("", uid))


def uid_of(api: Api, path: str) -> str:
    try:
        return str(api.get(path)["metadata"]["uid"])
    except Refused:
        return ""


def test_what_nobody_wants_goes_and_what_is_not_ours_stays(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    wanted = service("orphan")
    with Driven(cluster.kubeconfig, namespace) as first:
        first.tell(acting(), wanted, placed(wanted, "a"))
        first.until(lambda: deployments(api, namespace))
    api.apply(path_of(config_map(namespace, "theirs")), config_map(namespace, "theirs"), "them")
    with Driven(cluster.kubeconfig, namespace, orphan_ms=0) as second:
        second.tell(acting())
        second.until(lambda: not deployments(api, namespace))
        kept = {m["metadata"]["name"] for m in api.items(KINDS["ConfigMap"].path(namespace))}
        assert "theirs" in kept
        assert "orphan" not in kept


def test_of_two_actuators_the_one_that_began_last_acts(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    wanted, other = service("torn"), service("unheard-of")
    with Driven(cluster.kubeconfig, namespace, orphan_ms=0) as old:
        old.tell(acting(), wanted, placed(wanted, "a", generation=1))
        old.until(lambda: set(generations(api, namespace)) == {"torn.a"})
        with Driven(cluster.kubeconfig, namespace, orphan_ms=0) as new:
            new.tell(acting(), wanted, placed(wanted, generation=2))
            new.until(lambda: not generations(api, namespace) and not roots(api, namespace))
            new.tell(other, placed(other, "b"))
            new.until(lambda: set(generations(api, namespace)) == {"unheard-of.b"})
            old.until(lambda: any(e.kind == "cluster.lease" for e in old.heard(ActionTaken)))
            settled = generations(api, namespace)
            for _ in range(10):
                old.turn()
                new.turn()
            assert generations(api, namespace) == settled
        old.tell(placed(wanted, "b", generation=3))
        old.until(lambda: set(generations(api, namespace)) == {"torn.b"})


def test_two_installations_in_one_namespace_leave_each_others_objects_alone(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    one, two, both = service("green"), service("blue"), service("both", ports=(80,))
    with (
        Driven(cluster.kubeconfig, namespace, orphan_ms=0) as green,
        Driven(cluster.kubeconfig, namespace, orphan_ms=0, installation="blue") as blue,
    ):
        green.tell(acting(), one, both, placed(one, "a"), placed(both, "a"))
        green.until(lambda: green.phase("both") == green.phase("green") == "available")
        blue.tell(acting(), two, both, placed(two, "a"), placed(both, "b", generation=9))
        blue.until(lambda: blue.phase("blue") == "available")
        blue.until(lambda: any(e.status == "refused" for e in blue.heard(ActionTaken)))
        settled = generations(api, namespace)
        assert set(settled) == {"green.a", "both.a", "blue.a"}
        for _ in range(10):
            green.turn()
            blue.turn()
        assert generations(api, namespace) == settled
        managers = {
            entry["manager"]
            for found in deployments(api, namespace)
            if found["metadata"]["annotations"][INSTANCE] == "blue.a"
            for entry in found["metadata"]["managedFields"]
            if entry["operation"] == "Apply"
        }
        assert managers == {"weir-blue"}
        blue.tell(placed(two, generation=2))
        blue.until(lambda: blue.phase("blue") == "removed")
        assert set(generations(api, namespace)) == {"green.a", "both.a"}


def roots(api: Api, namespace: str) -> list[Document]:
    """Return what is there that services of ours belong to."""
    labelled = api.items(KINDS["ConfigMap"].path(namespace))
    return [found for found in labelled if owner_of(found)]


def generations(api: Api, namespace: str) -> dict[str, int]:
    """Return by instance how often what is wanted of its Deployment has changed."""
    return {
        found["metadata"]["annotations"][INSTANCE]: found["metadata"]["generation"]
        for found in deployments(api, namespace)
    }


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_what_goes_wrong_is_told_with_its_reason(
    driven: Driven, namespace: str, fates: dict[str, Fate], reason: str
) -> None:
    fates[namespace] = waiting(reason, "because of a test")
    wanted = service("failing")
    driven.tell(wanted, placed(wanted, "a"))
    driven.until(lambda: driven.phase("failing") == "failed")
    assert reason in driven.last(DeploymentObserved, "failing").message
    assert "because of a test" in driven.last(DeploymentObserved, "failing").message


def test_what_the_scheduler_has_no_place_for_is_told(driven: Driven) -> None:
    wanted = service("greedy", gpus=1, gpu_milli=1000)
    driven.tell(wanted, placed(wanted, "c", gpus=(0,)))
    driven.until(lambda: driven.phase("greedy") == "failed")
    assert "Insufficient nvidia.com/gpu" in driven.last(DeploymentObserved, "greedy").message


def test_nodes_are_told_as_they_are_and_as_they_change(api: Api, driven: Driven) -> None:
    driven.until(lambda: {e.node for e in driven.heard(NodeReported)} >= {"a", "b", "c"})
    first = driven.last(NodeReported, "a")
    assert (first.cpu_milli, first.memory_mib, first.status) == (16_000, 65_536, "ready")
    assert [gpu.model for gpu in first.gpus] == ["NVIDIA-A100-SXM4-40GB"] * 4
    assert first.gpus[0].memory_mib == 40_960
    assert driven.last(NodeReported, "c").gpus == ()
    api.merge("/api/v1/nodes/c", {"spec": {"unschedulable": True}})
    driven.until(lambda: driven.last(NodeReported, "c").status == "draining")
    api.merge("/api/v1/nodes/c", {"spec": {"unschedulable": None}})
    driven.until(lambda: driven.last(NodeReported, "c").status == "ready")


def test_the_smoke_of_any_cluster_is_as_it_should_be(cluster: Cluster, api: Api) -> None:
    said: list[str] = []
    smoke(str(cluster.kubeconfig), said.append)
    assert said[-1] == "retired, nothing of it is left"
    spaces = [n for n in api.items("/api/v1/namespaces") if "smoke" in n["metadata"]["name"]]
    assert all(found["status"]["phase"] == "Terminating" for found in spaces)


def test_what_is_shipped_can_be_applied_and_gives_control_its_rights(
    api: Api, tmp_path: Path
) -> None:
    kinds = [kind for folder in deploying.FOLDERS for kind in deploying.apply_all(api, folder)]
    assert {"Deployment", "Role", "ClusterRole", "NetworkPolicy"} <= set(kinds)
    own = deploying.kubeconfig_of(api, "weir", "weir-control", tmp_path / "control")
    where = KubeSettings().namespace
    with Driven(own, where) as driven:
        wanted = service("as-control", ports=(80,), min_available=1)
        driven.tell(acting(), wanted, placed(wanted, "a"))
        driven.until(lambda: driven.phase("as-control") == "available")
        driven.tell(placed(wanted, generation=2))
        driven.until(lambda: driven.phase("as-control") == "removed")
    with closing(connect(str(own))) as door:
        assert door.missing(rights((where,), nodes=True, others=True)) == ([], None)
        beyond = door.get(("ConfigMap", "kube-system", "extension-apiserver-authentication"))
        assert beyond.verdict is Verdict.FORBIDDEN


def test_credentials_that_are_not_known_any_more_are_told_and_nothing_crashes(
    api: Api, tmp_path: Path, namespace: str
) -> None:
    withdrawn = deploying.kubeconfig_by(api, "withdrawn", tmp_path / "withdrawn")
    wanted = service("lost")
    with Driven(withdrawn, namespace) as driven:
        driven.tell(acting(), wanted, placed(wanted, "a"))
        driven.until(lambda: driven.heard(ActionTaken))
        told = driven.heard(ActionTaken)[0]
        assert (told.kind, told.status) == ("cluster.watch", "failed")
        assert "does not accept our credentials" in told.reason
    assert deployments(api, namespace) == []


def test_a_server_that_is_away_is_waited_for_and_then_knows_no_old_versions(
    cluster: Cluster, api: Api, kube: Kube, namespace: str
) -> None:
    before = kube.listed("ConfigMap", namespace).version
    assert kube.apply(config_map(namespace)).done
    api.close()
    cluster.stop("apiserver")
    hasty = connect(str(cluster.kubeconfig), patience=Patience(all_s=0.3))
    assert hasty.get(("ConfigMap", namespace, "x")).verdict is Verdict.AWAY
    hasty.close()
    cluster.start_api()
    assert kube.apply(config_map(namespace, a="1")).done
    (ended,) = kube.watch("ConfigMap", namespace, version=before)
    assert ended.answer is not None
    assert ended.answer.verdict is Verdict.EXPIRED

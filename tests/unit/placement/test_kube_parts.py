"""The small parts: names, patches, answers, delays, differences, views."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.errors import NotDeployable
from placement.kube.answers import Verdict, answer, away
from placement.kube.backoff import Backoff
from placement.kube.drift import differences
from placement.kube.kinds import KINDS, rights
from placement.kube.manifests import GENERATION, generation_of, manifests
from placement.kube.manifests_names import dns_name, is_label, port_name
from placement.kube.manifests_patch import merged
from placement.kube.view import View
from schemas.resources import Volume
from tests.golden.write_manifests import PARAMS
from tests.unit.placement.kube_world import DIGITS, placed

TEXTS = st.text(max_size=80) | st.from_regex(r"[a-z0-9]([-a-z0-9]{0,70}[a-z0-9])?", fullmatch=True)


@given(st.sets(TEXTS, max_size=8), st.sampled_from([46, 63]))
def test_names_are_labels_and_differ_as_what_they_name(texts: set[str], limit: int) -> None:
    names = {dns_name(text, limit) for text in texts}
    assert len(names) == len(texts)
    assert all(is_label(name) and len(name) <= limit for name in names)


def test_nobody_can_choose_the_name_that_another_is_given() -> None:
    given = dns_name("Bad Name")
    assert is_label(given)
    assert dns_name("digits") == "digits"
    assert dns_name(given) != given


def test_names_of_ports() -> None:
    assert port_name("http", 80, "tcp") == "http"
    assert port_name("", 80, "tcp") == "tcp-80"
    assert port_name("Much too long for a port", 80, "udp") == "udp-80"


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the table of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    "patch",
    [
        "no json",
        "[]",
        {"metadata": {"namespace": "kube-system"}},
        {"metadata": {"labels": {"weir.dev/service": "other"}}},
        {"metadata": {"labels": None}},
        {"metadata": {"annotations": {"weir.dev/generation": "9"}}},
        {"spec": {"selector": {"matchLabels": {"a": "b"}}}},
        {"spec": {"template": {"metadata": {"labels": {"weir.dev/instance": None}}}}},
        {"kind": "DaemonSet"},
        pod(serviceAccountName="admin"),
        pod(automountServiceAccountToken=True),
        pod(nodeName="other"),
        pod(affinity=None),
        pod(hostPID=True),
        pod(priorityClassName="system-node-critical"),
        pod(securityContext=None),
        pod(securityContext={"runAsUser": 0}),
        pod(volumes=[{"name": "x", "hostPath": {"path": "/etc"}}]),
        pod(volumes=[{"name": "x", "hostPath": {"path": "/data/../etc"}}]),
        pod(containers=[{"name": "w", "securityContext": {"privileged": True}}]),
        pod(initContainers=[{"name": "i", "securityContext": {"runAsNonRoot": False}}]),
        pod(containers=[{"name": "w", "securityContext": {"capabilities": {"add": ["ALL"]}}}]),
        pod(containers=[{"name": "w", "securityContext": {"capabilities": "ALL"}}]),
        pod(containers=[{"name": "w", "ports": [{"containerPort": 80, "hostPort": 80}]}]),
        pod(containers=[{"name": ["w"]}]),
        pod(containers=["w"]),
        pod(containers={"w": {}}),
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        pod(securityContext="none"),
        pod(volumes=["x"]),
        pod(volumes=[{"name": "x", "hostPath": {"path": 7}}]),
        pod(volumes=[{"name": "x", "projected": {"sources": [{"serviceAccountToken": {}}]}}]),
        {"spec": {"replicas": 50}},
    ],
    ids=str,
)
def test_what_no_patch_may_do(patch: Any) -> None:
    text = patch if isinstance(patch, str) else json.dumps(patch)
    with pytest.raises(NotDeployable):
        manifests(placed(1, "a"), replace(DIGITS, patch=text), {}, PARAMS)


@pytest.mark.parametrize("levels", [40, 900, 100_000])
def test_a_patch_that_goes_too_deep_is_refused(levels: int) -> None:
    patch = '{"a": ' + "[" * levels + "]" * levels + "}"
    with pytest.raises(NotDeployable):
        manifests(placed(1, "a"), replace(DIGITS, patch=patch), {}, PARAMS)


@pytest.mark.parametrize(
    "more",
    [
        {"volumes": (Volume(name="x", path="/x", kind="tape"),)},
        {"volumes": (Volume(name="x", path="/x", kind="claim", source="Not A Name"),)},
        {"volumes": (Volume(name="x", path="/x", kind="host", source="/etc"),)},
        {"tolerations": ("a b:NoSchedule",)},
        {"tolerations": ("=x",)},
        {"namespace": "Upper"},
    ],
    ids=str,
)
def test_what_kubernetes_would_refuse_is_not_made(more: dict[str, Any]) -> None:
    with pytest.raises(NotDeployable):
        manifests(placed(1, "a"), replace(DIGITS, **more), {}, PARAMS)


def test_a_share_that_no_node_can_give_is_refused() -> None:
    (copy,) = placed(1, "a").assignments
    shared = replace(placed(1, "a"), assignments=(replace(copy, gpu_index=0, gpu_milli=300),))
    with pytest.raises(NotDeployable, match="whole GPUs only"):
        manifests(shared, DIGITS, {}, PARAMS)


@pytest.mark.parametrize(
    ("code", "body", "verdict"),
    [
        (201, {}, Verdict.DONE),
        (401, {}, Verdict.UNKNOWN),
        (403, {}, Verdict.FORBIDDEN),
        (404, {}, Verdict.ABSENT),
        (409, {}, Verdict.CHANGED),
        (409, {"details": {"causes": [{"reason": "FieldManagerConflict"}]}}, Verdict.OWNED),
        (410, {}, Verdict.EXPIRED),
        (422, {}, Verdict.INVALID),
        (418, {}, Verdict.INVALID),
        (429, {}, Verdict.BUSY),
        (500, {"message": "etcd"}, Verdict.BUSY),
        (500, {"message": "failed to create typed patch object (x)"}, Verdict.INVALID),
        (503, {}, Verdict.BUSY),
    ],
)
def test_an_answer(code: int, body: dict[str, Any], verdict: Verdict) -> None:
    said = answer(code, body, "12")
    assert said.verdict is verdict
    assert said.done == (code < 300)
    assert said.done or (said.retry_after_s == 12.0 and said.message)


def test_expired_credentials_are_told_as_such() -> None:
    assert "expired" in answer(401, {}).message
    assert (
        away("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired").verdict is Verdict.UNKNOWN
    )
    assert away("connection refused").verdict is Verdict.AWAY


@given(st.integers(1, 60), st.floats(0, 1), st.none() | st.floats(0, 100))
def test_delays_grow_to_a_limit_and_heed_the_server(
    failures: int, chance: float, asked_s: float | None
) -> None:
    backoff = Backoff(first_s=0.1, longest_s=30.0)
    delay_s = backoff.delay_s(failures, chance, asked_s)
    assert (asked_s or 0.0) <= delay_s <= (asked_s or 0.0) + 30.0
    assert backoff.delay_s(failures, 1.0) <= backoff.delay_s(failures + 1, 1.0)


@pytest.mark.parametrize(
    ("wanted", "found", "paths"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ()),
        ({"a": 1}, {"a": 2}, ("a",)),
        ({"a": {}}, {}, ()),
        ({"a": False}, {}, ("a",)),
        ({"a": 0}, {"a": False}, ("a",)),
        ({"a": {"b": 1}}, {"a": None}, ("a.b",)),
        ({"l": [{"name": "x", "v": 1}]}, {"l": [{"name": "y"}, {"name": "x", "v": 1}]}, ()),
        ({"l": [{"name": "x", "v": 1}]}, {"l": [{"name": "x", "v": 2}]}, ("l[x].v",)),
        ({"l": [1, 2]}, {"l": [1, 3]}, ("l[1]",)),
        ({"l": [1, 2]}, {"l": [1]}, ("l",)),
        ({"l": [{"name": ["x"]}]}, {"l": [{"name": "x"}]}, ("l[0].name",)),
    ],
)
def test_differences(wanted: Any, found: Any, paths: tuple[str, ...]) -> None:
    assert differences(wanted, found) == paths


def thing(name: str, version: str, label: str = "s") -> dict[str, Any]:
    meta = {"name": name, "namespace": "n", "resourceVersion": version}
    return {"kind": "ConfigMap", "metadata": meta | {"labels": {"weir.dev/service": label}}}


def test_a_view_takes_no_older_version_and_keeps_what_it_gave() -> None:
    view = View()
    assert view.put(thing("a", "5"))
    before = view.groups()
    assert not view.put(thing("a", "4"))
    assert view.groups()["s"] is before["s"]
    assert view.put(thing("a", "12", "t"))
    assert set(view.groups()) == {"t"}
    assert set(before) == {"s"}
    view.put(thing("b", "13"))
    view.replace("ConfigMap", "n", [thing("b", "13")])
    assert set(view.groups()) == {"s"}
    view.replace("Pod", "n", [])
    view.replace("ConfigMap", "m", [])
    assert set(view.groups()) == {"s"}
    assert view.drop(("ConfigMap", "n", "b"))
    assert not view.drop(("ConfigMap", "n", "b"))


def test_no_generation_is_read_that_nobody_decided() -> None:
    told = [{"metadata": {"annotations": {GENERATION: text}}} for text in ("7", "9" * 5000, "-1")]
    assert [generation_of(body) for body in told] == [7, -1, -1]


def test_paths_and_rights() -> None:
    assert KINDS["Node"].path("x", "n") == "/api/v1/nodes/n"
    assert KINDS["Deployment"].path("x", "n") == "/apis/apps/v1/namespaces/x/deployments/n"
    assert KINDS["Pod"].path() == "/api/v1/pods"
    told = {str(right) for right in rights(("w",), nodes=True, others=False)}
    assert "patch deployments.apps in namespace w" in told
    assert "watch nodes in the whole cluster" in told
    assert not any("secrets" in each or "pods in the whole" in each for each in told)

"""The Kustomize base: valid objects, least privilege, probes, budgets, nothing left over."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from placement.kube.kinds import Right, rights
from placement.kube.manifests_pods import PodParams
from streams.actuating.actuate import limits_of
from streams.actuating.kube import rights_of
from tests.unit.deploy.manifests import AGENTS, BASE, containers, manifests, templates
from tests.unit.deploy.manifests import WORKLOADS as PLACED
from workers.settings import IntakeSettings, Settings, WorkerSettings
from workers.settings_outside import GatewaySettings

ALL = {
    f: {f"{d['kind']}/{d['metadata']['name']}": d for d in manifests(f)}
    for f in (BASE, AGENTS, PLACED)
}
OBJECTS = ALL[BASE]
EVERY = {f"{folder.name}/{name}": d for folder, found in ALL.items() for name, d in found.items()}
CONTAINERS = {f"{name}/{c['name']}": c for name, c in containers()}
TEMPLATES = dict(templates())
VERSIONS = ("1.28", "1.34")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", EVERY.values(), ids=EVERY)
def test_an_object_is_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_mistake_would_be_found() -> None:
    broken = OBJECTS["Deployment/sink"] | {"spec": {"replicas": "one"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", ALL, ids=lambda folder: folder.name)
def test_a_kustomization_lists_every_file_and_names_its_namespace(folder: Path) -> None:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(told["resources"]) == files
    assert {f"Namespace/{told['namespace']}", "ServiceAccount/weir", "ConfigMap/weir"} <= set(
        ALL[folder]
    )


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_pod_has_no_privilege(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    control = spec["containers"][0]["name"] == "control"
    assert spec["automountServiceAccountToken"] is control
    account = f"ServiceAccount/{spec['serviceAccountName']}"
    assert account == ("ServiceAccount/weir-control" if control else "ServiceAccount/weir")
    assert OBJECTS[account]["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not {"hostPID", "hostIPC"} & set(spec)
    assert not any("hostPath" in volume for volume in spec["volumes"])


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_has_bounds_and_no_privilege(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    sources = [next(iter(source.values()))["name"] for source in container["envFrom"]]
    assert sources == ["weir", "weir-credentials"]


WORKLOADS = {k: d for k, d in OBJECTS.items() if d["kind"] in ("Deployment", "StatefulSet")}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_a_workload_is_probed_selected_and_guarded(workload: dict[str, Any]) -> None:
    name, spec = workload["metadata"]["name"], workload["spec"]
    labels = spec["selector"]["matchLabels"]
    assert spec["template"]["metadata"]["labels"] == labels
    assert OBJECTS[f"PodDisruptionBudget/{name}"]["spec"]["selector"]["matchLabels"] == labels
    (container,) = spec["template"]["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    if workload["kind"] == "StatefulSet":
        assert OBJECTS[f"Service/{spec['serviceName']}"]["spec"]["selector"] == labels


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_replicas_of_a_transactional_process_have_slots_of_their_own(
    workload: dict[str, Any],
) -> None:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    names = {variable["name"] for variable in container.get("env", [])}
    if workload["spec"]["replicas"] > 1:
        assert workload["kind"] == "StatefulSet"
        assert "WEIR_HOST__SLOT" in names
    elif workload["kind"] == "Deployment":
        assert workload["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_mounts_have_volumes(template: dict[str, Any]) -> None:
    spec = template["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


PROBED = {name: c for name, c in CONTAINERS.items() if "livenessProbe" in c}


@pytest.mark.parametrize("container", PROBED.values(), ids=PROBED)
def test_probes_ask_where_health_is_served(container: dict[str, Any]) -> None:
    words = container.get("args", [])
    told = {variable["name"]: variable.get("value") for variable in container.get("env", [])}
    at = words.index("--health-port") + 1 if "--health-port" in words else None
    served = words[at] if at else told["WEIR_WORKER__METRICS_PORT"]
    for probe, path in (("startup", "live"), ("readiness", "ready"), ("liveness", "live")):
        command = container[f"{probe}Probe"]["exec"]["command"][-1]
        assert re.findall(r"http://127\.0\.0\.1:(\d+)/(\w+)", command) == [(served, path)]


def test_what_a_worker_keeps_fits_into_its_volume() -> None:
    assert PodParams().cache_mib + WorkerSettings().spool_mib < PodParams().data_mib


def test_control_may_do_what_it_does_and_nothing_else() -> None:
    settings = Settings(actuator="kubernetes")
    allowed = set()
    for folder, kind in ((PLACED, "Role"), (PLACED, "ClusterRole")):
        role = ALL[folder][f"{kind}/weir-control"]
        where = settings.kube.namespace if kind == "Role" else ""
        for rule in role["rules"]:
            allowed |= {
                Right(verb, group, plural, where)
                for group in rule["apiGroups"]
                for plural in rule["resources"]
                for verb in rule["verbs"]
            }
    assert allowed == set(rights_of(settings.kube, limits_of(settings)))
    assert allowed > set(rights((settings.kube.namespace,), nodes=True, others=False))


def test_roles_are_bound_to_control_alone() -> None:
    account = OBJECTS["ServiceAccount/weir-control"]["metadata"]["name"]
    bindings = [d for d in EVERY.values() if d["kind"].endswith("Binding")]
    assert len(bindings) == 2
    for binding in bindings:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "weir"}
        assert binding["subjects"] == [subject]
        assert binding["roleRef"]["name"] == account


def test_workloads_run_where_control_is_told_to_make_them() -> None:
    settings = Settings().kube
    found = ALL[PLACED]
    assert {
        f"Namespace/{settings.namespace}",
        f"ServiceAccount/{settings.account}",
        f"ConfigMap/{settings.config}",
    } <= set(found)
    (container,) = TEMPLATES["control"]["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in container["env"]}
    assert told["WEIR_ACTUATOR"] == "kubernetes"
    assert f"PersistentVolumeClaim/{told['WEIR_KUBE__MODELS']}" in found


@pytest.mark.parametrize(
    ("name", "listens"), [("intake", IntakeSettings().port), ("gateway", GatewaySettings().port)]
)
def test_two_alone_are_reached_and_at_the_port_that_they_listen_on(name: str, listens: int) -> None:
    open_to_others = {
        policy
        for policy, d in OBJECTS.items()
        if d["kind"] == "NetworkPolicy" and d["spec"].get("ingress")
    }
    assert open_to_others == {"NetworkPolicy/gateway", "NetworkPolicy/intake"}
    (rule,) = OBJECTS[f"NetworkPolicy/{name}"]["spec"]["ingress"]
    (port,) = CONTAINERS[f"{name}/{name}"]["ports"]
    (service,) = OBJECTS[f"Service/{name}"]["spec"]["ports"]
    assert [told["port"] for told in rule["ports"]] == [port["name"]] == [service["targetPort"]]
    assert port["containerPort"] == service["port"] == listens
    words = CONTAINERS[f"{name}/{name}"]["args"]
    assert words[words.index("--port") + 1] == str(port["containerPort"])
    labels = TEMPLATES[name]["metadata"]["labels"]
    for what in (f"Service/{name}", f"NetworkPolicy/{name}"):
        spec = OBJECTS[what]["spec"]
        assert labels in (spec.get("selector"), spec.get("podSelector", {}).get("matchLabels"))


def test_an_agent_is_on_every_node_under_its_name() -> None:
    spec = ALL[AGENTS]["DaemonSet/agent"]["spec"]
    template, (container,) = spec["template"], spec["template"]["spec"]["containers"]
    assert template["metadata"]["labels"] == spec["selector"]["matchLabels"]
    assert template["spec"]["tolerations"] == [{"operator": "Exists"}]
    sources = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}
    assert sources == {"NODE_ADDRESS": "status.hostIP", "WEIR_IDENTITY__NODE": "spec.nodeName"}
    (port,) = container["ports"]
    place = container["args"][container["args"].index("--listen") + 1]
    assert place == f"[$(NODE_ADDRESS)]:{port['containerPort']}"


def test_agents_alone_share_the_network_of_nodes_and_only_their_namespace_allows_it() -> None:
    shared = {name for name, template in TEMPLATES.items() if "hostNetwork" in template["spec"]}
    assert shared == {"agent"}
    assert TEMPLATES["agent"]["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"
    level = "pod-security.kubernetes.io/enforce"
    levels = {
        name: d["metadata"]["labels"][level]
        for name, d in EVERY.items()
        if d["kind"] == "Namespace"
    }
    assert levels == {
        "base/Namespace/weir": "restricted",
        "agents/Namespace/weir-agents": "privileged",
        "workloads/Namespace/weir-workloads": "restricted",
    }

"""The Kustomize base: valid objects, least privilege, probes, budgets, nothing left over."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.manifests import BASE, containers, manifests, templates

OBJECTS = {f"{d['kind']}/{d['metadata']['name']}": d for d in manifests()}
CONTAINERS = {f"{name}/{c['name']}": c for name, c in containers()}
TEMPLATES = dict(templates())
VERSIONS = ("1.28", "1.34")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", OBJECTS.values(), ids=OBJECTS)
def test_an_object_is_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_mistake_would_be_found() -> None:
    broken = OBJECTS["Deployment/sink"] | {"spec": {"replicas": "one"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_the_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text("utf-8"))["resources"]
    files = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == files


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_pod_has_no_privilege(template: dict[str, Any]) -> None:
    spec = template["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == OBJECTS["ServiceAccount/weir"]["metadata"]["name"]
    assert spec["enableServiceLinks"] is False


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

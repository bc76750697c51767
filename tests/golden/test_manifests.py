"""What is sent to Kubernetes does not change under anybody's feet, and is valid there."""

from collections import Counter
from typing import Any

import kubernetes_validate
import pytest

from placement.kube.manifests import GENERATION, INSTANCE, SERVICE, owner_of
from tests.golden.write_manifests import CASES, FOLDER, made, written

OBJECTS = {f"{case}/{d['kind']}/{d['metadata']['name']}": d for case in CASES for d in made(case)}
DEPLOYMENTS = {name: d for name, d in OBJECTS.items() if d["kind"] == "Deployment"}
OLDEST, NEWEST = "1.28", "1.34"
BY_KIND = {document["kind"]: document for document in OBJECTS.values()}


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_its_golden_manifests(case: str) -> None:
    assert written(made(case)) == (FOLDER / f"{case}.yaml").read_text("utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_valid(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], NEWEST, strict=True)


@pytest.mark.parametrize("kind", BY_KIND)
def test_a_kind_is_valid_where_it_is_oldest(kind: str) -> None:
    kubernetes_validate.validate(BY_KIND[kind], OLDEST, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_all_of_a_service_is_labelled_and_knows_its_generation(case: str) -> None:
    for document in made(case):
        meta = document["metadata"]
        assert owner_of(document) == "weir"
        assert meta["annotations"][GENERATION] == "7"
        assert meta["annotations"][SERVICE] == CASES[case][0].service
    kinds = Counter(document["kind"] for document in made(case))
    assert made(case)[0]["kind"] == "ConfigMap"
    assert kinds["ConfigMap"] == 1


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_selects_its_own_pods_and_is_restricted(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert INSTANCE in spec["selector"]["matchLabels"]
    pod: dict[str, Any] = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    names = [entry["name"] for entry in container["env"]]
    assert names[:3] == ["WEIR_WORKER__NODE", "WEIR_WORKER__WORKER", "WEIR_WORKER__SERVES"]


def gpus(case: str) -> dict[str, str]:
    (deployment,) = (d for d in made(case) if d["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    asked = container["resources"]
    found = {name: amount for name, amount in asked["limits"].items() if "/" in name}
    assert found.items() <= asked["requests"].items()
    return found


def test_gpus_are_asked_for_as_their_node_offers_them() -> None:
    assert gpus("shared_gpu") == {"nvidia.com/gpu.shared": "2", "example.com/fpga": "1"}
    assert gpus("mig") == {"nvidia.com/mig-1g.10gb": "2"}
    assert gpus("whole_gpus") == {"nvidia.com/gpu": "2"}


def test_copies_that_kubernetes_scales_stand_in_one_deployment_without_a_number() -> None:
    kinds = {document["kind"]: document for document in made("scaled")}
    assert "replicas" not in kinds["Deployment"]["spec"]
    scaler = kinds["HorizontalPodAutoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 3)
    assert scaler["scaleTargetRef"]["name"] == kinds["Deployment"]["metadata"]["name"]

"""The whole way over Kafka to a real API server, also one that is away or answers nobody."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.base import Event
from schemas.decisions import ActionTaken, DeploymentObserved, PlacementDecided
from streams.bench import placement_kubernetes
from streams.bench.hearing import Ears, Heard
from streams.bench.sending import Sender
from streams.embedded.stack import CONTROL, Stack
from tests.kube.asking import Api
from tests.kube.driving import Driven, acting, request
from tests.kube.playing import Fate, waiting
from tests.kube.servers import Cluster
from tests.kube.services import placed, service
from workers.registry import Registry
from workers.settings import AuthoritySettings, KubeSettings, Settings

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1600)]
NAMESPACE = "long"
TOPICS = ("weir.placements", "weir.deployments", "weir.actions")


@pytest.fixture(scope="module")
def _space(cluster: Cluster) -> None:
    with closing(cluster.api()) as made:
        made.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        made.create(accounts, {"metadata": {"name": KubeSettings().account}})


@pytest.fixture
def api(cluster: Cluster, _space: None) -> Iterator[Api]:
    with closing(cluster.api()) as made:
        yield made


class Told:
    """What a stack on Kafka told, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, heard: Heard) -> None:
        """Take an event in."""
        self.events.append(heard.event)

    def phases(self, name: str) -> list[str]:
        """Return the phases of a service."""
        found = (e for e in self.events if isinstance(e, DeploymentObserved))
        return [event.phase for event in found if event.service == name]


def until(found: Callable[[], object], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def test_over_kafka_from_a_request_to_what_was_observed(
    cluster: Cluster, api: Api, fates: dict[str, Fate], tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        actuator="kubernetes",
        kube=KubeSettings(kubeconfig=str(cluster.kubeconfig), namespace=NAMESPACE),
        authority=AuthoritySettings(registries=("*",)),
    )
    told = Told()
    with (
        Stack(settings, apps=(CONTROL,)) as stack,
        closing(Registry(stack.settings.registry)) as registry,
        Ears(stack.settings.kafka, registry.codec(), TOPICS, told.hear),
        Sender(stack.settings.kafka, registry.codec()) as sender,
    ):
        for event in (service("first", gpus=1, gpu_milli=1000), request("first", 1)):
            sender.send(event)
        until(lambda: "available" in told.phases("first"))
        decided = next(e for e in told.events if isinstance(e, PlacementDecided))
        assert {a.node for a in decided.assignments} <= {"a", "b"}
        cluster.stop("apiserver")
        for event in (service("second"), request("second", 1)):
            sender.send(event)
        until(lambda: any(e.status == "failed" for e in told.events if isinstance(e, ActionTaken)))
        cluster.start_api()
        until(lambda: "available" in told.phases("second"))
        fates[NAMESPACE] = waiting("ImagePullBackOff", "no such image")
        for event in (service("third"), request("third", 1)):
            sender.send(event)
        until(lambda: "failed" in told.phases("third"))
        del fates[NAMESPACE]
        sender.send(request("first", 0))
        until(lambda: told.phases("first")[-1] == "removed")
        stack.check()


def test_a_server_that_answers_nobody_is_told_and_then_everything_goes_on(
    cluster: Cluster, api: Api
) -> None:
    wanted = service("patient")
    with Driven(cluster.kubeconfig, NAMESPACE) as driven:
        driven.tell(acting(), wanted, placed(wanted, "a"))
        driven.until(lambda: driven.phase("patient") == "available", 30)
        with cluster.still("apiserver"):
            driven.tell(placed(wanted, "b", generation=2))
            driven.until(lambda: any(e.status == "failed" for e in driven.heard(ActionTaken)), 60)
        driven.until(lambda: driven.phase("patient") == "available", 60)
        (found,) = [
            d
            for d in api.items(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
            if d["metadata"]["labels"]["weir.dev/service"] == "patient"
        ]
        assert found["metadata"]["annotations"]["weir.dev/instance"] == "patient.b"


def test_the_bench_measures_the_way_to_an_applied_deployment(cluster: Cluster, api: Api) -> None:
    said: list[str] = []
    found = placement_kubernetes.measure(str(cluster.kubeconfig), 5, said.append)
    assert found["applied"] == 5
    assert 0 < found["apply_p50_ms"] <= found["apply_p99_ms"] < 5_000
    assert 0 < found["apply_200_s"] < 60
    spaces = [n for n in api.items("/api/v1/namespaces") if "bench" in n["metadata"]["name"]]
    assert all(space["status"]["phase"] == "Terminating" for space in spaces)

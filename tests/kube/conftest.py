"""A Kubernetes cluster for tests: skipped with a reason where it cannot be had, never on CI."""

import os
from collections.abc import Iterator

import pytest

from streams.errors import StackError
from tests.kube.building import program
from tests.kube.playing import Fate, add_node, kubelet, node
from tests.kube.servers import Cluster

NODES = (node("a", gpus=4), node("b", gpus=2), node("c"))


@pytest.fixture(scope="package")
def fates() -> dict[str, Fate]:
    """What becomes of the Pods of a namespace; where nothing is said, they serve."""
    return {}


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, fates: dict[str, Fate]) -> Iterator[Cluster]:
    """A running cluster of three nodes: a with 4 GPUs, b with 2, c with none."""
    try:
        program()
    except StackError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the tier on the servers of Kubernetes must run here: {error}")
        pytest.skip(str(error))
    with Cluster(tmp_path_factory.mktemp("kube")) as started:
        api = started.api()
        for wanted in NODES:
            add_node(api, wanted)
        with kubelet(api, fates):
            yield started
        api.close()

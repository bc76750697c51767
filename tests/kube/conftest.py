"""A Kubernetes cluster for tests: skipped with a reason where it cannot be had, never on CI."""

import os
from collections.abc import Iterator

import pytest

from streams.errors import StackError
from tests.kube.building import program
from tests.kube.playing import add_node, node
from tests.kube.servers import Cluster

NODES = (node("a", gpus=4), node("b", gpus=2), node("c"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
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
        api.close()
        yield started

"""A cluster in memory, and its actuator."""

from collections.abc import Iterator

import pytest

from tests.unit.placement.kube_world import Actor, FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def actor(cluster: FakeCluster) -> Iterator[Actor]:
    made = Actor(cluster)
    yield made
    made.close()

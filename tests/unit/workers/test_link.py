"""The way to the broker: which connection is kept, which is made anew, and from where it reads."""

from typing import Any

import pytest

from schemas.inference import InferenceResult
from tests.embedded.worker_world import until
from workers.errors import KafkaUnavailable, RegistryUnavailable
from workers.inference import link
from workers.inference.link import Connection, Link
from workers.kafka import clients as kafka
from workers.local import local_codec
from workers.settings import Settings


class Cluster:
    """What there is to connect to, and what was opened and closed there."""

    def __init__(self) -> None:
        self.name = "one"
        self.there = True
        self.topic = False
        self.registered = True
        self.starts: list[int | None] = []
        self.closed = 0

    def cluster_id(self, *_: Any) -> str:
        if not self.there:
            raise KafkaUnavailable("away")
        return self.name

    def create_topics(self, *_: Any) -> list[str]:
        made, self.topic = not self.topic, True
        return ["weir.tasks.w"] if made else []

    def tasks(self, _settings: Any, _topic: str, start: int | None) -> Any:
        self.starts.append(start)
        return self

    def part(self, *_: Any) -> Any:
        return self

    def codec(self) -> Any:
        if not self.registered:
            raise RegistryUnavailable("away")
        return local_codec()

    def start(self) -> Any:
        return self

    def stop(self) -> None:
        """A catalogue is not followed any more."""

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(kafka, "cluster_id", made.cluster_id)
    monkeypatch.setattr(kafka, "create_topics", made.create_topics)
    for name in ("Registry", "CatalogueReader"):
        monkeypatch.setattr(link, name, made.part)
    monkeypatch.setattr(link, "TaskLog", made.tasks)
    monkeypatch.setattr(link, "RETRY_S", 0.005)
    return made


@pytest.fixture
def ours(cluster: Cluster) -> Any:
    made = Link(Settings(), "weir.tasks.w", sends=(InferenceResult,), follows=())
    yield made
    made.stop()


def again(ours: Link) -> Connection:
    until(lambda: ours.current is not None)
    assert ours.current is not None
    return ours.current


def test_the_same_cluster_gives_the_same_connection(cluster: Cluster, ours: Link) -> None:
    ours.begin()
    first = again(ours)
    cluster.there = False
    ours.lose(5)
    assert ours.current is None
    until(lambda: isinstance(ours.trouble, KafkaUnavailable))
    cluster.there = True
    assert again(ours) is first
    assert (cluster.starts, cluster.closed) == ([0], 0)


def test_a_spoiled_connection_is_made_anew_and_read_on(cluster: Cluster, ours: Link) -> None:
    cluster.topic = True
    ours.begin()
    first = again(ours)
    cluster.registered = False
    ours.lose(5, spoiled=True)
    until(lambda: isinstance(ours.trouble, RegistryUnavailable))
    cluster.registered = True
    second = again(ours)
    assert second is not first
    assert (second.log, cluster.starts) == (first.log, [None, 5])
    assert cluster.closed > 0


@pytest.mark.parametrize(("name", "kept", "start"), [("two", True, None), ("one", False, 0)])
def test_another_log_is_read_from_its_own_beginning(
    cluster: Cluster, ours: Link, name: str, *, kept: bool, start: int | None
) -> None:
    ours.begin()
    first = again(ours)
    cluster.name, cluster.topic = name, kept
    ours.lose(5)
    second = again(ours)
    assert (second.log, second.cluster) == (first.log + 1, name)
    assert cluster.starts == [0, start]


def test_the_first_attempt_is_waited_for_and_its_failure_told(cluster: Cluster, ours: Link) -> None:
    cluster.there = False
    ours.begin()
    assert (ours.current, str(ours.trouble)) == (None, "away")

"""What a probe sends, keeps and counts while broker and registry come and go."""

import pytest

from schemas.base import Event
from schemas.observing import MetricReport
from schemas.registrations import InstanceReported
from tests.unit.workers.probe_world import IDS, FakeProducer
from workers.errors import RegistryUnavailable
from workers.kafka import clients as kafka
from workers.probing.buffer import Buffer
from workers.probing.link import Link
from workers.probing.sampling import Sampler, Sampling
from workers.probing.sender import Counts, Measured, Sender, Waiting

OWN = InstanceReported(
    instance="i", service="v", app="shop", stage="", node="n", worker="", task_topic="",
    model_version="", run="", user="", method="", role="probe", health="",
    heartbeat=0, expires_at=0,
)  # fmt: skip


class Scene:
    """A sender whose turns are taken by hand, at a second that is given."""

    def __init__(self, bound: int = 100, sampling: Sampling | None = None) -> None:
        self.producer = FakeProducer()
        self.registered = True
        self.counts = Counts()
        self.waiting: Waiting = Buffer(bound)
        self.sampler = Sampler(sampling or Sampling())
        link = Link(self.producer, self._id, self.counts.dropped.add)
        self.sender = Sender(
            link, OWN, self.waiting, self.counts, self.sampler, clock=lambda: 1_000
        )

    def _id(self, event: type[Event]) -> int | None:
        if not self.registered:
            raise RegistryUnavailable("away")
        return IDS[event]

    def report(self, *values: float) -> None:
        for value in values:
            item: Measured = ("m", value, "ms", None, 5)
            if not self.waiting.offer(item):
                self.counts.dropped.add()

    @property
    def state(self) -> tuple[int, int, int]:
        return self.counts.sent, self.counts.dropped.total(), self.counts.refused.total()


def test_what_waits_is_sent_in_order_behind_the_heartbeat() -> None:
    scene = Scene()
    scene.report(1.0, 2.0)
    assert scene.sender.turn(0.0)
    assert scene.producer.metrics() == {"m": [1.0, 2.0]}
    (beat,) = scene.producer.events(InstanceReported)
    assert (beat.health, beat.heartbeat, beat.expires_at) == ("ready", 1_000, 6_000)
    assert scene.producer.delivered[0][2] == "i"
    assert scene.producer.delivered[1][2] == "shop//v/i/n/m"


def test_heartbeats_come_once_a_second() -> None:
    scene = Scene()
    for second in (0.0, 0.3, 0.9, 1.0, 1.5, 2.1):
        scene.sender.turn(second)
    assert len(scene.producer.events(InstanceReported)) == 3


def test_nothing_is_lost_while_the_registry_comes_late() -> None:
    scene = Scene()
    scene.registered = False
    scene.report(1.0, 2.0)
    assert not scene.sender.turn(0.0)
    assert scene.state == (0, 0, 0)
    scene.registered = True
    assert scene.sender.turn(1.0)
    assert scene.producer.metrics() == {"m": [1.0, 2.0]}
    assert scene.state == (2, 0, 0)


def test_a_full_client_is_waited_for_and_what_is_dropped_is_told() -> None:
    scene = Scene(bound=3)
    scene.producer.away, scene.producer.room = True, 2
    scene.report(1.0)
    assert scene.sender.turn(0.0)
    scene.report(2.0, 3.0, 4.0, 5.0, 6.0)
    assert not scene.sender.turn(0.1)
    assert scene.state == (1, 2, 0)
    scene.producer.away = False
    assert not scene.sender.turn(0.6)
    scene.producer.room = 1_000
    assert scene.sender.turn(1.1)
    assert scene.producer.metrics() == {"m": [1.0, 2.0, 3.0, 4.0], "probe.dropped": [2.0]}
    assert scene.sender.turn(2.2)
    assert scene.producer.metrics()["probe.dropped"] == [2.0]


def test_what_was_taken_and_given_up_counts_as_dropped() -> None:
    scene = Scene()
    scene.sender.turn(0.0)
    scene.producer.undeliverable = True
    scene.report(1.0, 2.0)
    scene.sender.turn(0.1)
    assert scene.state == (2, 2, 0)


def test_what_kafka_refuses_holds_nothing_up() -> None:
    scene = Scene()
    scene.sender.turn(0.0)
    scene.producer.failing = kafka.ClientError("too large")
    scene.report(1.0, 2.0)
    assert scene.sender.turn(0.1)
    assert scene.state == (1, 0, 1)
    assert scene.producer.metrics() == {"m": [2.0]}
    scene.sender.turn(1.0)
    assert scene.producer.metrics()["probe.refused"] == [1.0]


def test_an_event_that_cannot_be_made_is_refused() -> None:
    scene = Scene()

    def impossible() -> Event:
        return MetricReport(event_time=0, app="a", metric="m", value=float("x"))

    scene.waiting.offer(impossible)
    scene.waiting.offer(lambda: MetricReport(event_time=1 << 70, app="a", metric="m", value=1.0))
    scene.report(1.0)
    assert scene.sender.turn(0.0)
    assert scene.state == (1, 0, 2)


def test_the_end_says_stopped_and_counts_what_is_left() -> None:
    scene = Scene()
    scene.report(1.0)
    scene.sender.end(0.1)
    assert scene.producer.events(InstanceReported)[-1].health == "stopped"
    assert scene.state == (1, 0, 0)
    scene = Scene()
    scene.producer.away, scene.producer.room = True, 1
    scene.report(1.0, 2.0, 3.0)
    scene.sender.end(0.0)
    assert scene.counts.dropped.total() == 3


def test_companions_of_sampling_are_sent_with_the_heartbeat() -> None:
    scene = Scene(sampling=Sampling(rate=0.25, seed=1))
    for _ in range(8):
        scene.sampler.admits("m")
    scene.sender.turn(0.0)
    assert scene.producer.metrics() == {"m.sample_rate": [0.25], "m.seen": [8.0]}


def test_companions_that_cannot_be_sent_are_told_with_the_next_heartbeat() -> None:
    scene = Scene(sampling=Sampling(rate=0.25, seed=1))
    scene.producer.away, scene.producer.room = True, 1
    for turn in range(2):
        scene.sampler.admits("m")
        scene.sender.turn(float(turn))
    scene.producer.away, scene.producer.room = False, 1_000
    scene.sender.turn(2.0)
    scene.sender.turn(3.0)
    assert scene.producer.metrics() == {"m.sample_rate": [0.25], "m.seen": [2.0]}


def test_what_fails_to_accompany_the_heartbeat_ends_nothing() -> None:
    scene = Scene()

    def failing() -> tuple[Event, ...]:
        raise LookupError("bug")

    scene.sender.beside = failing
    scene.report(1.0)
    assert scene.sender.turn(0.0)
    assert scene.producer.metrics() == {"m": [1.0], "probe.refused": [1.0]}
    assert scene.state == (1, 0, 1)


@pytest.mark.parametrize("known", [True, False])
def test_what_accompanies_the_heartbeat_never_waits(known: bool) -> None:
    scene = Scene()
    scene.sender.beside = lambda: (MetricReport(event_time=7, app="a", metric="x", value=1.0),)
    scene.registered = known
    scene.sender.turn(0.0)
    scene.registered = True
    scene.sender.turn(0.5)
    assert len(scene.producer.events(MetricReport)) == 1
    assert len(scene.waiting) == 0

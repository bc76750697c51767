"""Availability: what is sampled of heartbeats, by whom, and for how long after the last."""

from dataclasses import replace

from processors.deriving.derive import DeriveParams, spec
from schemas.catalogue import Catalogue
from schemas.observing import MetricReport
from schemas.processing import Batch
from schemas.registrations import InstanceReported
from tests.examples import example

START = 1_700_000_000_000
PARAMS = DeriveParams(availability_ms=1_000, gone_ms=60_000)
REPORT = replace(
    example(InstanceReported),
    app="digits",
    stage="classify",
    service="small",
    instance="small.a",
    node="a",
    health="ready",
    expires_at=START + 2_500,
)
OTHER = replace(REPORT, instance="small.b", node="b", expires_at=START + 9_000)


def world(*reports: InstanceReported) -> Catalogue:
    return Catalogue({InstanceReported: {report.instance: report for report in reports}})


def sampled(now: int, *reports: InstanceReported) -> dict[str, float]:
    """Return what the instances of all partitions sample first, by instance or service."""
    found: dict[str, float] = {}
    for partition in range(4):
        outputs = spec(PARAMS).build(partition).process(Batch((), START + now, world(*reports)))
        for event in outputs:
            assert isinstance(event, MetricReport)
            assert event.metric == "availability"
            assert event.event_time == START + now - now % 1_000
            name = event.instance or event.service
            assert name not in found, "two partitions sample the same"
            found[name] = event.value
    return found


def test_an_instance_is_available_until_its_heartbeat_expires_and_then_it_is_not() -> None:
    assert sampled(2_400, REPORT, OTHER) == {"small.a": 1.0, "small.b": 1.0, "small": 1.0}
    assert sampled(3_000, REPORT, OTHER) == {"small.a": 0.0, "small.b": 1.0, "small": 1.0}
    assert sampled(9_000, REPORT, OTHER) == {"small.a": 0.0, "small.b": 0.0, "small": 0.0}


def test_only_who_is_ready_is_available() -> None:
    for health in ("starting", "failed"):
        assert sampled(0, replace(REPORT, health=health)) == {"small.a": 0.0, "small": 0.0}


def test_what_left_on_purpose_is_not_missed() -> None:
    for health in ("draining", "stopped"):
        left = replace(REPORT, health=health)
        assert sampled(0, left) == {}
        assert sampled(0, left, OTHER) == {"small.b": 1.0, "small": 1.0}


def test_what_was_silent_for_long_is_forgotten() -> None:
    assert sampled(62_499, REPORT) == {"small.a": 0.0, "small": 0.0}
    assert sampled(63_000, REPORT) == {}


def test_a_process_that_serves_nothing_has_no_service_to_be_available() -> None:
    assert sampled(0, replace(REPORT, service="", stage="")) == {"small.a": 1.0}


def test_samples_lie_on_a_grid_and_what_a_host_missed_is_not_made_up() -> None:
    (partition,) = (p for p in range(4) if _times(p, 0))
    processor = spec(PARAMS).build(partition)
    assert processor.wake_at() == 0
    times = []
    for now in (0, 1, 999, 1_000, 1_900, 7_300, 8_000):
        outputs = processor.process(Batch((), START + now, world(REPORT)))
        times += [
            e.event_time - START for e in outputs if isinstance(e, MetricReport) and e.instance
        ]
        restarted = spec(PARAMS).build(partition)
        restarted.restore(processor.snapshot())
        processor = restarted
    assert times == [0, 1_000, 7_000, 8_000]
    assert processor.wake_at() == START + 9_000


def _times(partition: int, now: int) -> list[int]:
    """Return when a partition samples the instance, the service apart."""
    outputs = spec(PARAMS).build(partition).process(Batch((), START + now, world(REPORT)))
    return [e.event_time for e in outputs if isinstance(e, MetricReport) and e.instance]

"""The latest observations as Prometheus reads them."""

import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.observing import Observation
from streams.embedded.processes import free_port
from streams.errors import StackError
from streams.exposition import LABELS, Exposed, Latest, registry_of, served
from tests.examples import example


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


def seen(instance: str, **changes: Any) -> Observation:
    base = replace(example(Observation), final=True, app="a", instance=instance, metric="latency")
    return replace(base, **({"window_end": 5_000, "p95": 2.5} | changes))


def parsed(text: str) -> dict[str, dict[str, float]]:
    """Return values by sample name and instance."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("instance", "")] = sample.value
    return found


def scraped(latest: Latest) -> dict[str, dict[str, float]]:
    return parsed(generate_latest(registry_of(latest)).decode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_every_statistic_is_a_gauge_with_the_labels_of_its_series(clock: Clock) -> None:
    latest = Latest(clock, most=10, stale_ms=1_000)
    one = seen('i "1"\\\n', count=7, mean=1.5, p50=1.25, p99=9.0, window_end=12_345)
    latest.see(one)
    text = generate_latest(registry_of(latest)).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {"count": 7, "mean": 1.5, "p50": 1.25, "p95": 2.5, "p99": 9.0}
    for name, value in (values | {"window_end_seconds": 12.345}).items():
        family = families[f"weir_observation_{name}"]
        (sample,) = family.samples
        assert (family.type, sample.value) == ("gauge", value)
        assert sample.labels == {label: getattr(one, label) for label in LABELS}
    assert families["weir_observation_series"].samples[0].value == 1
    assert families["weir_observation_series_forgotten"].type == "counter"


def test_the_latest_final_one_of_each_series_and_window_is_shown(clock: Clock) -> None:
    latest = Latest(clock, most=10, stale_ms=1_000)
    latest.see(seen("i", mean=1.0))
    latest.see(seen("i", mean=2.0, window_end=6_000))
    latest.see(seen("i", mean=3.0))
    latest.see(seen("i", mean=4.0, window_end=7_000, final=False))
    latest.see(seen("j", mean=5.0))
    latest.see(seen("j", mean=6.0, window="other"))
    assert scraped(latest)["weir_observation_mean"]["i"] == 2.0
    assert len(latest.shown()) == 3


def test_what_is_not_renewed_is_not_shown_for_long(clock: Clock) -> None:
    latest = Latest(clock, most=10, stale_ms=1_000)
    latest.see(seen("i"))
    clock.now += 600
    latest.see(seen("j"))
    clock.now += 400
    assert set(scraped(latest)["weir_observation_p95"]) == {"i", "j"}
    clock.now += 1
    assert set(scraped(latest)["weir_observation_p95"]) == {"j"}
    clock.now += 1_000
    assert "weir_observation_p95" not in scraped(latest)


def test_of_too_many_series_the_one_not_renewed_for_longest_goes(clock: Clock) -> None:
    latest = Latest(clock, most=2, stale_ms=1_000)
    for instance in ("i", "j", "i", "k"):
        latest.see(seen(instance))
    found = scraped(latest)
    assert set(found["weir_observation_count"]) == {"i", "k"}
    assert found["weir_observation_series_forgotten_total"] == {"": 1.0}


def test_what_is_older_than_known_renews_nothing(clock: Clock) -> None:
    latest = Latest(clock, most=2, stale_ms=1_000)
    for one in (seen("i"), seen("j"), seen("i", window_end=4_000), seen("k")):
        latest.see(one)
    assert set(scraped(latest)["weir_observation_count"]) == {"j", "k"}


def test_one_application_alone_may_be_shown(clock: Clock) -> None:
    latest = Latest(clock, most=2, stale_ms=1_000, app="b")
    latest.see(seen("i"))
    latest.see(seen("j", app="b"))
    assert set(scraped(latest)["weir_observation_count"]) == {"j"}


def test_it_is_served_over_http_and_a_taken_port_is_told(clock: Clock) -> None:
    latest, port = Latest(clock, most=2, stale_ms=1_000), free_port()
    latest.see(seen("i"))
    with served(latest, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            assert parsed(answer.read().decode())["weir_observation_p95"] == {"i": 2.5}
        with pytest.raises(StackError, match=f"127.0.0.1:{port}"), served(latest, port):
            pass


def test_a_registry_needs_nothing_of_it_before_it_is_asked(clock: Clock) -> None:
    assert Exposed(Latest(clock, most=1, stale_ms=1)).describe() == []

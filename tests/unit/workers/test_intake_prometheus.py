"""What Prometheus' own client exposes becomes events, in both of its formats."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client import generate_latest as plain
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from schemas.observing import MetricReport
from workers.intake import prometheus_text
from workers.intake.deltas import Deltas
from workers.intake.prometheus_text import Origin, Unreadable
from workers.intake.receiving import terms_of
from workers.intake.translated import Translated
from workers.settings import IntakeSettings

NOW_MS = 1_900_000_000_000
TERMS = terms_of(IntakeSettings())
ORIGIN = Origin("http://a/metrics", {"app": "shop", "node": "edge-1", "instance": "a"})
FORMATS = {
    "text/plain; version=0.0.4": plain,
    "application/openmetrics-text; version=1.0.0": openmetrics,
}


class Scrapes:
    """Scrapes a text again and again, one second apart."""

    def __init__(self, kind: str = "text/plain", began_ns: int = 0) -> None:
        self._kind = kind
        self._deltas = Deltas(100, began_ns)
        self.now_ms = NOW_MS

    def take(self, text: str) -> Translated:
        self.now_ms += 1_000
        found = prometheus_text.families(text, self._kind)
        with self._deltas.draft(self.now_ms) as draft:
            made = prometheus_text.translate(found, ORIGIN, TERMS, draft, self.now_ms)
            draft.commit()
        return made


def values(found: Translated) -> dict[str, float]:
    return {event.metric: event.value for event in found.events}  # type: ignore[attr-defined]  # all are metrics


@pytest.mark.parametrize("kind", FORMATS)
def test_all_kinds_of_the_real_client_are_taken(kind: str) -> None:
    registry = CollectorRegistry()
    counter = Counter("reqs", "r", ["route"], registry=registry)
    gauge = Gauge("depth", "d", registry=registry)
    histogram = Histogram("lat", "l", buckets=(1, 2, 4), registry=registry)
    summary = Summary("size", "s", registry=registry)
    scrapes, found = Scrapes(kind, began_ns=10**30), {}
    for more in (5, 3):
        counter.labels("/a").inc(more)
        gauge.set(more)
        for _ in range(more):
            histogram.observe(1.5)
            summary.observe(10)
        found = values(scrapes.take(FORMATS[kind](registry).decode()))
    assert found == {
        'reqs_total{route="/a"}': 3, 'reqs_total.rate{route="/a"}': 3, "depth": 3,
        "lat.count": 3, "lat.sum": 4.5, "lat.mean": 1.5, "lat.p50": 1.5, "lat.p90": 1.9,
        "lat.p95": pytest.approx(1.95), "lat.p99": pytest.approx(1.99),
        "size.count": 3, "size.sum": 30, "size.mean": 10,
    }  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_created_since_we_began_counts_from_its_start(kind: str) -> None:
    registry = CollectorRegistry()
    Counter("reqs", "r", registry=registry).inc(5)
    Histogram("lat", "l", registry=registry).observe(0.1)
    found = values(Scrapes(kind, began_ns=1).take(FORMATS[kind](registry).decode()))
    assert (found["reqs_total"], found["lat.count"]) == (5, 1)
    assert not [name for name in found if name.endswith("_created")]


def test_labels_of_the_target_and_of_a_sample_say_who() -> None:
    text = 'x{job="j",instance="other",route="/a"} 1\n'
    (event,) = Scrapes().take(text).events
    assert event == MetricReport(
        event_time=NOW_MS + 1_000, app="shop", service="j", instance="other", node="edge-1",
        metric='x{route="/a"}', value=1.0,
    )  # fmt: skip


def test_a_sample_has_its_own_time_if_it_says_one() -> None:
    scrapes = Scrapes()
    (event,) = scrapes.take(f"x 1 {NOW_MS - 5}\n").events
    assert event.event_time == NOW_MS - 5  # type: ignore[attr-defined]  # a metric
    counter = f"# TYPE c_total counter\nc_total 5 {NOW_MS}\n"
    assert scrapes.take(counter).passed == {"first of their series": 1}
    assert scrapes.take(counter).passed == {"unchanged": 1}


@pytest.mark.parametrize("time", ["NaN", "+Inf", "-5000", "1e300"])
def test_a_time_that_is_none_is_refused_alone(time: str) -> None:
    found = Scrapes().take(f"x 1 {time}\ny 1\n")
    assert found.refused == {"with a time that is none": 1}
    assert values(found) == {"y": 1}


@pytest.mark.parametrize("created", ["NaN", "+Inf", "-1"])
def test_a_start_that_is_none_is_not_told(created: str) -> None:
    text = f"# TYPE c counter\nc_total 1\nc_created {created}\n# EOF\n"
    found = Scrapes("application/openmetrics-text", began_ns=1).take(text)
    assert found.passed == {"first of their series": 1}


@pytest.mark.parametrize("odd", [f"9 {NOW_MS + 10**9}", "+Inf", "NaN"])
def test_a_total_that_is_refused_is_not_what_later_ones_are_compared_with(odd: str) -> None:
    scrapes, text = Scrapes(), "# TYPE c_total counter\nc_total {}\n"
    scrapes.take(text.format(5))
    assert scrapes.take(text.format(odd)).refused.total() == 1
    assert values(scrapes.take(text.format(7)))["c_total"] == 2


def test_a_bound_that_is_no_number_costs_no_other_bucket() -> None:
    scrapes, found = Scrapes(), Translated()
    for count in (1, 3):
        found = scrapes.take(
            f'# TYPE h histogram\nh_bucket{{le="far"}} {count}\nh_bucket{{le="2"}} {count}\n'
            f'h_bucket{{le="+Inf"}} {count}\nh_sum {count}\nh_count {count}\ny 1\n'
        )
    assert found.refused == {"with a bound that is no number": 1}
    assert {"h.count": 2, "y": 1}.items() <= values(found).items()


def test_a_native_histogram_is_passed_over() -> None:
    text = (
        "# TYPE h histogram\nh {count:24,sum:100,schema:0,zero_threshold:0.001,zero_count:4,"
        "positive_spans:[0:2,1:2],negative_spans:[0:2,1:2],positive_deltas:[2,1,-3,3],"
        "negative_deltas:[2,1,-2,3]}\n# TYPE y gauge\ny 1\n# EOF\n"
    )
    found = Scrapes("application/openmetrics-text").take(text)
    assert found.passed == {"of a native histogram": 1}
    assert values(found) == {"y": 1}


PIECES = ("# TYPE m {}\n", "m{} 1\n", 'm_bucket{{le="{}"}} 2\n', "m_total {}\n", "m_created {}\n",
          "m_count {}\n", "m_sum {}\n", 'm{{quantile="{}"}} 3\n', "m 1 {}\n")  # fmt: skip
ODD = ("counter", "histogram", "summary", "gauge", "NaN", "-Inf", "+Inf", "1e999", "-7", "0", "")


@given(st.lists(st.builds(str.format, st.sampled_from(PIECES), st.sampled_from(ODD)), max_size=8))
def test_no_exposition_is_a_surprise(lines: list[str]) -> None:
    scrapes = Scrapes()
    for _ in range(2):
        with contextlib.suppress(Unreadable):
            assert all(
                math.isfinite(value) for value in values(scrapes.take("".join(lines))).values()
            )


def test_a_counter_that_falls_began_again() -> None:
    scrapes, text = Scrapes(), "# TYPE c_total counter\nc_total {}\n"
    scrapes.take(text.format(10))
    assert values(scrapes.take(text.format(4))) == {"c_total": 4, "c_total.rate": 4}


def test_a_counter_without_its_suffix_is_one() -> None:
    scrapes, text = Scrapes(), "# TYPE c counter\nc {}\n"
    scrapes.take(text.format(10))
    assert 6.0 in values(scrapes.take(text.format(16))).values()


def test_quantiles_of_a_summary_are_taken_as_they_are() -> None:
    scrapes, found = Scrapes(), {}
    for count in (1, 3):
        found = values(
            scrapes.take(
                "# TYPE s summary\n"
                f's{{quantile="0.5"}} 7\ns{{quantile="0.9"}} NaN\ns_sum {count}\ns_count {count}\n'
            )
        )
    assert found == {"s.count": 2, "s.sum": 2, "s.mean": 1, "s.p50": 7}


@pytest.mark.parametrize(("value", "refused"), [("NaN", 1), ("+Inf", 1), ("1", 0)])
def test_values_that_are_not_finite_are_refused(value: str, refused: int) -> None:
    found = Scrapes().take(f"x {value}\ny 1\n")
    assert found.refused.total() == refused
    assert len(found.events) == 2 - refused


def test_what_has_no_number_is_counted() -> None:
    registry = CollectorRegistry()
    Info("build", "b", registry=registry).info({"version": "1"})
    Enum("mode", "m", states=["on", "off"], registry=registry)
    found = Scrapes("application/openmetrics-text").take(openmetrics(registry).decode())
    assert found.passed == {"of type info": 1, "of type stateset": 2}
    assert not found.events


def test_how_a_scrape_went_is_told_of_its_target() -> None:
    found = prometheus_text.own(ORIGIN, TERMS, NOW_MS, {"up": 0.0})
    (event,) = found.events
    assert event == MetricReport(
        event_time=NOW_MS, app="shop", instance="a", node="edge-1", metric="up", value=0.0
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/plain", "{"),
        ("text/plain", "x one\n"),
        ("text/plain", 'x{a="b} 1\n'),
        ("application/openmetrics-text", "x 1\n"),
        ("application/openmetrics-text", "# EOF\nmore 1\n"),
        ("application/openmetrics-text", "x{a=} 1\n# EOF\n"),
    ],
)
def test_what_is_no_exposition_is_refused_in_words(kind: str, text: str) -> None:
    with pytest.raises(Unreadable, match="no exposition"):
        prometheus_text.families(text, kind)


@given(st.text(max_size=40), st.sampled_from(["text/plain", "application/openmetrics-text"]))
def test_no_text_is_a_surprise(text: str, kind: str) -> None:
    with contextlib.suppress(Unreadable):
        Scrapes(kind).take(text)


def test_a_histogram_needs_no_sum() -> None:
    scrapes, found = Scrapes(), {}
    for count in (1, 2):
        text = f'# TYPE h histogram\nh_bucket{{le="+Inf"}} {count}\nh_count {count}\n'
        found = values(scrapes.take(text))
    assert found == {"h.count": 1}
    assert not any(math.isnan(value) for value in found.values())

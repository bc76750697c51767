"""The parts of a probe that hold no thread: counts, buffer, encoding, sampling."""

import threading
from collections import Counter as Counts
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import pack
from schemas.observing import MetricReport
from schemas.topics import key_of
from workers.probing import encoding as probe_encoding
from workers.probing.buffer import Buffer, Tally
from workers.probing.encoding import MetricEncoder, clean
from workers.probing.sampling import MOST_SAMPLED, Sampler, Sampling

REPORTER = MetricReport(
    event_time=0, app="shop", stage="s", service="v", instance="i", node="n", metric="", value=0.0
)


def test_a_tally_counts_every_thread_and_no_look() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(5_000):
            tally.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    looks = [tally.total() for _ in range(50)]
    for thread in threads:
        thread.join()
    assert looks == sorted(looks)
    assert tally.total() == 20_000
    assert tally.total() == 20_000


def test_a_buffer_is_bounded_and_keeps_the_order() -> None:
    buffer: Buffer[int] = Buffer(3)
    assert [buffer.offer(n) for n in range(5)] == [True, True, True, False, False]
    assert buffer.take() == 0
    buffer.put_back(0)
    assert (len(buffer), buffer.offer(9)) == (3, False)
    assert [buffer.take() for _ in range(4)] == [0, 1, 2, None]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(
    TEXTS,
    TEXTS,
    st.integers(0, (1 << 53) - 1),
    st.floats(allow_nan=False),
    st.none() | TEXTS,
)
def test_a_template_writes_what_the_codec_writes(
    metric: str, unit: str, when: int, value: float, request_id: str | None
) -> None:
    report = MetricReport(
        event_time=when,
        app="shop",
        stage="s",
        service="v",
        instance="i",
        node="n",
        metric=metric,
        value=value,
        unit=unit,
        request_id=request_id,
    )
    series = MetricEncoder(REPORTER).series(metric, unit)
    assert series.encode(when, value, request_id) == pack(report)
    assert series.key == key_of(report)


def test_the_present_schema_allows_templates() -> None:
    assert probe_encoding._template(REPORTER) is not None


def test_a_schema_that_allows_no_template_is_left_to_the_codec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_encoding, "pack", lambda report: pack(report) + b"\x00")
    series = MetricEncoder(REPORTER).series("latency", "ms")
    assert series.encode(5, 1.0, None).endswith(b"ms\x00\x00")
    assert probe_encoding._template(REPORTER) is None


def test_templates_are_bounded_and_texts_made_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_encoding, "MOST_SERIES", 3)
    encoder = MetricEncoder(REPORTER)
    for number in range(10):
        encoder.series(f"m{number}", "")
        assert len(encoder._series) <= 3
    assert clean("bri\udcffght") == "bri?ght"
    assert b"bri?ght" in encoder.series("bri\udcffght", "").encode(1, 1.0, None)


def companions(sampler: Sampler) -> dict[str, float]:
    """Return what a sampler reports of itself, all of which can be sent."""
    found: dict[str, float] = {}

    def report(metric: str, value: float) -> bool:
        found[metric] = value
        return True

    sampler.tell(report)
    return found


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(wrong: float) -> None:
    for made in ({"rate": wrong}, {"requests": wrong}, {"rates": {"x": wrong}}):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            Sampling(**made)  # type: ignore[arg-type]  # one of three fields


def test_counts_and_sums_can_be_put_right() -> None:
    sampler = Sampler(Sampling(rates={"latency": 0.1}, seed=7))
    values = [float(n % 50) for n in range(20_000)]
    kept = [value for value in values if sampler.admits("latency")]
    told = companions(sampler)
    assert told == {"latency.sample_rate": 0.1, "latency.seen": 20_000.0}
    deviation = ((1 - 0.1) / (0.1 * 20_000)) ** 0.5
    assert abs(len(kept) / told["latency.sample_rate"] / 20_000 - 1) < 4 * deviation
    assert mean(kept) * told["latency.seen"] == pytest.approx(sum(values), rel=0.05)


def test_companions_tell_what_was_seen_since() -> None:
    sampler = Sampler(Sampling(rate=0.5, rates={"whole": 1.0}, seed=1))
    for metric in ("a", "a", "whole", "b"):
        sampler.admits(metric)
    assert companions(sampler)["a.seen"] == 2
    sampler.admits("a")
    assert companions(sampler) == {"a.sample_rate": 0.5, "a.seen": 1.0}
    assert companions(sampler) == {}


def test_a_seed_samples_each_metric_the_same_whatever_else_is_reported() -> None:
    one, other = (Sampler(Sampling(rate=0.3, seed=5)) for _ in range(2))
    alone = [one.admits("x") for _ in range(200)]
    among = []
    for _ in range(200):
        other.admits("y")
        among.append(other.admits("x"))
    assert alone == among
    assert alone != [Sampler(Sampling(rate=0.3, seed=6)).admits("x") for _ in range(200)]


def test_without_sampling_everything_is_reported_whole() -> None:
    sampler = Sampler(Sampling())
    assert all(sampler.admits("x") and sampler.admits_request(str(n)) for n in range(100))
    assert companions(sampler) == {}


def test_processes_choose_the_same_requests() -> None:
    answers, truths, salted = (
        Sampler(Sampling(requests=0.2, salt=salt)) for salt in ("", "", "other")
    )
    chosen = {n for n in range(5_000) if answers.admits_request(f"r{n}")}
    assert chosen == {n for n in range(5_000) if truths.admits_request(f"r{n}")}
    assert chosen != {n for n in range(5_000) if salted.admits_request(f"r{n}")}
    assert 850 < len(chosen) < 1150
    assert companions(answers) == {"inference.sample_rate": 0.2, "inference.seen": 5000.0}


def test_beyond_the_bound_metrics_are_reported_whole() -> None:
    sampler = Sampler(Sampling(rate=0.01, seed=1))
    found = Counts(sampler.admits(f"m{n}") for n in range(MOST_SAMPLED + 500))
    assert found[True] >= 500
    assert len(sampler._sampled) == MOST_SAMPLED

"""Events that come twice are applied once, as far back as an instance remembers."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from schemas.inference import GroundTruth
from schemas.observing import Observation
from schemas.processing import Batch, Output, Record
from streams.faust.repeats import Once, Recent

IDS = st.lists(st.sampled_from([f"id{number}" for number in range(12)]), max_size=60)


def observation(event_id: str, revision: int = 0) -> Observation:
    zero = dict.fromkeys(("mean", "std", "min", "max", "p50", "p90", "p95", "p99"), 0.0)
    return Observation(
        event_id=event_id,
        revision=revision,
        app="a",
        stage="",
        service="",
        instance="",
        node="",
        metric="m",
        unit="",
        window="w",
        window_start=0,
        window_end=1,
        count=1,
        late_count=0,
        emitted_at=1,
        **zero,
    )


class Echo:
    """Says what it was handed."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def process(self, batch: Batch) -> Sequence[Output]:
        self.batches.append([record.event.event_id for record in batch.records])
        return [record.event for record in batch.records]

    def wake_at(self) -> int | None:
        return 7

    def snapshot(self) -> bytes:
        return b"state"

    def restore(self, data: bytes) -> None:
        self.batches.append([data.decode()])


def batch(ids: Sequence[str]) -> Batch:
    records = [Record(observation(name), "t", 0, at, 0) for at, name in enumerate(ids)]
    return Batch(tuple(records), 0)


@given(IDS, st.integers(1, 12))
def test_an_id_among_the_last_ones_is_no_news(ids, limit):
    recent = Recent(limit=limit)
    order: list[str] = []
    for name in ids:
        assert recent.add(observation(name)) == (name not in order[-limit:])
        if name not in order[-limit:]:
            order.append(name)
    assert len(recent.pack()) == 8 * min(len(order), limit)


@given(IDS, IDS)
def test_what_was_packed_goes_on_as_it_was(before, after):
    recent = Recent(limit=5)
    for name in before:
        recent.add(observation(name))
    again = Recent(recent.pack(), limit=5)
    for name in after:
        assert again.add(observation(name)) == recent.add(observation(name))
    assert again.pack() == recent.pack()


def test_another_revision_is_news_and_so_is_what_has_no_id():
    recent = Recent()
    assert recent.add(observation("one"))
    assert recent.add(observation("one", revision=1))
    truth = GroundTruth(request_id="r", app="a", label="l", known_at=1)
    assert recent.add(truth)
    assert recent.add(truth)


@given(IDS, st.integers(0, 60))
def test_cutting_a_batch_changes_nothing(ids, cut):
    whole, halves = Once(Echo()), Once(Echo())
    said = list(whole.process(batch(ids)))
    cut_said = [*halves.process(batch(ids[:cut])), *halves.process(batch(ids[cut:]))]
    assert said == cut_said
    assert [event.event_id for event in said] == list(dict.fromkeys(ids))


def test_repeats_alone_are_no_batch_but_a_timer_is():
    echo = Echo()
    once = Once(echo)
    once.process(batch(["one"]))
    once.process(batch(["one"]))
    once.process(batch([]))
    assert echo.batches == [["one"], []]
    assert (once.wake_at(), once.snapshot()) == (7, b"state")
    once.restore(b"other")
    assert echo.batches[-1] == ["other"]

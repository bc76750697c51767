"""What the bench of observing puts on the topic, and what any first part of it holds."""

from collections import Counter, defaultdict

from schemas import codec
from schemas.introspect import to_plain
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.topics import PARTITIONS, key_of
from streams.bench.observing_load import Load, load

NOW_MS = 1_760_000_123_456
SMALL = Load(series=23, ticks=7, start_ms=1_700_000_000_000, rate=10)


def test_a_message_is_the_framed_event_under_its_key_in_its_partition() -> None:
    messages = list(SMALL.messages(77))
    assert len(messages) == SMALL.events == 23 * 7
    for at, message in enumerate(messages):
        tick, number = divmod(at, 23)
        report = SMALL.report(number, tick)
        assert message.value == codec.frame(77, codec.pack(report))
        assert message.key == key_of(report).encode()
        assert message.partition == partition_of(key_of(report), PARTITIONS)
        assert message.timestamp == report.event_time


def test_eight_fields_have_a_value() -> None:
    plain = to_plain(MetricReport)(SMALL.report(3, 2))
    assert sum(value not in ("", None) for value in plain.values()) == 8


def test_the_first_ticks_are_the_first_messages_of_each_partition() -> None:
    messages = list(SMALL.messages(1))[: 23 * 4]
    assert SMALL.first(4) == {
        **dict.fromkeys(range(4), 0),
        **Counter(m.partition for m in messages),
    }


def test_closed_windows_hold_what_a_count_of_every_message_says() -> None:
    size_ms, each = 300, 3
    for cut in (0, 1, 5, 17, 40):
        rows = defaultdict(list)
        for message in SMALL.messages(1):
            rows[message.partition].append(message)
        positions = {place: min(cut, len(found)) for place, found in rows.items()}
        counts: Counter[bytes] = Counter()
        for place, found in rows.items():
            counts.update(message.key for message in found[: positions[place]])
        expected = sum((seen - 1) // each * each for seen in counts.values())
        assert SMALL.closed(positions, size_ms) == expected


def test_a_load_is_whole_seconds_that_have_passed() -> None:
    made = load(1_000, 250_000, NOW_MS)
    assert (made.events, made.ticks, made.start_ms % 10_000) == (200_000, 200, 0)
    assert NOW_MS - 60_000 < made.start_ms + made.span_ms < NOW_MS
    assert load(100_000, 1, NOW_MS).ticks == 100

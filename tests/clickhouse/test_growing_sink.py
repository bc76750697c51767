"""Before topics grow, ClickHouse must have what stands on them; what can never be a row is none."""

from schemas.topics import PARTITIONS
from streams.topics.growing_sink import unstored
from tests.clickhouse.sinking import asking, counted, eventually, metrics, send, send_raw, sinking
from workers.registry import Registry
from workers.settings import Settings

PLACES = [("weir.metrics", n) for n in range(PARTITIONS)]
COUNTS = {"weir.metrics": PARTITIONS}


def test_what_the_sink_has_yet_to_store_is_named(everything: Settings) -> None:
    registry = Registry(everything.registry)
    try:
        codec = registry.codec()
        (unknown,) = unstored(everything, codec, PLACES, COUNTS)
        assert "cannot be told" in unknown
        send(everything, *metrics("grown", 40))
        with sinking(everything), asking(everything) as database:
            stored = "SELECT count() FROM metrics WHERE app = 'grown'"
            assert eventually(lambda: counted(database, stored) == 40)
            assert eventually(lambda: unstored(everything, codec, PLACES, COUNTS) == [])
        send_raw(everything, "weir.metrics", b"no avro", key="poison")
        assert unstored(everything, codec, PLACES, COUNTS) == []
        send(everything, *metrics("grown", 1))
        (behind,) = unstored(everything, codec, PLACES, COUNTS)
        assert "the sink has yet to store weir.metrics/" in behind
    finally:
        registry.close()

"""Has ClickHouse all that stands on topics which are about to grow?"""

from collections.abc import Mapping, Sequence

from schemas.codec import Codec
from schemas.topics import topic_named
from workers.clickhouse import connect
from workers.errors import ClickHouseRefused, ClickHouseUnavailable
from workers.hosting.retries import meant_for
from workers.kafka import clients as kafka
from workers.kafka import ends as kafka_ends
from workers.kafka import reading as kafka_reading
from workers.kafka.groups import Place
from workers.settings import Settings
from workers.sinking.positions import positions
from workers.sinking.rows import rows_of
from workers.sinking.sink import NAME

ASIDE = "; --without-sink leaves it aside, and what it has not stored will never be"


def unstored(
    settings: Settings, codec: Codec, places: Sequence[Place], counts: Mapping[str, int]
) -> list[str]:
    """Return, in words, where records stand that would give rows which ClickHouse does not have.

    Raises KafkaUnavailable, RegistryUnavailable.
    """
    try:
        database = connect(settings.clickhouse)
        try:
            known = positions(database, kafka.cluster_id(settings.kafka))
        finally:
            database.close()
    except (ClickHouseRefused, ClickHouseUnavailable) as error:
        return [f"whether the sink has stored everything cannot be told ({error}){ASIDE}"]
    starts = {place: known.get(place, 0) for place in places}
    behind = kafka_ends.waiting(settings.kafka, starts)
    ends = kafka_ends.ends(settings.kafka, list(behind)) if behind else {}
    ranges = {place: (starts[place], ends[place].stable) for place in behind}
    missing = sorted(_with_rows(settings, codec, ranges, counts))
    if not missing:
        return []
    topic, partition = missing[0]
    return [
        f"the sink has yet to store {topic}/{partition} from offset {starts[missing[0]]}"
        f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}{ASIDE}"
    ]


def _with_rows(
    settings: Settings,
    codec: Codec,
    ranges: Mapping[Place, tuple[int, int]],
    counts: Mapping[str, int],
) -> set[Place]:
    """Return the places where something would become a row: what was refused never does."""
    found: set[Place] = set()
    for place, span in ranges.items():
        topic, count = topic_named(place[0]), counts[place[0]]
        for messages in kafka_reading.read_ranges(settings.kafka, {place: span}):
            rows = rows_of(topic, meant_for(messages, NAME), codec, "", count)
            if any(frame.height for _, frame in rows.frames):
                found.add(place)
                break
    return found

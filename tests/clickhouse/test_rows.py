"""Every event comes out of SQL as it went in; what is no event stays out and is reported."""

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, get_type_hints

import pytest

from schemas.base import Event, Timestamp
from schemas.inference import InferenceRequest
from schemas.observing import MetricReport
from schemas.partitioning import partition_of
from schemas.quality import RuleDefined
from schemas.records import Tensor
from schemas.registrations import MetricDefined, ServiceRegistered, WindowDefined
from schemas.topics import home_of, key_of, topic_named, topic_of
from tests.clickhouse.messages import CLUSTER, Stood, insert, rows, stood, store
from tests.examples import codec, example
from workers.clickhouse import Database
from workers.sinking.positions import is_stored, positions
from workers.sinking.rows import rows_of
from workers.sinking.tables import tables


def instant(milliseconds: int) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None)


def as_stored(value: Any) -> Any:
    """Return what SQL should give for a value of an event."""
    if isinstance(value, Tensor):
        kept = {"name": value.name, "dtype": value.dtype, "shape": list(value.shape)}
        length = None if value.data is None else len(value.data)
        return kept | {"length": length, "reference": value.reference, "digest": value.digest}
    if is_dataclass(value):
        hints = get_type_hints(type(value), include_extras=True)
        names = [field.name for field in fields(value)]
        return {name: field_as_stored(hints[name], getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [as_stored(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def field_as_stored(hint: Any, value: Any) -> Any:
    is_instant = value is not None and hint in (Timestamp, Timestamp | None)
    return instant(value) if is_instant else as_stored(value)


@pytest.mark.parametrize("event", tables(), ids=lambda event: event.__name__)
def test_every_event_comes_back_equal(shared: Database, event: type[Event]) -> None:
    sent = example(event)
    if isinstance(sent, InferenceRequest):
        sent = replace(
            sent,
            inputs=(Tensor(name="x", dtype="uint8", shape=(2,), reference="there", digest="d"),),
        )
    store(shared, sent, first=7)
    (found,) = shared.query(f"SELECT * FROM {tables()[event].name}").records()
    place = {"_cluster": CLUSTER, "_topic": topic_of(sent), "_partition": 0, "_offset": 7}
    meta = place | {"_key": key_of(sent), "_timestamp": instant(2_000_000_000_000)}
    deleted = {"_deleted": False} if home_of(event).compacted else {}
    assert found == as_stored(sent) | meta | deleted


def test_tensors_keep_digest_and_length_alone() -> None:
    data = bytes(range(16))
    plain = Tensor(name="x", dtype="uint8", shape=(16,), data=data)
    distant = replace(plain, data=None, reference="s3://there", digest="d1")
    event = replace(example(InferenceRequest), inputs=(plain, distant))
    ((_, frame),) = rows([stood(event, 0)]).frames
    first, second = frame["inputs"].to_list()[0]
    assert (first["length"], first["digest"]) == (16, sha256(data).hexdigest())
    assert (second["length"], second["digest"]) == (None, "d1")
    assert "data" not in first


def test_tombstones_are_kept_as_the_end_of_an_entry(database: Database) -> None:
    event = example(ServiceRegistered)
    key = key_of(event).encode()
    end = Stood("weir.services", 1, None, key)
    insert(database, rows([stood(event, 0), end, replace(end, at_offset=2)]))
    found = database.query("SELECT service, _deleted, replicas FROM services ORDER BY _offset").rows
    assert found == ((key.decode(), False, event.replicas), *[(key.decode(), True, 1)] * 2)
    assert database.query("SELECT count() FROM services FINAL").rows == ((3,),)


def test_tombstones_alone_are_rows_too(database: Database) -> None:
    insert(database, rows([Stood("weir.placements", n, None, b"digits") for n in range(2)]))
    found = database.query("SELECT service, _deleted, assignments FROM placements FINAL").rows
    assert found == (("digits", True, []),) * 2


def test_records_that_share_a_topic_go_to_their_tables(database: Database) -> None:
    sent = [example(WindowDefined), example(MetricDefined), example(RuleDefined)]
    messages = [stood(event, n) for n, event in enumerate(sent)]
    messages.append(Stood("weir.definitions", 3, None, b"name 1"))
    insert(database, rows(messages))
    for table in ("windows", "metric_definitions", "rules"):
        found = database.query(f"SELECT name, _deleted FROM {table} ORDER BY _offset")
        assert found.rows == (("name 1", False), ("name 1", True))


def test_exactly_the_bad_messages_stay_out() -> None:
    good = MetricReport(event_time=1, app="a", metric="m", value=1.5)
    bodies = [
        codec().encode(good),
        b"no avro",
        codec().encode(good) * 2,
        codec().encode(replace(good, value=float("nan"))),
        codec().encode(replace(good, event_time=9_000_000_000_000)),
        None,
        bytes(2_000_000),
        codec().encode(example(RuleDefined)),
        codec().encode(replace(good, value=2.5)),
    ]
    found = rows([Stood("weir.metrics", n, body, b"k") for n, body in enumerate(bodies)])
    ((_, frame),) = found.frames
    assert frame.select("_offset", "value").rows() == [(0, 1.5), (8, 2.5)]
    wrong = {bad.message.offset(): bad.error.kind for bad in found.unusable}
    assert sorted(wrong) == [1, 2, 3, 4, 5, 6, 7]
    assert wrong[1] == wrong[5] == "not-framed"
    assert (wrong[2], wrong[6], wrong[7]) == ("trailing-bytes", "too-large", "wrong-record")


def test_a_batch_of_bad_messages_gives_no_rows() -> None:
    found = rows([Stood("weir.definitions", n, b"bad") for n in range(3)])
    assert found.frames == ()
    assert len(found.unusable) == 3


def test_repeats_are_one_row(database: Database) -> None:
    metric = MetricReport(event_time=1, app="a", metric="m", value=1.5)
    for _ in range(2):
        store(database, metric, example(_named("InferenceResult")))
    store(database, example(_named("InferenceResult")), first=9)
    store(database, metric, first=9)
    assert database.query("SELECT count() FROM metrics FINAL").rows == ((2,),)
    assert database.query("SELECT count() FROM results FINAL").rows == ((1,),)


def test_clusters_are_told_apart(database: Database) -> None:
    ensemble = example(_named("EnsembleSelected"))
    store(database, ensemble, cluster="one")
    store(database, ensemble, cluster="two")
    assert database.query("SELECT count() FROM ensembles FINAL").rows == ((2,),)


def test_the_newest_revision_of_a_window_counts(database: Database) -> None:
    window = replace(example(_named("Observation")), revision=1, count=5)
    store(database, window, replace(window, revision=2, count=6), window)
    assert database.query("SELECT revision, count FROM observations FINAL").rows == ((2, 6),)


def _named(name: str) -> Any:
    return next(event for event in tables() if event.__name__ == name)


def test_each_partition_goes_on_after_its_highest_offset(database: Database) -> None:
    metric = MetricReport(event_time=1, app="a", metric="m", value=1.5)
    for partition, last in ((0, 41), (3, 6)):
        insert(database, rows([stood(metric, n, partition) for n in (1, last)]))
    store(database, example(RuleDefined), example(_named("InferenceTask")), first=5)
    task_topic = topic_of(example(_named("InferenceTask")))
    expected = {("weir.metrics", 0): 42, ("weir.metrics", 3): 7, (task_topic, 0): 6}
    assert positions(database, CLUSTER) == expected
    assert positions(database, "another") == {}


def test_every_topic_but_the_snapshots_is_stored() -> None:
    assert is_stored("weir.tasks.edge-1")
    assert is_stored("weir.metrics")
    assert not any(is_stored(name) for name in ("weir.snapshots", "_schemas", "weir.other"))


def test_no_registry_is_not_a_bad_message() -> None:
    class Away(Exception):
        pass

    def away(schema_id: int) -> str:
        raise Away

    unreachable = type(codec())({}, away)
    message = stood(MetricReport(event_time=1, app="a", metric="m", value=1.5), 0)
    with pytest.raises(Away):
        rows_of(topic_named("weir.metrics"), [message], unreachable, CLUSTER)


def test_a_row_counts_only_where_its_key_says() -> None:
    event = example(MetricReport)
    messages = [stood(event, 3, partition) for partition in range(4)]
    ((_, frame),) = rows_of(topic_named("weir.metrics"), messages, codec(), CLUSTER, 4).frames
    assert frame["_partition"].to_list() == [partition_of(key_of(event), 4)]


def test_a_batch_without_a_good_row_stores_nothing_where_keys_decide() -> None:
    messages = [Stood("weir.requests", offset, b"rubbish") for offset in range(2)]
    found = rows_of(topic_named("weir.requests"), messages, codec(), CLUSTER, 4)
    assert found.frames == ()
    assert [wrong.message for wrong in found.unusable] == messages

"""The topic table: every event has a home, keys and subjects are what clients expect."""

import pytest

from schemas import files, topics
from schemas.errors import UnknownContract
from schemas.events import EVENTS, event_named
from schemas.inference import InferenceTask
from schemas.observing import MetricReport
from schemas.quality import RuleDefined
from tests.examples import example

METRIC = MetricReport(event_time=1, app="a", stage="s", metric="m", value=1.0)


def test_every_event_has_a_schema_and_stands_in_exactly_one_row() -> None:
    rows = [event for topic in topics.TOPICS.values() for event in topic.events]
    assert sorted([*rows, InferenceTask], key=str) == sorted(EVENTS.values(), key=str)
    assert set(files.records()) == set(EVENTS)


def test_a_key_joins_the_fields_of_the_series() -> None:
    assert topics.key_of(METRIC) == "a/s////m"
    assert topics.topic_of(METRIC) == "weir.metrics"


def test_tasks_have_a_topic_for_each_worker_and_one_subject() -> None:
    task = example(InferenceTask)
    name = topics.topic_of(task)
    assert name == f"weir.tasks.{task.worker}"
    assert topics.topic_named(name).events == (InferenceTask,)
    assert topics.subject_of(InferenceTask) == "weir.tasks-value"


def test_subjects_are_named_by_topic_and_by_record_where_types_share() -> None:
    assert topics.subject_of(MetricReport) == "weir.metrics-value"
    assert topics.subject_of(RuleDefined) == "weir.definitions-weir.RuleDefined"


@pytest.mark.parametrize("name", ["weir.nothing", "weir.tasks.", ""])
def test_a_topic_outside_of_the_table_is_unknown(name: str) -> None:
    with pytest.raises(UnknownContract, match="topic table"):
        topics.topic_named(name)


def test_compacted_topics_are_compacted_and_others_expire() -> None:
    for topic in topics.TOPICS.values():
        config = topic.config()
        assert (config["cleanup.policy"] == "compact") is topic.compacted
        assert ("retention.ms" in config) is not topic.compacted


@pytest.mark.parametrize(
    "group",
    [
        ("weir.requests", "weir.results", "weir.responses", "weir.labels"),
        (
            "weir.observations",
            "weir.drifts",
            "weir.quality",
            "weir.violations",
            "weir.ensembles",
        ),
    ],
)
def test_joined_topics_share_key_and_partition_count(group: tuple[str, ...]) -> None:
    rows = [topics.topic_named(name) for name in group]
    assert len({row.partitions for row in rows}) == 1
    assert len({row.key for row in rows}) == 1


def test_events_are_found_with_and_without_namespace() -> None:
    assert event_named("weir.MetricReport") is event_named("MetricReport") is MetricReport
    with pytest.raises(UnknownContract, match="Nothing"):
        event_named("Nothing")


@pytest.mark.parametrize(("replication", "least"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_two_of_three_copies_must_have_a_record(replication: int, least: str | None) -> None:
    for topic in topics.TOPICS.values():
        assert topic.config(replication).get("min.insync.replicas") == least

"""A cluster against the topic table."""

from dataclasses import replace

from schemas.topics import TOPICS
from streams.topics.table import (
    Found,
    Mend,
    advice,
    changes,
    differences,
    joined,
    untold,
    wanted,
)


def cluster(replication: int = 1, **changed: int) -> dict[str, Found]:
    """Return a cluster as the table says; `changed` are partitions by topic, without `weir.`."""
    return {
        name: Found(changed.get(name[5:], row.partitions), replication, row.config(replication))
        for name, row in TOPICS.items()
    }


def test_a_cluster_as_the_table_says_has_no_differences() -> None:
    assert differences(cluster(), 1) == []
    assert differences(cluster(3), 3) == []
    assert untold(cluster(), 1) == {}


def test_every_kind_of_difference_is_told_with_its_mend() -> None:
    found = cluster(actions=3, quality=2)
    del found["weir.models"]
    config = {"cleanup.policy": "delete", "max.message.bytes": "1048576"}
    found["weir.apps"] = replace(found["weir.apps"], config=config)
    told = {(each.topic, each.what): each for each in differences(found, 1)}
    assert {key: each.mend for key, each in told.items()} == {
        ("weir.apps", "cleanup.policy"): Mend.ALTER,
        ("weir.models", "topic"): Mend.CREATE,
        ("weir.quality", "partitions"): Mend.GROW,
        ("weir.actions", "partitions"): Mend.RECREATE,
    }
    grow = advice(told["weir.quality", "partitions"])
    assert grow == "weir topics grow weir.quality --partitions 4"
    assert changes(told.values()) == {"weir.apps": {"cleanup.policy": "compact"}}


def test_what_the_broker_does_not_tell_is_not_different() -> None:
    found = cluster()
    found["weir.labels"] = replace(found["weir.labels"], config={"retention.ms": "604800000"})
    assert differences(found, 1) == []
    assert untold(found, 1) == {"weir.labels": ["cleanup.policy", "max.message.bytes"]}


def test_copies_that_are_missing_are_told() -> None:
    found = cluster(3)
    found["weir.labels"] = replace(found["weir.labels"], replication=1)
    (thin,) = differences(found, 3)
    assert (thin.topic, thin.wanted, thin.found, thin.mend) == (
        "weir.labels",
        "3",
        "1",
        Mend.REASSIGN,
    )


def test_grown_topics_are_right_when_all_that_are_joined_have_grown() -> None:
    names = joined(TOPICS["weir.requests"])
    assert names == ["weir.requests", "weir.results", "weir.responses", "weir.labels"]
    grown = {name[5:]: 8 for name in names}
    assert differences(cluster(**grown), 1) == []
    (behind,) = differences(cluster(**(grown | {"labels": 4})), 1)
    assert (behind.topic, behind.wanted, behind.mend) == ("weir.labels", "8", Mend.GROW)


def test_lists_in_another_order_are_the_same() -> None:
    found = cluster()
    row = found["weir.apps"]
    found["weir.apps"] = replace(row, config={**row.config, "cleanup.policy": " compact "})
    assert differences(found, 1) == []


def test_task_topics_of_workers_have_one_partition() -> None:
    found = cluster() | {"weir.tasks.w": Found(2, 1, {}), "weir.tasks.": Found(1, 1, {})}
    assert [row.name for row in wanted(found)][-1] == "weir.tasks.w"
    (wide,) = differences(found, 1)
    assert (wide.topic, wide.mend) == ("weir.tasks.w", Mend.RECREATE)

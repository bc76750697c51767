"""The catalogue as a value: updates, tombstones, sharing, offsets."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Update
from schemas.quality import RuleDefined
from schemas.records import SourceRange
from schemas.registrations import (
    ApplicationRegistered,
    MetricDefined,
    NodeReported,
    ServiceRegistered,
)
from tests.examples import example

NODE = example(NodeReported)
APP = example(ApplicationRegistered)


def node(offset: int, key: str, *, gone: bool = False) -> Update:
    event = None if gone else replace(NODE, node=key, zone=str(offset))
    return Update("weir.nodes", 0, offset, key, event)


def _service(name: str, app: str) -> Update:
    event = replace(example(ServiceRegistered), service=name, app=app)
    return Update("weir.services", 0, 0, name, event)


def test_the_newest_update_of_a_key_counts() -> None:
    catalogue = Catalogue().apply([node(0, "a"), node(1, "b"), node(2, "a")])
    assert {key: entry.zone for key, entry in catalogue.of(NodeReported).items()} == {
        "a": "2",
        "b": "1",
    }
    assert catalogue.get(NodeReported, "c") is None
    assert catalogue.get(ApplicationRegistered, "a") is None


def test_a_tombstone_removes() -> None:
    catalogue = Catalogue().apply([node(0, "a"), node(1, "a", gone=True)])
    assert catalogue.of(NodeReported) == {}
    assert catalogue.apply([node(2, "never", gone=True)]).of(NodeReported) == {}


def test_what_did_not_change_is_shared_and_the_old_value_stays() -> None:
    before = Catalogue().apply([node(0, "a"), Update("weir.apps", 0, 0, "x", APP)])
    after = before.apply([node(1, "b")])
    assert after.of(ApplicationRegistered) is before.of(ApplicationRegistered)
    assert after.of(NodeReported) is not before.of(NodeReported)
    assert list(before.of(NodeReported)) == ["a"]
    untouched = after.apply([Update("weir.nodes", 0, 9, "absent", None)])
    assert untouched.of(NodeReported) is after.of(NodeReported)


def test_a_key_of_a_shared_topic_holds_one_event_of_any_class() -> None:
    rule, metric = example(RuleDefined), example(MetricDefined)
    topic = "weir.definitions"
    first = Catalogue().apply([Update(topic, 0, 0, "n", rule)])
    second = first.apply([Update(topic, 0, 1, "n", metric)])
    assert first.get(RuleDefined, "n") == rule
    assert second.get(RuleDefined, "n") is None
    assert second.get(MetricDefined, "n") == metric
    assert second.apply([Update(topic, 0, 2, "n", None)]).get(MetricDefined, "n") is None


def test_sources_are_the_last_offsets_read() -> None:
    updates = [node(4, "a"), Update("weir.apps", 0, 7, "x", APP), node(5, "a", gone=True)]
    assert Catalogue().apply(updates).sources() == (
        SourceRange(topic="weir.apps", partition=0, first=0, last=7),
        SourceRange(topic="weir.nodes", partition=0, first=0, last=5),
    )


UPDATES = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans()).map(lambda pair: pair), max_size=12
)


@given(updates=UPDATES, cut=st.integers(0, 12))
def test_applying_in_parts_is_applying_at_once(updates: list[tuple[str, bool]], cut: int) -> None:
    steps = [node(offset, key, gone=gone) for offset, (key, gone) in enumerate(updates)]
    assert Catalogue().apply(steps[:cut]).apply(steps[cut:]) == Catalogue().apply(steps) or (
        not Catalogue().apply(steps).of(NodeReported)
    )


def test_entries_by_application_follow_the_entries() -> None:
    first = Catalogue().apply([_service("a", "x"), _service("b", "x"), _service("c", "y")])
    grouped = first.by_app(ServiceRegistered)
    assert {app: [s.service for s in found] for app, found in grouped.items()} == {
        "x": ["a", "b"],
        "y": ["c"],
    }
    other = first.apply([Update("weir.nodes", 0, 0, "n", None)])
    assert other.by_app(ServiceRegistered) is grouped
    moved = first.apply([_service("b", "y"), Update("weir.services", 0, 9, "a", None)])
    assert [s.service for s in moved.by_app(ServiceRegistered)["y"]] == ["b", "c"]
    assert "x" not in moved.by_app(ServiceRegistered)
    assert first.by_app(ServiceRegistered) is grouped

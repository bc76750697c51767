"""What runs and what stands on topics fit each other; every decision is an event."""

import ast
from functools import cache

import pytest

from schemas.events import EVENTS
from schemas.processing import Spec
from schemas.topics import TASKS_PREFIX, TOPICS, home_of
from streams import topology
from tests.architecture.tree import module, parsed, sources

NAMES = tuple(topology.PROCESSORS)
CATALOGUE_OF_OTHERS = {
    "InstanceReported", "ServiceRegistered", "PlacementDecided", "PolicySelected",
    "DeploymentObserved", "NodeReported",
}  # fmt: skip
"""What actuate and the workers look up; they are no specifications."""
READ_BY_SINK_ALONE = {
    "weir.late",
    "weir.logs",
    "weir.spans",
    "weir.actions",
    "weir.retraining",
    "weir.deadletters",
    "weir.erasures",
    "weir.snapshots",
    "weir.narratives",
    "weir.standings",
}
"""For SQL, for people, and for hosts when they restore."""


@cache
def spec(name: str) -> Spec:
    return topology.spec_named(name)


def made_in(*packages: str) -> dict[str, set[str]]:
    """Return the event classes that are constructed in packages, and by which modules."""
    found: dict[str, set[str]] = {}
    for path in sources(*packages):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in EVENTS:
                    found.setdefault(name, set()).add(module(path))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_specification_has_the_name_it_is_known_by(name: str) -> None:
    assert spec(name).name == name


def test_every_specification_is_in_the_topology() -> None:
    defining = {
        module(path)
        for path in sources("processors", "placement")
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef) and node.name == "spec"
    }
    assert defining == {place.module for place in topology.PROCESSORS.values()}


@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_outputs_are_in_the_topic_table(name: str) -> None:
    assert set(spec(name).inputs) <= set(TOPICS)
    assert spec(name).outputs
    assert all(home_of(event) for event in spec(name).outputs)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_joined_have_equal_partitions(name: str) -> None:
    if not spec(name).singleton:
        assert len({TOPICS[topic].partitions for topic in spec(name).inputs}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_is_looked_up_is_compacted(name: str) -> None:
    assert all(home_of(event).compacted for event in spec(name).catalogue)


def test_every_event_is_made_by_somebody() -> None:
    made = made_in("processors", "placement", "workers", "streams")
    registered = {"InferenceRequest", "GroundTruth", "MetricDefined", "PolicySelected"}
    from_outside = registered | {
        "ConsumerRegistered", "ModelPublished", "RuleDefined", "RemedyDefined",
    }  # fmt: skip
    assert set(EVENTS) - set(made) <= from_outside


def test_every_event_that_a_processor_makes_is_declared() -> None:
    declared = {event.__name__ for name in NAMES for event in spec(name).outputs}
    by_actuate = {
        "placement.local.actuation", "placement.local.deployments", "placement.local.fleet",
        "placement.kube.discovery_nodes", "placement.kube.telling",
    }  # fmt: skip
    for event, modules in made_in("processors", "placement").items():
        assert event in declared or modules <= by_actuate, f"{event} is made by {modules}"


def test_every_topic_is_read_by_somebody() -> None:
    read = {topic for name in NAMES for topic in spec(name).inputs}
    read |= {home_of(event).name for name in NAMES for event in spec(name).catalogue}
    read |= {home_of(EVENTS[name]).name for name in CATALOGUE_OF_OTHERS}
    assert set(TOPICS) - read <= READ_BY_SINK_ALONE | {"weir.consumers", "weir.models"}


def test_task_topics_belong_to_no_table_row() -> None:
    assert not [name for name in TOPICS if name.startswith(TASKS_PREFIX)]

"""place as it is hosted hears the algorithms and filters of installed distributions."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.records import KeyValue
from streams import topology
from tests.distributions import distribution
from tests.unit.placement import world
from tests.unit.placement.test_controller import Control, nodes_of, request

EXAMPLE = Path(__file__).parents[2] / "example_plugins"
POINTS = """
[weir.scores]
cool-aisle = example_plugins:CoolAisle
[weir.filters]
quarantine = example_plugins:outside_quarantine
"""


def test_place_decides_by_the_algorithm_and_the_filter_of_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (EXAMPLE / "example_plugins.py").read_text("utf-8")
    distribution(tmp_path, monkeypatch, "example_plugins", code, POINTS)
    cool, closed = KeyValue(key="aisle", value="cool"), KeyValue(key="quarantine", value="yes")
    control = Control(
        world.node("a"),
        world.node("b", labels=(cool, closed)),
        world.node("c", labels=(cool,)),
        world.service("s"),
        replace(world.policy("place", "act"), algorithm="cool-aisle"),
    )
    control.processor = topology.spec_named("place").build(0)
    (decided,) = control.ask(request(s=1))
    assert (nodes_of(decided), decided.algorithm) == (["c"], "cool-aisle")
    assert [r.nodes for r in decided.rejections if r.constraint.startswith("plugin ")] == [1]

"""Two local actuators of one data directory: the second does nothing before the first has ended."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.registrations import NodeReported
from streams.actuating.actuate import LocalDeeds
from tests.unit.placement.world import T0
from workers.settings import LocalSettings, NodeSection, Settings

WORLD: Any = SimpleNamespace(clock=lambda: T0, catalogue=Catalogue)


def actuator(folder: Path) -> LocalDeeds:
    nodes = (NodeSection(name="edge", cpu_milli=1000, memory_mib=512),)
    return LocalDeeds(Settings(data_dir=folder, local=LocalSettings(nodes=nodes)))


def test_the_second_waits_tells_for_whom_and_follows(tmp_path: Path) -> None:
    first, second = actuator(tmp_path), actuator(tmp_path)
    assert [type(event) for event in first.act(WORLD)] == [NodeReported]
    (told,) = second.act(WORLD)
    assert isinstance(told, ActionTaken)
    assert (told.target, told.kind, told.status) == ("edge", "node.waits", "refused")
    assert str(tmp_path) in told.reason
    assert second.act(WORLD) == []
    (farewell,) = first.end(WORLD, leave=False)
    assert isinstance(farewell, NodeReported)
    assert farewell.status == "unknown"
    assert [type(event) for event in second.act(WORLD)] == [NodeReported]
    second.end(WORLD, leave=False)


def test_who_has_only_waited_says_no_farewell(tmp_path: Path) -> None:
    first, second = actuator(tmp_path), actuator(tmp_path)
    first.act(WORLD)
    second.act(WORLD)
    assert second.end(WORLD, leave=False) == []
    (told,) = actuator(tmp_path).act(WORLD)
    assert isinstance(told, ActionTaken), "who never had the lock has not let it go"
    first.end(WORLD, leave=False)

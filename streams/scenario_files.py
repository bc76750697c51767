"""Scenario files: TOML, JSON or YAML, or the name of one that is shipped."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from streams import text_files, toml
from workers.handover import task_configs
from workers.scheduling.orders.names import OWN
from workers.simulation.errors import ScenarioRefused
from workers.simulation.reading import scenario_of
from workers.simulation.scenario import Scenario
from workers.simulation.simulator import PLAIN

_SHIPPED = files("workers.simulation") / "scenarios"


def shipped() -> list[str]:
    """Return the names of the scenarios that are shipped."""
    return sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir())


def check_order(scenario: Scenario, name: str, others: Iterable[str]) -> None:
    """See that a scenario names a known order: a built-in one, plain-fifo or one of plug-ins.

    `name` is the file it was read from. Raises ScenarioRefused, naming file, field and remedy.
    """
    known = sorted({*OWN, *others, PLAIN})
    if scenario.order not in known:
        raise ScenarioRefused(
            f"{name}: order: {scenario.order!r} is unknown; one of {', '.join(known)}"
        )


def read(name: str) -> Scenario:
    """Return the scenario of a file, or the shipped one of this name where there is no such file.

    A file may be a task configuration of InferEdgeOrchestrator. Raises ScenarioRefused and
    DocumentRefused, naming file, field and remedy.
    """
    path = Path(name)
    if not path.exists() and name in shipped():
        text = (_SHIPPED / f"{name}.toml").read_text("utf-8")
        return scenario_of(toml.parsed(text), name)
    content = text_files.content(path, ScenarioRefused, f"shipped are {', '.join(shipped())}")
    if task_configs.is_one(content):
        content = task_configs.as_scenario(content, f"{path}")
    return scenario_of(
        content,
        f"{path}",
        lambda file, field: text_files.instants(path.parent / file, field, ScenarioRefused),
    )

"""No processor without its scenario in the law suite."""

import ast
import importlib
from pathlib import Path

import pytest

from streams import topology
from tests.contracts.laws import scenarios

ROOT = Path(__file__).parents[2]


def _modules() -> list[str]:
    found = []
    for folder in ("processors", "placement"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            if any(isinstance(node, ast.FunctionDef) and node.name == "spec" for node in tree.body):
                found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


@pytest.mark.parametrize("module", _modules())
def test_every_processor_has_a_scenario(module: str) -> None:
    spec = importlib.import_module(module).spec()

    known = scenarios()
    assert spec.name in known, f"write tests/contracts/scenarios/{spec.name}.py"
    assert known[spec.name].spec.name == spec.name


def test_every_scenario_uses_the_inputs_of_its_processor() -> None:
    for name, scenario in scenarios().items():
        assert scenario.spec.name == name
        for batch in scenario.batches(1):
            topics = {batch.topic} if hasattr(batch, "topic") else {r.topic for r in batch.records}
            assert topics <= set(scenario.spec.inputs)


def test_every_processor_of_the_topology_has_a_scenario() -> None:
    assert set(topology.PROCESSORS) <= scenarios().keys()

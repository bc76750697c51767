"""Kinds of rules of others: a distribution names them; what is wrong with one stops no other."""

from pathlib import Path
from textwrap import dedent

import pytest

from processors.rules import kinds
from schemas.catalogue import Catalogue
from schemas.decisions import ActionTaken
from schemas.quality import RuleDefined
from streams import topology
from streams.plugins.groups import Given, broken, surveyed
from tests import distributions
from tests.contracts.making import START, columns
from tests.contracts.scenarios.quality import rule
from tests.unit.processors.test_rules import row, told

_DOC = kinds.__doc__ or ""
EXAMPLE = dedent(_DOC[_DOC.index("    import math") : _DOC.index("and in the pyproject")])
MODULE = (
    EXAMPLE
    + """
class Fails(Jump):
    def value(self, *_):
        return 1 / 0

class Counts(Jump):
    seen = 0
    def value(self, *_):
        self.seen += 1
        return self.seen

class Wide(Jump):
    width = 10**9
"""
)
ENTRIES = """[weir.rules]
jump = sample_rules:Jump
fails = sample_rules:Fails
counts = sample_rules:Counts
wide = sample_rules:Wide
burn = sample_rules:Jump
words = sample_rules:math
"""


@pytest.fixture(autouse=True)
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A distribution on the path; returns what is logged of entries that cannot be used."""
    distributions.distribution(tmp_path, monkeypatch, "sample_rules", MODULE, ENTRIES)
    return distributions.refusals(monkeypatch)


def test_the_worked_example_judges_through_the_topology(refused: list[str]) -> None:
    processor = topology.spec_named("quality").build(0)
    known = [
        rule("r", kind="jump", operator=">", threshold=50.0, for_windows=1, clear_windows=1),
        rule("f", kind="fails", operator=">", threshold=0.0),
        rule("g", kind="gone", operator=">", threshold=0.0),
    ]
    catalogue = Catalogue({RuleDefined: {one.name: one for one in known}})
    seen = row([*[10.0] * 9, 100.0, 10.0])

    outputs = processor.process(columns(seen, START, catalogue))  # type: ignore[arg-type]  # columnar

    assert told(outputs) == [("degraded", "warning", 10), ("healthy", "warning", 11)]
    actions = [one.reason for one in outputs if isinstance(one, ActionTaken)]
    assert len(actions) == 2
    assert "kind 'gone' is unknown; known: threshold, rate" in actions[0]
    assert actions[1] == "kind of rule fails: ZeroDivisionError: division by zero"
    assert len(refused) == 3
    assert any("wide" in one and "its width is" in one for one in refused)
    assert any("'burn'" in one and "Weir's own" in one for one in refused)


def test_the_laws_tell_what_remembers_elsewhere() -> None:
    found = {one.name: one for group, one in surveyed() if group == kinds.GROUP}
    said = {name: broken(kinds.GROUP, one, Given()) for name, one in found.items()}
    assert said["jump"] == []
    assert said["counts"] == ["equal memories answered one window differently: it remembers more"]
    assert "ZeroDivisionError" in said["fails"][0]
    assert "its width is" in said["wide"][0]

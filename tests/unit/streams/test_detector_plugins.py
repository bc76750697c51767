"""Detectors of others: a distribution names them; what is wrong with one stops no other."""

from pathlib import Path

import numpy as np
import pytest

from processors.anomalies.anomaly import Anomalies
from processors.errors import PluginError
from schemas.observing import QualityEvaluated
from streams import topology
from streams.plugins.detectors import installed
from tests import distributions
from tests.unit.processors.test_anomaly import noise, policy, said, verdicts, windows

MODULE = """
class Steps:
    width = 2

    def strangeness(self, memory, time_ms, value):
        return abs(value - memory[0]) if memory[1] else 0.0

    def learn(self, memory, time_ms, value):
        memory[0], memory[1] = value, 1.0

class Fails(Steps):
    def strangeness(self, memory, time_ms, value):
        return 1 / 0

class Vague(Steps):
    def strangeness(self, memory, time_ms, value):
        return "very"

class Wide(Steps):
    width = 10**9

def words():
    return "many"
"""
ENTRIES = """[weir.detectors]
steps = sample_detectors:Steps
fails = sample_detectors:Fails
vague = sample_detectors:Vague
wide = sample_detectors:Wide
words = sample_detectors:words
weir = sample_detectors:Steps
spot = sample_detectors:Steps
gone = sample_detectors:Gone
"""


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A distribution on the path; returns what is logged of entries that cannot be used."""
    distributions.distribution(tmp_path, monkeypatch, "sample_detectors", MODULE, ENTRIES)
    return distributions.refusals(monkeypatch)


def test_what_can_be_used_is_found_and_the_rest_is_told(refused: list[str]) -> None:
    found = installed()
    assert sorted(found) == ["fails", "steps", "vague"]
    assert len(refused) == 5
    assert any("wide" in one and "its width is" in one for one in refused)
    assert any("words" in one and "is no Detector" in one for one in refused)
    assert any("'weir'" in one and "Weir's own" in one for one in refused)


@pytest.mark.parametrize(
    ("name", "said"), [("fails", "ZeroDivisionError"), ("vague", "could not convert")]
)
def test_a_failure_is_a_plugin_error(refused: list[str], name: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        installed()[name].strangeness(np.zeros(2), 0, 1.0)


def test_the_processor_of_the_topology_judges_by_it(refused: list[str]) -> None:
    processor = topology.spec_named("anomaly").build(0)
    assert isinstance(processor, Anomalies)
    outputs = said(processor, windows([*noise(1_200), 60.0]), policy("detect", "steps"))
    assert ("degraded", 1_200) in verdicts(outputs)
    assert {one.rule for one in outputs if isinstance(one, QualityEvaluated)} == {"steps"}

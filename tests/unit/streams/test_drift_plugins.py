"""Detectors of drift of others: what is wrong with one stops nobody."""

from pathlib import Path

import numpy as np
import pytest

from processors.errors import PluginError
from streams.plugins.drift_detectors import MOST_WIDTH, installed
from tests import distributions

MODULE = f"""
class Vague:
    width = 1

    def update(self, memory, value):
        return memory[[0, 0]] < value

class Wide(Vague):
    width = {MOST_WIDTH + 1}
"""
ENTRIES = """[weir.drift_detectors]
vague = sample_drifts:Vague
wide = sample_drifts:Wide
ks = sample_drifts:Vague
"""


def test_an_answer_that_is_neither_yes_nor_no_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributions.distribution(tmp_path, monkeypatch, "sample_drifts", MODULE, ENTRIES)
    refused = distributions.refusals(monkeypatch)

    found = installed()

    assert sorted(found) == ["vague"]
    assert any("'ks'" in one and "Weir's own" in one for one in refused)
    assert any("'wide'" in one and "its width is" in one for one in refused)
    with pytest.raises(PluginError, match="truth value of an array"):
        found["vague"].update(np.zeros(1), 1.0)

"""Every runtime keeps the laws: Weir's own, one in a process of its own, and a plug-in."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import distributions
from tests.unit.workers.inference_server import Served, model_server
from tests.unit.workers.runtime_laws import LAWS, Case
from tests.unit.workers.tiny_models import classifier
from workers.runtimes.base import DEFAULT, Load
from workers.runtimes.isolation import Assignment, IsolatedSession
from workers.runtimes.known import known_runtimes
from workers.runtimes.onnx import OnnxRuntime

ROWS = np.array([[1, 5, 2], [9, 0, 1], [3, 3, 4]], np.float32)
JSON = {"inputs": "x:float32:?x3", "outputs": "label:int64:?;scaled:float32:?x3"}
PLUGIN = """
import numpy as np

from workers.runtimes.base import Port, Signature
from workers.runtimes.errors import BrokenModel


class Tripling:
    name, fetches = "tripling", True

    def load(self, artifact, terms):
        if terms.options:
            raise BrokenModel(f"unknown: {', '.join(terms.options)}")
        assert artifact.read_text() == "three", "no three"
        return Session()


class Session:
    provider = "numpy"
    signature = Signature(
        (Port("x", np.dtype("float32"), (None, 3)),), (Port("y", np.dtype("float32"), (None, 3)),)
    )

    def run(self, inputs):
        if inputs[0].ndim != 2:
            raise ValueError("two dimensions are wanted")
        return [inputs[0] * 3]


def raises():
    raise RuntimeError("not on this machine")
"""
ENTRIES = """[weir.runtimes]
triple = sample_runtimes:Tripling
raises = sample_runtimes:raises
nothing = sample_runtimes:np.float32
away = no_such_module_at_all:it
onnx = sample_runtimes:Tripling
"""


class Isolated:
    """ONNX Runtime in a process of its own, as a runtime."""

    name, fetches = "isolated", True

    def load(self, artifact: Path | str, terms: Load = DEFAULT) -> IsolatedSession:
        return IsolatedSession(Assignment("onnx", artifact, terms))


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributions.distribution(tmp_path, monkeypatch, "sample_runtimes", PLUGIN, ENTRIES)


@pytest.fixture
def served() -> Iterator[Served]:
    with model_server(Served()) as one:
        yield one


@pytest.fixture(
    params=[
        "onnx",
        "open-inference",
        "plain-json",
        "triple",
        pytest.param("isolated", marks=pytest.mark.faults),
    ]
)
def case(request: pytest.FixtureRequest, tmp_path: Path, plugins: None, served: Served) -> Case:
    kind = str(request.param)
    bad = tmp_path / "bad"
    bad.write_text("nonsense")
    (tmp_path / "good.three").write_text("three")
    runtime = Isolated() if kind == "isolated" else known_runtimes()[kind]
    elsewhere = "http://127.0.0.1:9/"
    if kind == "open-inference":
        return Case(runtime, served.url, elsewhere, ROWS, {})
    if kind == "plain-json":
        return Case(runtime, f"{served.url}/json", elsewhere, ROWS, JSON)
    three = tmp_path / "good.three"
    good = three if kind == "triple" else classifier(tmp_path / "good.onnx")
    return Case(runtime, good, bad, ROWS, {})


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_law_of_runtimes(law: Callable[[Case], None], case: Case) -> None:
    law(case)


def test_plug_ins_that_cannot_be_used_stop_no_other(
    plugins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = distributions.refusals(monkeypatch)
    found = known_runtimes()
    assert set(found) == {"onnx", "open-inference", "plain-json", "triple"}
    assert isinstance(found["onnx"], OnnxRuntime)
    for reason in (
        "RuntimeError: not on this machine",
        "sample_runtimes:np.float32 has no name, fetches, load",
        "No module named 'no_such_module_at_all'",
        "the format is taken",
    ):
        assert any(reason in line for line in told), (reason, told)

"""What a service takes and suffers from: judged from measurements, and measured for a moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.workers.tiny_models import classifier
from workers.profiling import judging
from workers.profiling.judging import Measured, Profile
from workers.profiling.measuring import Errand, profile
from workers.runtimes.errors import BrokenModel

ALONE = Measured(
    mean_ms=10.0, least_ms=10.0, cpu_ms=15.0, p50_ms=10.0, p95_ms=12.0,
    cores_milli=(1000, 500), resident_mib=100, virtual_mib=400,
)  # fmt: skip
CPU = "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("cpu", "memory", "bound", "sensitivity"),
    [
        (2.0, 1.0, "cpu", "cpu"),
        (2.0, 1.4, "memory", "both"),
        (1.0, 1.15, "cpu", "memory"),
        (1.1, 1.05, "cpu", "none"),
        (None, None, "cpu", "none"),
    ],
)
def test_slower_under_contention_is_sensitive_to_it(
    cpu: float | None, memory: float | None, bound: str, sensitivity: str
) -> None:
    found = Profile(CPU, ALONE, cpu, memory)
    assert (found.bound, found.sensitivity) == (bound, sensitivity)


def test_what_is_proposed_is_what_was_measured_and_a_tenth_more() -> None:
    told = Profile(CPU, ALONE, 2.0, 1.0).proposed(None)
    assert told == {
        "cpu_milli": 1550,
        "cpu_per_core_milli": [1000, 550],
        "memory_mib": 111,
        "virtual_memory_mib": 441,
        "sensitivity": "cpu",
        "latency_ms": 10.0,
    }
    slow = Profile(CPU, ALONE, 2.0, 1.0).proposed(10.0)
    assert slow["cpu_per_core_milli"] == [110, 55], "a tenth of its time"
    assert Profile(CPU, ALONE, 2.0, 1.0).proposed(1e6) == told, "no more than it can do"
    on_gpu = Profile("CUDAExecutionProvider", ALONE, 1.0, 1.0)
    assert on_gpu.bound == "gpu"
    assert on_gpu.proposed(None)["gpus"] == 1


def test_others_on_its_cores_do_not_make_it_look_smaller() -> None:
    halved = replace(ALONE, mean_ms=20.0, p50_ms=20.0, cores_milli=(500, 250))
    found = Profile(CPU, halved, 1.0, 1.0)
    assert found.disturbed
    assert found.proposed(None)["cpu_per_core_milli"] == [1000, 550]
    assert judging.delayed(ALONE, halved) == 2.0
    assert judging.strained(ALONE, halved) == 1.0


@pytest.mark.faults
def test_a_model_is_measured_beside_busy_neighbours(tmp_path: Path) -> None:
    found = profile(Errand(f"{classifier(tmp_path / 'm.onnx')}"), seconds=0.5, rounds=3)
    assert found.provider == CPU
    assert found.under_cpu is not None
    assert found.under_cpu > 1.2, "one of two on a core"
    assert found.alone.executions > 10
    assert found.alone.resident_mib > 10
    with pytest.raises(BrokenModel, match="No such file"):
        profile(Errand(f"{tmp_path / 'none.onnx'}"), seconds=0.1)

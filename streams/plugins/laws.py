"""What metrics, detectors, orders and runtimes of others are held to by `weir plugins check`."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from processors.anomalies.detectors import Detector
from processors.defining import plugins
from processors.drifting.detectors import DriftDetector
from processors.rules.kinds import Kind
from streams import scenario_files
from workers.runtimes.base import Array, Load, Port, Runtime, Session
from workers.scheduling.orders.base import Order
from workers.simulation.simulator import simulate

SCENARIOS = ("light", "bursts", "starvation")
_ROWS = 3


def rows() -> pl.DataFrame:
    """Return the rows of a window as functions of metrics get them."""
    number = range(24)
    columns: dict[str, list[Any]] = {
        name: [name] * len(number) for name in ("app", "stage", "service", "instance", "node")
    }
    columns |= {"metric": ["latency"] * len(number), "unit": ["ms"] * len(number)}
    columns |= {"value": [10.0 + (each * 7) % 11 for each in number]}
    columns |= {"event_time": [1000.0 * each for each in number]}
    columns |= {"request_id": [f"r{each}" for each in number]}
    return pl.DataFrame(columns)


def broken_by_metric(
    function: Callable[..., float | None], parameters: Sequence[float | str]
) -> list[str]:
    """Return the laws that a function of metrics breaks. What it raises comes through."""
    return plugins.broken_laws(function, rows(), *parameters)


def broken_by_detector(detector: Detector) -> list[str]:
    """Return the laws that a detector of anomalies breaks. What it raises comes through."""
    told: dict[str, None] = {}
    ones, others = np.zeros(detector.width), np.zeros(detector.width)
    for number in range(200):
        at, value = 1000 * number, 10.0 + (number * 7) % 11
        strange = detector.strangeness(ones, at, value)
        if not math.isfinite(strange):
            told[f"value {value}, with {number} learned before, is {strange} strange"] = None
        detector.strangeness(np.zeros(detector.width), at, -value)
        if strange != detector.strangeness(others, at, value):
            told["equal memories judged one value differently: it remembers more"] = None
        detector.learn(ones, at, value)
        detector.learn(others, at, value)
    if not np.array_equal(ones, others, equal_nan=True):
        told["equal memories learned one value differently: it remembers more"] = None
    return list(told)


def broken_by_drift_detector(detector: DriftDetector) -> list[str]:
    """Return the laws that a detector of drift breaks. What it raises comes through.

    It is fed values of noise, then far higher ones: the same as many series at once.
    """
    told: dict[str, None] = {}
    ones, others = np.zeros(detector.width), np.zeros(detector.width)
    alarms = 0
    for number in range(1_200):
        value = ((number * 7) % 11) / 20.0 + 0.5 * (number >= 600)
        found = detector.update(ones, value)
        detector.update(np.zeros(detector.width), 1.0 - value)
        if found != detector.update(others, value):
            told["equal memories took one value differently: it remembers more"] = None
        if number < 600 and found:
            told[f"value {number} of noise alone gave an alarm"] = None
        alarms += found
        if found:
            ones[:], others[:] = 0.0, 0.0
    if not np.array_equal(ones, others, equal_nan=True):
        told["equal memories became different ones: it remembers more"] = None
    if not alarms:
        told["a mean of noise that rose from 0.25 to 0.75 gave no alarm"] = None
    return list(told)


def broken_by_rule(kind: Kind) -> list[str]:
    """Return the laws that a kind of rules breaks. What it raises comes through."""
    told: dict[str, None] = {}
    ones, others = np.zeros(kind.width), np.zeros(kind.width)
    for number in range(200):
        begin, statistic = 1000 * number, 10.0 + (number * 7) % 11
        said = kind.value(ones, statistic, 60_000, begin, begin + 1000)
        if not isinstance(said, float | int) or math.isinf(said):
            told[f"of {statistic}, with {number} windows before, it says {said!r}"] = None
            return list(told)
        kind.value(np.zeros(kind.width), -statistic, 1, begin, begin + 1000)
        again = kind.value(others, statistic, 60_000, begin, begin + 1000)
        if said != again and not (math.isnan(said) and math.isnan(again)):
            told["equal memories answered one window differently: it remembers more"] = None
    if not np.array_equal(ones, others, equal_nan=True):
        told["equal memories remember one window differently: it remembers more"] = None
    return list(told)


def broken_by_order(make: Callable[[], Order]) -> list[str]:
    """Return the laws that an order breaks in scenarios that are shipped."""
    told: dict[str, None] = {}
    for name in SCENARIOS:
        scenario = scenario_files.read(name)
        found, again = (simulate(scenario, "it", {"it": make}).summary() for _ in range(2))
        if found != again:
            told["equal scenarios ended differently: it depends on more than what it was told"] = (
                None
            )
        for service, count in found["services"].items():
            ends = ("in_time", "late", "dropped", "expired", "rejected")
            if count["arrived"] != sum(count[end] for end in ends):
                told[f"in scenario {name}, not every job of {service} came to an end"] = None
    return list(told)


def broken_by_runtime(runtime: Runtime, artifact: Path | None) -> list[str]:
    """Return the laws that a runtime breaks with a model; without one, nothing is asked of it."""
    if artifact is None:
        return []
    session = runtime.load(artifact, Load())
    inputs = [np.zeros(_shape(port), port.dtype) for port in session.signature.inputs]
    first = [np.array(output) for output in session.run([each.copy() for each in inputs])]
    handed = [each.copy() for each in inputs]
    again = session.run(handed)
    told = _unlike(session, first)
    if not _same(first, again):
        told.append("the same inputs gave other outputs")
    if not _same(inputs, handed):
        told.append("it changed the inputs that it was given")
    return told


def _unlike(session: Session, outputs: Sequence[Array]) -> list[str]:
    """Return where outputs are not what the signature says."""
    ports = session.signature.outputs
    if len(outputs) != len(ports):
        return [f"it gave {len(outputs)} outputs; its signature says {len(ports)}"]
    return [
        f"output {port.name!r} is {output.dtype} of {output.ndim} dimensions; its signature says "
        f"{port.dtype} of {len(port.shape)}"
        for port, output in zip(ports, outputs, strict=True)
        if output.dtype != port.dtype or output.ndim != len(port.shape)
    ]


def _shape(port: Port) -> tuple[int, ...]:
    return tuple(_ROWS if size is None else size for size in port.shape)


def _same(ones: Sequence[Array], others: Sequence[Array]) -> bool:
    return len(ones) == len(others) and all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        for one, other in zip(ones, others, strict=True)
    )

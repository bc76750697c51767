"""Profiles of models as folders of the OCAD form hold them.

`inference_quality/MODEL.csv` with columns class, accuracy, avg_confidence, avg_response_time (s)
and class_label; `model*_features.yaml` and `device*_features.yaml` with a `baseCost` each. Models
of the features file come in the order of `performance.csv`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from processors.selecting.ensembles import Candidate, Place
from processors.selecting.voting import Floats
from streams.errors import ProfilesError

QUALITY = "inference_quality"
_COST = 1e-5


@dataclass(frozen=True, slots=True)
class Profiles:
    """Models by classes: `rates` (models, classes) is how often each is right where one is true."""

    models: tuple[str, ...]
    labels: tuple[str, ...]
    rates: Floats
    confidence: Floats
    latency_ms: Floats
    costs: Floats
    devices: tuple[tuple[str, float], ...]

    def candidates(self, *, places: bool = False) -> tuple[Candidate, ...]:
        """Return the models as candidates; at the devices, each as costly as ROHE takes it."""
        return tuple(self._candidate(number, places=places) for number in range(len(self.models)))

    def _candidate(self, number: int, *, places: bool) -> Candidate:
        latency, cost = float(self.latency_ms[number].mean()), float(self.costs[number])
        return Candidate(
            service=self.models[number],
            stage="",
            accuracy=float(self.rates[number].mean()),
            latency_ms=latency,
            latency_high_ms=float(self.latency_ms[number].max()),
            cost=_COST * cost,
            confidence=float(self.confidence[number].mean()),
            rates=tuple(map(float, self.rates[number])),
            places=tuple(
                Place(
                    place=name,
                    latency_ms=latency,
                    latency_high_ms=float(self.latency_ms[number].max()),
                    cost=_COST * (cost + base),
                )
                for name, base in (self.devices if places else ())
            ),
        )


def read(folder: Path) -> Profiles:
    """Return the profiles of a folder; raises ProfilesError."""
    tables = {path.stem: _rows(path) for path in sorted((folder / QUALITY).glob("*.csv"))}
    if not tables:
        raise ProfilesError(f"{folder / QUALITY} holds no *.csv")
    labels = tuple(row["class_label"] for row in next(iter(tables.values())))
    for name, rows in tables.items():
        if tuple(row["class_label"] for row in rows) != labels:
            raise ProfilesError(f"{folder / QUALITY / name}.csv has other classes than the first")
    try:
        rates, sure, times = (
            np.array([[float(row[column]) for row in rows] for rows in tables.values()])
            for column in ("accuracy", "avg_confidence", "avg_response_time")
        )
    except (ValueError, TypeError) as error:
        raise ProfilesError(f"{folder / QUALITY}: {error}") from error
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() > 1:
        raise ProfilesError(f"{folder / QUALITY}: an accuracy is not within 0 and 1")
    return Profiles(
        models=tuple(tables),
        labels=labels,
        rates=rates,
        confidence=sure,
        latency_ms=1e3 * times,
        costs=_costs(folder, tuple(tables)),
        devices=tuple(_bases(folder, "device*_features.yaml").items()),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    needed = {"class_label", "accuracy", "avg_confidence", "avg_response_time"}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProfilesError(f"{path}: {error}") from error
    if missing := needed - set(reader.fieldnames or ()):
        raise ProfilesError(f"{path} has no column {min(missing)}")
    if not rows:
        raise ProfilesError(f"{path} is empty")
    return rows


def _costs(folder: Path, models: tuple[str, ...]) -> Floats:
    """Return the base cost of each model, 0 where the folder tells none."""
    bases = list(_bases(folder, "model*_features.yaml").values())
    order = folder / "performance.csv"
    if not order.exists() or not bases:
        return np.zeros(len(models))
    try:
        with order.open(encoding="utf-8", newline="") as file:
            named = [row["model_id"].lower() for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise ProfilesError(f"{order}: {error!r}") from error
    told = dict(zip(named, bases, strict=False))
    return np.array([told.get(name.lower(), 0.0) for name in models])


def _bases(folder: Path, pattern: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for path in sorted(folder.glob(pattern)):
        try:
            told: Any = yaml.safe_load(path.read_text("utf-8"))
            found |= {str(name): float(of["baseCost"]) for name, of in told.items()}
        except (OSError, ValueError, AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
            raise ProfilesError(f"{path}: {error!r}") from error
    return found

"""Shift: images that become dark, a sensor that sticks, labels that change, other applications."""

import random
from dataclasses import replace

from processors.shifting.shift import ShiftParams, Sizes, spec
from schemas.catalogue import Catalogue
from schemas.inference import InferenceResult, InputSummary
from schemas.partitioning import partition_of
from schemas.processing import Batch, Columns, Record
from schemas.records import KeyValue
from schemas.registrations import PolicySelected

SPEC = spec(ShiftParams(sizes=Sizes(reference=60, window=30)))
START = 1_700_000_000_000
MINE = next(f"app-{n}" for n in range(100) if partition_of(f"app-{n}", 4) == 0)
OTHER = next(f"app-{n}" for n in range(100) if partition_of(f"app-{n}", 4) != 0)
BOUND = 131_072


def result(
    number: int, app: str, service: str, summary: InputSummary, label: str
) -> InferenceResult:
    return InferenceResult(
        event_id=f"{app} {service} {number}",
        task_id=f"t{number}",
        request_id=f"r{number}",
        app=app,
        stage="classify",
        service=service,
        instance=f"{service}-1",
        node="edge",
        worker="edge",
        attempt=0,
        status="ok",
        label=label,
        confidence=0.9,
        queue_ms=1.0,
        execution_ms=2.0,
        received_at=START + number * 10,
        finished_at=START + number * 10 + 3,
        runtime="onnx",
        provider="cpu",
        variant="",
        batch_size=1,
        model_version="v",
        input_digest="",
        deadline_missed=False,
        generation=1,
        input_summary=(summary,),
    )


def summary(dice: random.Random, mean: float = 0.5) -> InputSummary:
    at = dice.gauss(mean, 0.05)
    return InputSummary(
        name="image",
        mean=at,
        std=abs(dice.gauss(0.2, 0.02)),
        low=at - abs(dice.gauss(0.3, 0.03)),
        high=at + abs(dice.gauss(0.3, 0.03)),
        missing=0.0,
    )


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    catalogue = Catalogue({PolicySelected: {one.scope: one for one in _policies()}})
    still = summary(dice)
    made: list[Batch | Columns] = []
    number, at = 0, START
    while number < 480:
        records = []
        for _ in range(dice.choice((1, 7, 40, 90))):
            late = number >= 240
            app = MINE if dice.random() < 0.8 else OTHER
            service = dice.choice(("small", "large"))
            seen = summary(dice, 0.3 if late and service == "small" else 0.5)
            seen = still if late and service == "large" else seen
            label = dice.choice("aab" if late else "abc")
            event = result(number, app, service, seen, label)
            event = replace(event, shadow=dice.random() < 0.05)
            records.append(Record(event, "weir.results", 0, 40 + number, at))
            number += 1
        at += dice.randint(1, 500)
        made.append(Batch(tuple(records), at, catalogue))
    return made


def _policies() -> list[PolicySelected]:
    return [
        PolicySelected(
            scope=scope,
            component="drift",
            algorithm=algorithm,
            parameters=(KeyValue(key="significance", value="0.002"),),
            selected_at=START,
            event_id=scope,
        )
        for scope, algorithm in ((f"drift/{MINE}/inputs", "two-sample"), ("drift/x/outputs", "nix"))
    ]

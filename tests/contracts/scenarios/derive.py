"""Derive: results, responses and labels in any order, repeated, failed, late, unmatched, at odds.

And instances that come, fall silent and leave.
"""

import random
from dataclasses import replace

from processors.deriving.derive import DeriveParams, spec
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.conditions import spelled
from schemas.inference import GroundTruth, InferenceResponse, InferenceResult
from schemas.processing import Batch, Columns, Record
from schemas.records import KeyValue
from schemas.registrations import InstanceReported
from schemas.topics import topic_of
from tests.examples import example

SPEC = spec(
    DeriveParams(
        ttl_ms=4_000,
        mark_ms=500,
        availability_ms=700,
        gone_ms=3_000,
        classes=2,
        class_ttl_ms=2_000,
        conditions=2,
    )
)
START = 1_700_000_000_000
SERVICES = ("small", "large", "forest")


def batches(seed: int) -> list[Batch | Columns]:
    dice = random.Random(seed)
    events: list[tuple[int, Event]] = []
    for number in range(60):
        events.extend(_request(dice, f"r{number}", START + number * 150))
    events.sort(key=lambda item: item[0])
    offsets = {"weir.results": 10, "weir.responses": 500, "weir.labels": 0}
    made: list[Batch | Columns] = []
    records: list[Record] = []
    for at, event in events:
        topic = topic_of(event)
        records.append(Record(event, topic, 0, offsets[topic], at))
        offsets[topic] += 1
        if dice.random() < 0.12:
            made.append(Batch(tuple(records), at, _catalogue(at - START)))
            records = []
    return made


def _catalogue(passed: int) -> Catalogue:
    """Return instances: one falls silent for a time, one leaves after a while, others stay."""
    found = {}
    for number in range(6):
        beat = min(passed, 1_000) if number == 0 and passed < 5_000 else passed
        name = f"small.{number}"
        found[name] = replace(
            example(InstanceReported),
            instance=name,
            service="small",
            health="stopped" if number == 1 and passed > 3_000 else "ready",
            heartbeat=START + beat,
            expires_at=START + beat + 500,
        )
    return Catalogue({InstanceReported: found})


def _request(dice: random.Random, request_id: str, at: int) -> list[tuple[int, Event]]:
    events: list[tuple[int, Event]] = []
    for service in SERVICES:
        arrival = at + dice.randint(10, 400)
        result = _result(dice, request_id, service, arrival)
        events.append((arrival, result))
        if dice.random() < 0.2:
            events.append((arrival + dice.randint(1, 900), result))
    arrival = at + dice.randint(100, 500)
    events.append((arrival, _response(dice, request_id, at, arrival)))
    if dice.random() < 0.8:
        known = at + dice.choice((5, 700, 3_000, 5_500))
        label = GroundTruth(
            request_id=request_id, app="digits", label=dice.choice("012"), known_at=known
        )
        events += [(known, label)] * dice.choice((1, 1, 2))
        if dice.random() < 0.1:
            events.append((known + 300, replace(label, label="9")))
    return events if dice.random() < 0.9 else events[-1:]


def _result(dice: random.Random, request_id: str, service: str, at: int) -> InferenceResult:
    ok = dice.random() < 0.9
    return InferenceResult(
        event_id=f"{request_id}-{service}",
        task_id=f"{request_id}-{service}-1",
        request_id=request_id,
        app="digits",
        stage="classify",
        service=service,
        instance=f"{service}.edge",
        node="edge",
        worker="edge-1",
        attempt=1,
        status="ok" if ok else "failed",
        reason=None if ok else "broken",
        label=dice.choice("012") if ok else None,
        confidence=0.75 if ok else None,
        queue_ms=dice.random() * 5,
        execution_ms=dice.random() * 20,
        received_at=at - 20,
        finished_at=at,
        runtime="onnxruntime",
        provider="CPUExecutionProvider",
        variant="fp32",
        batch_size=1,
        model_version="1",
        input_digest="",
        deadline_missed=False,
        generation=1,
    )


def _response(dice: random.Random, request_id: str, made: int, at: int) -> InferenceResponse:
    status = dice.choice(("complete", "complete", "partial", "failed"))
    return InferenceResponse(
        event_id=f"{request_id}-answer",
        request_id=request_id,
        app="digits",
        consumer="",
        contract="",
        status=status,
        label=None if status == "failed" else dice.choice("012"),
        confidence=None if status == "failed" else 0.6,
        generation=1,
        deadline_met=dice.random() < 0.9,
        created_at=made,
        answered_at=at,
        latency_ms=float(at - made),
        conditions=_conditions(request_id),
    )


def _conditions(request_id: str) -> tuple[KeyValue, ...]:
    dice = random.Random(request_id)
    return spelled((name, dice.choice("xyz")) for name in dice.choice(("", "a", "ab")))

"""The event of a drift of data."""

import numpy as np

from processors.drifting.changes import CONFIRMED, WARNING
from processors.shifting import faults
from processors.shifting.judging import LABEL, WHOLE
from processors.shifting.spaces import Change
from processors.vocabulary import INPUTS
from schemas.identity import stable_id
from schemas.observing import DriftDetected
from schemas.processing import Record
from schemas.records import SourceRange

Key = tuple[str, str, str]
"""Application, stage, service."""


def drift_of(key: Key, metric: str, change: Change, record: Record, test: str) -> DriftDetected:
    """Return the event of a change of the inputs or outputs of a service, at the last result."""
    app, stage, service = key
    verdict = change.verdict
    first, last = int(change.places[0, 1]), int(change.places[-1, 1])
    times = change.places[:, 0]
    before, after, degree = _moved(change)
    p = None if verdict is None else verdict.p_value
    return DriftDetected(
        event_id=_id(key, metric, record.partition, change.status, first, last),
        app=app,
        stage=stage,
        service=service,
        instance="",
        node="",
        metric=metric,
        detector=test if verdict is None else verdict.detector,
        status=change.status,
        kind=change.kind,
        cause_class="data",
        before=before,
        after=after,
        width=len(change.after),
        degree=degree,
        since=int(times[0]),
        detected_at=int(times[-1]),
        sources=(
            SourceRange(topic=record.topic, partition=record.partition, first=first, last=last),
        ),
        effect_size=0.0 if verdict is None else verdict.effect,
        p_value=p,
        confidence=0.0 if p is None else 1.0 - p,
        cause=_cause(metric, change),
        features=() if verdict is None else verdict.shifts,
        concept=_concept(key, metric, record.partition, change.concept),
        recurs=_concept(key, metric, record.partition, change.recurs),
        events=len(change.after),
        until=max(int(times.max()), int(times[0])),
        causes=(_id(key, metric, record.partition, WARNING, *change.warned),)
        if change.warned
        else (),
    )


def _moved(change: Change) -> tuple[float, float, float]:
    """Return the means of the strongest feature, and its change in deviations of the old."""
    shifts = change.verdict.shifts if change.verdict is not None else ()
    named = (one for one in shifts if one.feature not in (WHOLE, LABEL))
    top = next(named, None)
    if top is None:
        return 0.0, 0.0, 0.0
    column = change.before[:, change.names.index(top.feature)]
    std = float(np.nanstd(column))
    return top.before, top.after, abs(top.after - top.before) / std if std > 0.0 else 0.0


def _cause(metric: str, change: Change) -> str:
    """Return why the inputs changed: the fault of a sensor before covariate; empty for outputs."""
    if metric != INPUTS or change.verdict is None:
        return ""
    width = len(faults.SUMMARY)
    moved = {one.feature.rpartition(".")[0] for one in change.verdict.shifts}
    told = [
        faults.cause(change.before[:, at : at + width], change.after[:, at : at + width])
        for at in range(0, len(change.names), width)
        if change.names[at].rpartition(".")[0] in moved or moved == {""}
    ]
    return next((one for one in told if one != faults.COVARIATE), faults.COVARIATE)


def _id(key: Key, metric: str, partition: int, status: str, first: int, last: int) -> str:
    told = () if status == CONFIRMED else (status,)
    return stable_id("shift", *key, metric, partition, *told, first, last)


def _concept(key: Key, metric: str, partition: int, first: int | None) -> str:
    return "" if first is None else stable_id("concept", *key, metric, partition, first)

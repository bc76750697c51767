"""What drift tells: drifts, and the two things that it cannot do."""

from processors.drifting.series import Key
from processors.drifting.watch import Drift
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import DriftDetected
from schemas.processing import Columns
from schemas.records import KeyValue, SourceRange

DETECTOR = "adwin"


def drift_detected(
    batch: Columns, key: Key, scale: tuple[float, float], drift: Drift
) -> DriftDetected:
    """Return the event of a drift; `scale`: what 0 means to the detector, how far off 1 is."""
    low, span = scale
    app, stage, service, instance, node, metric = key
    std = drift.before.std or drift.after.std
    change = drift.after.mean - drift.before.mean
    source = SourceRange(
        topic=batch.topic,
        partition=batch.partition,
        first=drift.first,
        last=drift.last,
        series="/".join(key),
    )
    return DriftDetected(
        event_id=stable_id("drift", *key, DETECTOR, drift.first, drift.last),
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        node=node,
        metric=metric,
        detector=DETECTOR,
        status="confirmed",
        kind=drift.kind,
        cause_class=metric if metric in ("error", "confidence") else "metric",
        before=low + span * drift.before.mean,
        after=low + span * drift.after.mean,
        width=drift.after.count,
        degree=abs(change) / std if std else 0.0,
        since=drift.since,
        detected_at=drift.detected_at,
        sources=(source,),
    )


def discarded(wrote: str, reads: str, now_ms: int) -> ActionTaken:
    """Return that detectors of another version of River were given up."""
    return ActionTaken(
        event_id=stable_id("drift", "snapshot.discarded", wrote, reads, now_ms),
        target="drift",
        kind="snapshot.discarded",
        status="done",
        policy="",
        reason=f"the detectors were saved by River {wrote}, this is River {reads}; they start "
        "afresh and need some events before they can tell a drift again",
        taken_at=now_ms,
    )


def full(most: int, now_ms: int) -> ActionTaken:
    """Return that no further series are watched."""
    return ActionTaken(
        event_id=stable_id("drift", "series.refused", most, now_ms),
        target="drift",
        kind="series.refused",
        status="refused",
        policy="",
        reason=f"{most} series are watched already; further ones are not",
        parameters=(KeyValue(key="max_series", value=str(most)),),
        taken_at=now_ms,
    )

"""What drift tells: warnings and drifts, and what it cannot do."""

from processors.drifting.changes import CONFIRMED, Drift
from processors.drifting.concepts import Moments
from processors.drifting.series import Key
from processors.vocabulary import PARTIAL_SHARES
from schemas.decisions import ActionTaken
from schemas.identity import stable_id
from schemas.observing import DriftDetected, FeatureShift
from schemas.processing import Columns
from schemas.records import KeyValue, SourceRange

MOST_EFFECT = 1_000.0
"""The largest effect that is told: that of a change of what did not vary has no end."""


def drift_detected(
    batch: Columns, key: Key, detector: str, scale: tuple[float, float], drift: Drift
) -> DriftDetected:
    """Return the event of a drift; `scale`: what 0 means to the detector, how far off 1 is."""
    low, span = scale
    app, stage, service, instance, node, metric = key
    std = drift.before.std or drift.after.std
    change = drift.after.mean - drift.before.mean
    before, after = low + span * drift.before.mean, low + span * drift.after.mean
    sampled = drift.statistic is not None
    effect = drift.statistic if drift.statistic is not None else cohens_d(drift.before, drift.after)
    series = "/".join(key)
    shift = FeatureShift(
        feature=series,
        statistic=detector if sampled else "mean",
        before=before,
        after=after,
        effect=effect,
        p_value=drift.p_value,
    )
    return DriftDetected(
        event_id=_id(key, detector, drift.status, drift.first, drift.last),
        app=app,
        stage=stage,
        service=service,
        instance=instance,
        node=node,
        metric=metric,
        detector=detector,
        status=drift.status,
        kind=drift.kind,
        cause_class=_measured(metric),
        before=before,
        after=after,
        width=drift.after.count,
        degree=abs(change) / std if std else 0.0,
        since=drift.since,
        detected_at=drift.detected_at,
        sources=(
            SourceRange(
                topic=batch.topic,
                partition=batch.partition,
                first=drift.first,
                last=drift.last,
                series=series,
            ),
        ),
        effect_size=effect,
        p_value=drift.p_value,
        confidence=0.0 if drift.p_value is None else 1.0 - drift.p_value,
        features=(shift,),
        concept=_concept(key, drift.concept),
        recurs=_concept(key, drift.recurs),
        events=drift.after.count,
        until=max(drift.detected_at, drift.since),
        causes=(_id(key, detector, "warning", *drift.warned),) if drift.warned else (),
    )


def cohens_d(before: Moments, after: Moments) -> float:
    """Return the change of the mean in standard deviations of both together, at most MOST_EFFECT.

    Cohen, "Statistical power analysis for the behavioral sciences", 1988.
    """
    change = abs(after.mean - before.mean)
    squares = before.count * before.std**2 + after.count * after.std**2
    freedom = max(1, before.count + after.count - 2)
    spread = (squares / freedom) ** 0.5
    return min(MOST_EFFECT, change / spread) if spread > 0.0 else MOST_EFFECT * (change > 0.0)


def _id(key: Key, detector: str, status: str, first: int, last: int) -> str:
    told = () if status == CONFIRMED else (status,)
    return stable_id("drift", *key, detector, *told, first, last)


def _concept(key: Key, first: int | None) -> str:
    return "" if first is None else stable_id("concept", *key, first)


def _measured(metric: str) -> str:
    if metric in ("error", "confidence"):
        return metric
    return "error" if metric == "accuracy" or metric.startswith(PARTIAL_SHARES) else "metric"


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

"""Which verdicts on quality are raised now, as the events on weir.quality say. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from processors.rules.silencing import Subject, silence_of
from schemas.observing import QualityEvaluated
from schemas.quality import SilenceDefined

SEVERITIES = ("critical", "warning", "info")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A verdict that is raised: as it was told last, since when, and what silences it now."""

    last: QualityEvaluated
    since: int
    silenced_by: str


def raised(
    events: Iterable[QualityEvaluated], silences: Mapping[str, SilenceDefined], now_ms: int
) -> list[Raised]:
    """Return what is raised, the worst first, then the longest.

    What one spell tells belongs together; a detector without spells has one verdict per series.
    """
    first: dict[tuple[str, ...], QualityEvaluated] = {}
    last: dict[tuple[str, ...], QualityEvaluated] = {}
    for event in events:
        key = _spell(event)
        if event.verdict == "degraded":
            first.setdefault(key, event)
            last[key] = event
        else:
            first.pop(key, None)
            last.pop(key, None)
    found = []
    for key, event in last.items():
        silence = silence_of(_subject(event), silences, now_ms)
        found.append(Raised(event, _since(first[key]), silence or event.silenced_by))
    return sorted(found, key=lambda one: (_rank(one.last.severity), one.since, one.last.event_id))


def _spell(event: QualityEvaluated) -> tuple[str, ...]:
    if event.spell:
        return (event.spell,)
    where = (event.app, event.stage, event.service, event.instance, event.metric)
    return (event.tier, event.rule, *where)


def _subject(event: QualityEvaluated) -> Subject:
    return Subject(
        event.app,
        event.stage,
        event.service,
        event.instance,
        event.node,
        event.rule,
        event.tier,
    )


def _since(event: QualityEvaluated) -> int:
    return event.window_end if event.since is None else event.since


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)

"""Diagnoses and their narratives as they stand on the topics, a spell at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processors.diagnosing.telling import DEGRADED, TIER
from schemas.base import Event
from schemas.observing import QualityEvaluated
from schemas.quality import DiagnosisNarrated
from streams.entries import Entries
from streams.errors import RegistrationError


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One spell: what was said of it, oldest first, the end if it is over, and narratives."""

    app: str
    said: tuple[QualityEvaluated, ...]
    ended: QualityEvaluated | None
    narratives: Mapping[str, DiagnosisNarrated]

    @property
    def newest(self) -> QualityEvaluated:
        """Return the diagnosis that counts."""
        return self.said[-1]

    @property
    def narrative(self) -> DiagnosisNarrated | None:
        """Return what the newest narrative of the spell says, if there is any."""
        known = [
            self.narratives[one.event_id] for one in self.said if one.event_id in self.narratives
        ]
        return known[-1] if known else None

    def narrative_of(self, said: QualityEvaluated) -> DiagnosisNarrated | None:
        """Return the narrative of one diagnosis, if there is one."""
        return self.narratives.get(said.event_id)


def diagnoses(entries: Entries, app: str = "") -> list[Diagnosis]:
    """Return the spells of an application, or of all, by when they were first diagnosed.

    Raises KafkaUnavailable or RegistryUnavailable.
    """
    told = entries.events("weir.quality", app, naming=(TIER,))
    narratives = entries.events("weir.narratives", app)
    return spells(told, narratives)


def spells(told: Iterable[Event], narratives: Iterable[Event]) -> list[Diagnosis]:
    """Return diagnoses and their ends by spell; repeats of one event count once."""
    prose = {one.diagnosis: one for one in narratives if isinstance(one, DiagnosisNarrated)}
    groups: dict[tuple[str, str], dict[str, QualityEvaluated]] = {}
    for one in told:
        if isinstance(one, QualityEvaluated) and one.tier == TIER:
            groups.setdefault((one.app, one.spell), {})[one.event_id] = one
    found = []
    for (app, _), events in groups.items():
        order = sorted(events.values(), key=lambda e: e.evaluated_at)
        said = tuple(e for e in order if e.verdict == DEGRADED and e.root_causes)
        ends = [e for e in order if e.verdict != DEGRADED]
        if said:
            found.append(Diagnosis(app, said, ends[-1] if ends else None, prose))
    return sorted(found, key=lambda one: (one.said[0].evaluated_at, one.app))


def chosen(found: Sequence[Diagnosis], diagnosis: str) -> tuple[Diagnosis, QualityEvaluated]:
    """Return the spell and the diagnosis that an id, or its beginning, names; else the newest.

    Raises RegistrationError when there is none, or more than one.
    """
    if not diagnosis:
        if not found:
            raise RegistrationError("nothing was diagnosed; `weir diagnose list` shows what was")
        return found[-1], found[-1].newest
    hits = [
        (one, said) for one in found for said in one.said if said.event_id.startswith(diagnosis)
    ]
    if len(hits) != 1:
        count = "no diagnosis begins" if not hits else f"{len(hits)} diagnoses begin"
        raise RegistrationError(f"{count} with {diagnosis!r}; `weir diagnose list` shows them")
    return hits[0]

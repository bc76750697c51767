"""The view of diagnoses: causes by rank, with their narration, until the spell is over."""

from dataclasses import replace

from schemas.observing import QualityEvaluated, RootCause
from schemas.quality import DiagnosisNarrated
from tests.clickhouse.messages import store
from tests.examples import example
from workers.clickhouse import Database

T0 = 1_900_000_000_000


def said(name: str, at: int, *causes: str, verdict: str = "degraded") -> QualityEvaluated:
    return replace(
        example(QualityEvaluated),
        event_id=name,
        app="watch",
        tier="diagnosis",
        verdict=verdict,
        root_causes=tuple(
            RootCause(kind="node", name=one, score=0.5, since=T0, why="slow", evidence=("o1",))
            for one in causes
        ),
        evaluated_at=at,
        since=T0,
        spell="first",
    )


def test_causes_stand_by_rank_with_what_was_told_of_them(database: Database) -> None:
    prose = replace(
        example(DiagnosisNarrated), diagnosis="second", app="watch", status="told", text="It is n2."
    )
    other = replace(said("rule", T0), tier="rules")
    first, second = said("first", T0 + 1, "n1"), said("second", T0 + 5, "n2", "n1")
    store(database, first, second, second, prose, other)
    query = (
        "SELECT diagnosis, rank, name, newest, isNull(ended_at), narration, prose, evidence "
        "FROM diagnoses"
    )
    assert database.query(query).rows == (
        ("first", 1, "n1", 0, 1, "", "", ["o1"]),
        ("second", 1, "n2", 1, 1, "told", "It is n2.", ["o1"]),
        ("second", 2, "n1", 1, 1, "told", "It is n2.", ["o1"]),
    )
    store(database, said("end", T0 + 9_000, verdict="healthy"), first=10)
    ended = database.query(
        "SELECT toUnixTimestamp64Milli(assumeNotNull(max(ended_at))) FROM diagnoses"
    )
    assert ended.rows == ((T0 + 9_000,),)

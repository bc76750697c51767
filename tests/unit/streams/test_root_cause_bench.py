"""Generated incidents: what they hold, that they are the same again, and what is counted."""

import dataclasses

import pytest

from schemas.observing import Observation, RootCause
from streams.bench import root_cause
from streams.bench.incidents import KINDS, Incident, incident
from streams.bench.root_cause import Found, diagnosed

SHORT = 12
"""Windows, before anything is wrong."""


@pytest.fixture(scope="module")
def given() -> Incident:
    return incident("memory leak", 3, 0, SHORT)


def test_an_incident_is_the_same_again_and_another_for_another_number(given: Incident) -> None:
    again, other = incident("memory leak", 3, 0, SHORT), incident("memory leak", 3, 1, SHORT)
    assert again.truths == given.truths
    assert [b.records for b in again.batches] == [b.records for b in given.batches]
    assert [b.records for b in other.batches] != [b.records for b in given.batches]


def test_windows_come_in_order_and_some_series_never_do(given: Incident) -> None:
    assert [b.now_ms for b in given.batches] == sorted(b.now_ms for b in given.batches)
    seen = [r.event for b in given.batches for r in b.records if isinstance(r.event, Observation)]
    assert {o.metric for o in seen} >= {"response_latency", "accuracy", "execution"}
    assert len({(o.instance, o.metric) for o in seen if o.instance}) < 16 * 7
    assert given.noticed is None


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_the_real_processor_is_asked(kind: str) -> None:
    given = incident(kind, 3, 0)
    found = diagnosed(given)
    assert given.noticed is not None
    assert found.causes
    assert found.first == ((found.causes[0].kind, found.causes[0].name) in given.truths)


def test_two_faults_count_among_the_first_three_only_together(given: Incident) -> None:
    both = dataclasses.replace(given, kind="mixed", truths=(("node", "a"), ("model", "b")))
    named = {
        name: RootCause(kind=kind, name=name, score=0.5)
        for kind, name in (("node", "a"), ("model", "b"), ("link", "c"), ("input", "d"))
    }

    def counted(names: str) -> tuple[bool, bool]:
        found = Found(both, (), tuple(named[name] for name in names))
        return found.first, found.third

    assert counted("abcd") == (True, True)
    assert counted("bcad") == (True, True)
    assert counted("acdb") == (True, False)
    assert counted("cab") == (False, True)
    assert counted("") == (False, False)


def test_shares_are_told_by_kind(monkeypatch: pytest.MonkeyPatch, given: Incident) -> None:
    right = tuple(RootCause(kind=kind, name=name, score=0.5) for kind, name in given.truths)

    def seen(one: Incident) -> Found:
        return Found(one, (), right if one.kind != "mixed" else ())

    monkeypatch.setattr(
        root_cause, "incident", lambda kind, *_: dataclasses.replace(given, kind=kind)
    )
    monkeypatch.setattr(root_cause, "diagnosed", seen)
    found = root_cause.measure(each=2)
    assert found["incidents"] == 2 * len(KINDS) == 14
    assert (found["top1"], found["top3"]) == (0.8571, 0.8571)
    assert found["kinds"]["mixed"] == {"top1": 0.0, "top3": 0.0}
    assert found["seed"] == root_cause.SEED

"""Stories of drifts: which events belong together, and how one is found by its id."""

import pytest

from schemas.observing import DriftDetected
from streams.drifts import chosen, stories
from streams.errors import RegistrationError
from tests.contracts.scenarios.explain import START, drift


def told(event_id: str, status: str, *causes: str, at: int = 0) -> DriftDetected:
    return drift("error", START + at, 0, event_id=event_id, status=status, causes=causes)


def test_the_events_of_one_drift_are_told_together_however_they_come() -> None:
    events = [
        told("e1", "explained", "d1", "i1", at=2),
        told("d1", "confirmed", "w1", at=2),
        told("w1", "warning", at=1),
        told("w2", "warning", at=3),
        told("x2", "dismissed", "w2", at=4),
        told("d3", "confirmed", at=5),
        told("d3", "confirmed", at=5),
        told("o4", "of others", at=6),
    ]

    first, second, third, other = stories([*events, "what is no drift"])

    assert [one.event_id for one in first.told] == ["w1", "d1", "e1"]
    assert (first.first.status, first.newest.status) == ("warning", "explained")
    assert second.newest.status == "dismissed"
    assert [one.event_id for one in third.told] == ["d3"]
    assert other.newest.status == "of others"


def test_one_is_found_by_the_beginning_of_an_id() -> None:
    known = stories(
        [told("aa1", "warning"), told("ab2", "confirmed", "aa1"), told("ac", "warning")]
    )

    assert chosen(known, "ab").newest.event_id == "ab2"
    assert chosen(known, "").newest.event_id == "ac"
    with pytest.raises(RegistrationError, match="2 drifts have ids that begin with 'a'"):
        chosen(known, "a")
    with pytest.raises(RegistrationError, match="no drift 'x'"):
        chosen(known, "x")
    with pytest.raises(RegistrationError, match="no drift ''"):
        chosen([], "")

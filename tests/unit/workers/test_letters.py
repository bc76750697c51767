"""Dead letters as cases: who refused, what was done, what is still open."""

import hashlib
from dataclasses import replace

import pytest

from schemas.decisions import DeadLetter
from tests.examples import example
from workers import letters
from workers.errors import RecoveryRefused
from workers.letters import Case, Wanted, cases_of, discarded, find, keeps_whole, retried

LETTER = replace(
    example(DeadLetter),
    event_id="aaaaaa1",
    topic="weir.metrics",
    partition=2,
    offset=7,
    error="malformed",
    processor="observe",
    detected_at=1_000,
)
BY_DRIFT = replace(LETTER, processor="drift", detected_at=1_500)
OTHER = replace(LETTER, event_id="aaaaab2", offset=9, detected_at=2_000)


def only(*told: DeadLetter) -> Case:
    """Return the one case of these letters."""
    (case,) = cases_of(told, [])
    return case


def test_several_that_refuse_one_message_make_one_case() -> None:
    case = only(LETTER, BY_DRIFT, LETTER)
    assert (case.refused_by, case.state) == (("drift", "observe"), "open")
    assert [letter.processor for letter in case.letters] == ["observe", "drift"]


def test_the_newest_refusal_comes_first() -> None:
    assert [case.id for case in cases_of([LETTER, OTHER], [])] == ["aaaaab2", "aaaaaa1"]


def test_what_was_retried_is_settled_for_those_it_was_sent_to() -> None:
    deed = retried(only(LETTER), ("observe",), ("weir.metrics", 2, 50), 3_000)
    (case,) = cases_of([LETTER], [deed, deed])
    assert (case.state, case.unsettled, len(case.deeds)) == ("retried", (), 1)
    assert case.deeds[0].copy == ("weir.metrics", 2, 50)
    (later,) = cases_of([LETTER, BY_DRIFT], [deed])
    assert (later.state, later.unsettled) == ("open", ("drift",))


def test_a_retry_that_is_refused_again_leads_to_its_new_case() -> None:
    deed = retried(only(LETTER), ("observe",), ("weir.metrics", 2, 9), 3_000)
    found = {case.id: case for case in cases_of([LETTER, OTHER], [deed])}
    assert (found["aaaaaa1"].again, found["aaaaab2"].again) == ("aaaaab2", "")


def test_what_was_discarded_is_settled_with_its_reason() -> None:
    (case,) = cases_of([LETTER, BY_DRIFT], [discarded(only(LETTER, BY_DRIFT), "noise", 3_000)])
    assert (case.state, case.deeds[0].reason) == ("discarded", "noise")


def test_two_retries_of_one_case_are_two_events() -> None:
    first = retried(only(LETTER), ("observe",), ("weir.metrics", 2, 50), 3_000)
    (case,) = cases_of([LETTER], [first])
    second = retried(case, ("observe",), ("weir.metrics", 2, 51), 3_000)
    assert first.event_id != second.event_id
    assert first.causes == second.causes == ("aaaaaa1",)


def test_actions_of_others_are_none_of_its_business() -> None:
    deed = replace(retried(only(LETTER), ("observe",), ("t", 0, 1), 1), kind="worker.start")
    assert cases_of([LETTER], [deed])[0].state == "open"


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), True),
        (Wanted(topic="weir.metrics"), True),
        (Wanted(topic="weir.labels"), False),
        (Wanted(kind="empty"), False),
        (Wanted(since_ms=1_000), True),
        (Wanted(since_ms=1_001), False),
        (Wanted(states=("retried",)), False),
    ],
)
def test_filters(wanted: Wanted, taken: bool) -> None:
    assert wanted.takes(only(LETTER)) is taken


def test_the_beginning_of_an_id_is_enough_when_it_is_the_only_one() -> None:
    cases = cases_of([LETTER, OTHER], [])
    assert find(cases, "aaaaaa").id == "aaaaaa1"
    for start, why in (("aaaaa", "too short"), ("aaaaaac", "no dead letter"), ("aaaaa", "short")):
        with pytest.raises(RecoveryRefused, match=why):
            find(cases, start)
    with pytest.raises(RecoveryRefused, match="begins 2 ids"):
        find(cases_of([LETTER, replace(OTHER, event_id="aaaaaa2")], []), "aaaaaa")


def kept(payload: bytes, length: int | None = None, error: str = "malformed") -> DeadLetter:
    """Return a letter of a payload."""
    digest = hashlib.sha256(payload).hexdigest()
    size = len(payload) if length is None else length
    return replace(LETTER, payload=payload, length=size, sha256=digest, error=error)


def test_only_a_whole_framed_payload_can_stand_for_the_original() -> None:
    assert keeps_whole(kept(b"\x00\x00\x00\x00\x01rest"))
    assert keeps_whole(kept(b"no avro", error="not-framed"))
    assert not keeps_whole(kept(b"the body of an event alone"))
    assert not keeps_whole(kept(b"\x00\x00\x00\x00\x01", length=100_000))
    assert not keeps_whole(replace(kept(b"\x00\x00"), sha256="0" * 64))


def test_an_original_is_known_by_its_digest_also_behind_its_prefix() -> None:
    letter = kept(b"body")
    assert letters.is_original(letter, b"body")
    assert letters.is_original(letter, b"\x00\x00\x00\x00\x01body")
    assert not letters.is_original(letter, b"another")
    assert not letters.is_original(letter, None)

"""The audit of the ledger: one message that is missing or doubled anywhere is told."""

from dataclasses import replace

import pytest

from streams.bench.faulting import NOTHING
from streams.bench.ledger import ELSEWHERE, Difference, Found, Ledger, Metric, Verdict, audit
from streams.bench.ledger_turns import FIRST, FOLLOWING

LETTER = ("weir.metrics", 2, 17)


def page() -> Ledger:
    """Return two metrics in one window, one in the next, one too late, a request and a poison."""
    ledger = Ledger(1_000)
    times = {"a": 10_100, "b": 10_900, "c": 11_000, "late": 3_000}
    ledger.metrics.update({name: Metric("m", at) for name, at in times.items()})
    ledger.requests.add("q")
    ledger.refused.add("poison")
    known = [*times, "q"]
    ledger.acknowledged.update({name: ("t", 0, n) for n, name in enumerate(known)})
    ledger.acknowledged["poison"] = LETTER
    return ledger


WHOLE = Found(
    metrics={"a": 1, "b": 1, "c": 1, "late": 1},
    responses={"q": 1},
    latencies={"q": 1},
    windows={("m", 10_000): 2, ("m", 11_000): 1},
    late={"m": 1},
    letters={LETTER: 1},
)


def test_what_is_there_once_is_neither_lost_nor_doubled() -> None:
    assert audit(page(), WHOLE) == Verdict(6, (), ())


LOST = {
    "a metric in SQL and in its window": {
        "metrics": {"a": 1, "c": 1, "late": 1},
        "windows": {("m", 10_000): 1, ("m", 11_000): 1},
    },
    "a metric in SQL": {"metrics": {"a": 1, "c": 1, "late": 1}},
    "a metric in its window": {"windows": {("m", 10_000): 1, ("m", 11_000): 1}},
    "a window": {"windows": {("m", 10_000): 2}},
    "a late one": {"late": {}},
    "an answer": {"responses": {}, "latencies": {}},
    "a derived metric": {"latencies": {}},
    "a dead letter": {"letters": {}},
}
DOUBLED = {
    "a metric in SQL": {"metrics": {**WHOLE.metrics, "b": 2}},
    "a metric in its window": {"windows": {("m", 10_000): 3, ("m", 11_000): 1}},
    "a window": {"windows": {**WHOLE.windows, ("m", 12_000): 1}},
    "a late one": {"late": {"m": 2}},
    "an answer": {"responses": {"q": 2}},
    "a derived metric": {"latencies": {"q": 2}},
    "a dead letter": {"letters": {LETTER: 2}},
    "an observation in Kafka": {"repeated": {"o": 2}},
}


@pytest.mark.parametrize("change", LOST.values(), ids=LOST)
def test_one_that_is_missing_is_told(change: dict[str, object]) -> None:
    verdict = audit(page(), replace(WHOLE, **change))  # type: ignore[arg-type]  # by name
    assert verdict.lost == 1
    assert verdict.doubled == 0


@pytest.mark.parametrize("change", DOUBLED.values(), ids=DOUBLED)
def test_one_too_many_is_told(change: dict[str, object]) -> None:
    verdict = audit(page(), replace(WHOLE, **change))  # type: ignore[arg-type]  # by name
    assert verdict.doubled == 1
    assert verdict.lost == 0


def test_one_lost_and_one_doubled_in_a_series_do_not_cancel_out() -> None:
    verdict = audit(page(), replace(WHOLE, windows={("m", 10_000): 1, ("m", 11_000): 2}))
    assert (verdict.lost, verdict.doubled) == (1, 1)


@pytest.mark.parametrize("arrived", [False, True])
def test_what_was_not_acknowledged_may_be_there_but_not_twice(arrived: bool) -> None:
    ledger = page()
    for name in ("b", "q", "poison"):
        del ledger.acknowledged[name]
    gone = replace(
        WHOLE,
        metrics={"a": 1, "c": 1, "late": 1},
        windows={("m", 10_000): 1, ("m", 11_000): 1},
        responses={},
        latencies={},
        letters={},
    )
    verdict = audit(ledger, WHOLE if arrived else gone)
    assert verdict == Verdict(3, (), ())
    assert audit(ledger, replace(WHOLE, responses={"q": 2})).doubled == 1


def test_where_aborted_transactions_are_seen_a_derived_metric_may_stand_twice() -> None:
    ledger = page()
    ledger.exact = False
    assert audit(ledger, replace(WHOLE, latencies={"q": 2})) == Verdict(6, (), ())
    assert audit(ledger, replace(WHOLE, latencies={})).lost == 1


def test_a_verdict_names_what_is_wrong() -> None:
    verdict = audit(page(), replace(WHOLE, responses={}, latencies={}))
    assert verdict.missing == (Difference("answer to q", 1),)
    assert str(verdict) == "6 events, 1 lost, 0 doubled; lost answer to q (1)"


def outside() -> Ledger:
    """Return a page of a call, two reports of which one was sent twice, and two errands."""
    ledger = Ledger(1_000)
    ledger.requests.add("call")
    ledger.calls["call"] = 5
    ledger.told["call"] = 700
    ledger.metrics.update(once=Metric("m", 10_100), twice=Metric("m", 10_200))
    ledger.reports.update(once=6, twice=7)
    ledger.tries.update(call=3, once=1, twice=2)
    ledger.notices["notice"] = 8
    ledger.diagnoses["diagnosis"] = 9
    ledger.heard = {"notice": [100], "diagnosis": [200, 300]}
    for name in ("call", "once", "twice"):
        ledger.acknowledged[name] = ELSEWHERE
    for name in ("notice", "diagnosis"):
        ledger.acknowledged[name] = ("t", 0, 1)
    return ledger


CARRIED = Found(
    metrics={"once": 1, "twice": 1},
    responses={"call": 1},
    latencies={"call": 1},
    windows={("m", 10_000): 2},
    late={},
    letters={},
    answered={"call": 700},
    outcomes={"notice": [110], "diagnosis": [310]},
)


def test_a_report_may_stand_as_often_as_it_was_sent() -> None:
    assert outside().answered_all()
    assert audit(outside(), CARRIED) == Verdict(5, (), ())
    again = replace(CARRIED, metrics={"once": 1, "twice": 2}, windows={("m", 10_000): 3})
    assert audit(outside(), again) == Verdict(5, (), ())
    uncounted = audit(outside(), replace(again, windows=CARRIED.windows))
    assert (uncounted.lost, uncounted.doubled) == (1, 0)
    thrice = replace(CARRIED, metrics={"once": 2, "twice": 3}, windows={("m", 10_000): 5})
    assert audit(outside(), thrice).doubled == 4


UNDONE = {
    "a report": ({"metrics": {"twice": 1}, "windows": {("m", 10_000): 1}}, (1, 0)),
    "an answer": ({"responses": {}, "latencies": {}}, (1, 0)),
    "another answer in SQL": ({"answered": {"call": 701}}, (0, 1)),
    "an outcome": ({"outcomes": {"diagnosis": [310]}}, (1, 0)),
    "two outcomes": ({"outcomes": {"notice": [110, 120], "diagnosis": [310]}}, (0, 1)),
    "told after the outcome": ({"outcomes": {"notice": [110], "diagnosis": [290]}}, (0, 1)),
}


@pytest.mark.parametrize(("change", "cost"), UNDONE.values(), ids=UNDONE)
def test_what_goes_in_and_out_beside_kafka_is_told(
    change: dict[str, object], cost: tuple[int, int]
) -> None:
    verdict = audit(outside(), replace(CARRIED, **change))  # type: ignore[arg-type]  # by name
    assert (verdict.lost, verdict.doubled) == cost


def test_an_errand_that_nobody_heard_of_is_lost_whatever_is_said_of_it() -> None:
    ledger = outside()
    ledger.heard = {"diagnosis": [200]}
    assert audit(ledger, CARRIED).missing == (Difference("word outside of notice", 1),)


@pytest.mark.parametrize("name", ["call", "once"])
def test_what_was_never_answered_over_http_is_lost(name: str) -> None:
    ledger = outside()
    del ledger.acknowledged[name]
    assert not ledger.answered_all()
    assert audit(ledger, CARRIED).missing == (Difference(f"answer over HTTP to {name}", 1),)


def turns(*starts: int) -> dict[str, list[int]]:
    """Return the readings of whole turns."""
    return {name: [at + n for at in starts] for n, name in enumerate((FIRST, *FOLLOWING))}


def told(readings: dict[str, list[int]], *kills: int, ended: int = 90_000) -> Verdict:
    """Return what an audit says of an agent that was killed, or else long before."""
    ledger = Ledger(1_000, kills=[*kills] or [-90_000], ended=ended)
    return audit(ledger, replace(NOTHING, readings=readings))


def test_turns_of_an_agent_are_whole_but_where_it_was_killed() -> None:
    whole = turns(1_000, 2_000, 3_000, 4_000)
    assert told(whole) == Verdict(0, (), ())
    cut = {
        name: [at for at in times if name == FIRST or at < 2_000] for name, times in whole.items()
    }
    assert told(cut).lost == 2 * len(FOLLOWING)
    assert told(cut, 3_100) == Verdict(0, (), ())
    assert told(cut, ended=2_500).lost == 0
    assert told(whole | {FOLLOWING[1]: [*whole[FOLLOWING[1]], 2_500]}).doubled == 1
    assert told(whole | {FIRST: [1_000, 1_000, 2_000, 3_000, 4_000]}).doubled == 1
    assert told({}).missing == (Difference(f"all readings of {FIRST}", 1),)


def test_an_agent_may_be_silent_only_where_it_was_killed() -> None:
    gap = turns(1_000, 9_000, 10_000)
    assert told(gap).missing == (Difference("readings from 1000 to 9000", 1),)
    assert told(gap, 1_500) == Verdict(0, (), ())


def test_a_node_that_was_unknown_must_be_ready_again() -> None:
    ledger = Ledger(1_000, kills=[1_500], unknown=[7_000], ended=90_000)
    found = replace(CARRIED, metrics={}, responses={}, windows={}, readings=turns(1_000, 9_000))
    assert audit(ledger, replace(found, ready=[1_000, 8_000])) == Verdict(0, (), ())
    missing = audit(ledger, replace(found, ready=[1_000])).missing
    assert missing == (Difference("node that is ready again after 7000", 1),)

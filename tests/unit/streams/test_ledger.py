"""The audit of the ledger: one message that is missing or doubled anywhere is told."""

from dataclasses import replace

import pytest

from streams.bench.ledger import Difference, Found, Ledger, Metric, Verdict, audit

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

"""Checks side by side: bounded, and unable to end each other."""

import threading
from typing import Any

import pytest

from streams.doctor.checks import CHECKS, Check
from streams.doctor.examining import examine
from streams.doctor.findings import Finding, Status, ok
from streams.doctor.installation import Given, Once, Site
from workers.errors import ClickHouseRefused, KafkaUnavailable
from workers.settings import Settings

SITE = Site(Given(Settings(), {}, watch_s=0.05))


def check(name: str, gather: Any, needs: tuple[str, ...] = (), limit_s: float = 5.0) -> Check:
    return Check(name, gather, lambda facts: [ok(name, facts)], needs, limit_s)


def raising(error: Exception) -> Any:
    def gather(_: Site) -> str:
        raise error

    return gather


def only(checks: list[Check], *names: str) -> dict[str, Finding]:
    return {each.check: each.findings[0] for each in examine(checks, SITE, names)}


def test_a_check_that_crashes_or_cannot_look_is_a_finding_and_others_go_on() -> None:
    found = only(
        [
            check("away", raising(KafkaUnavailable("Kafka at h:1: refused; start it"))),
            check("refused", raising(ClickHouseRefused("no such table"))),
            check("broken", raising(ZeroDivisionError("by nothing"))),
            check("well", lambda _: "fine"),
            check("after", lambda _: "fine", ("well",)),
            check("blind", lambda _: "fine", ("away",)),
            check("blinder", lambda _: "fine", ("blind",)),
        ]
    )
    assert [each.status.value for each in found.values()] == [
        "fail",
        "fail",
        "fail",
        "ok",
        "ok",
        "skip",
        "skip",
    ]
    assert (found["away"].what, found["away"].mend) == ("Kafka at h:1: refused", "start it")
    assert found["refused"].what == "no such table"
    assert "ZeroDivisionError: by nothing" in found["broken"].what
    assert found["blind"].what == "not looked at: away could not be looked at"


def test_what_is_not_installed_is_not_looked_at_and_nothing_fails_for_it() -> None:
    missing = ModuleNotFoundError("No module named 'polars'", name="polars")
    unknown = ModuleNotFoundError("No module named 'nowhere'", name="nowhere")
    found = only(
        [
            check("frames", raising(missing)),
            check("after", lambda _: "fine", ("frames",)),
            check("wrong", raising(unknown)),
        ]
    )
    told = "not looked at: polars is not installed; `pip install weir[stream]`"
    assert (found["frames"].status, found["frames"].what) == (Status.SKIP, told)
    assert found["after"].status is Status.SKIP
    assert found["wrong"].status is Status.FAIL


def test_a_check_that_does_not_end_is_given_up() -> None:
    forever = threading.Event()
    late = check("late", lambda _: forever.wait() and "never", limit_s=0.05)
    try:
        found = only(
            [late, check("after", lambda _: "fine", ("late",)), check("well", lambda _: "")]
        )
    finally:
        forever.set()
    assert found["late"].status is Status.FAIL
    assert "no answer within" in found["late"].what
    assert found["after"].status is Status.SKIP
    assert found["well"].status is Status.OK


def test_some_checks_run_with_what_they_need_which_is_told_only_when_it_is_away() -> None:
    asked: list[str] = []

    def gather(_: Site) -> str:
        asked.append("base")
        return "fine"

    checks = [check("base", gather), check("top", lambda _: "fine", ("base",))]
    assert list(only(checks, "top")) == ["top"]
    assert asked == ["base"]
    checks[0] = check("base", raising(KafkaUnavailable("away")))
    assert list(only(checks, "top")) == ["base", "top"]


def test_what_a_check_needs_stands_before_it() -> None:
    names = [each.name for each in CHECKS]
    assert len(set(names)) == len(names)
    for place, each in enumerate(CHECKS):
        assert set(each.needs) <= set(names[:place])


def test_what_is_asked_once_is_asked_once_whatever_it_gives() -> None:
    calls: list[int] = []

    def ask() -> int:
        calls.append(1)
        return len(calls)

    def fails() -> int:
        calls.append(1)
        raise KafkaUnavailable("away")

    once, failing = Once(ask), Once(fails)
    assert (once(), once(), len(calls)) == (1, 1, 1)
    for _ in range(2):
        with pytest.raises(KafkaUnavailable):
            failing()
    assert len(calls) == 2

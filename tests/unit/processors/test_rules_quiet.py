"""Rules that are told or not: silences, dependencies, nodes that are down, and what is absent."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from processors.rules.quality import Quality, QualityParams
from processors.selecting.state import AppState
from processors.selecting.triggers import take
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.observing import Observation, QualityEvaluated
from schemas.processing import Output
from schemas.registrations import InstanceReported, NodeReported
from schemas.topics import key_of
from tests.contracts.making import START, columns, observation
from tests.contracts.scenarios.quality import rule, silence
from tests.examples import example
from tests.unit.processors.test_rules import built

SLOW = rule("slow", metric="latency", operator=">", threshold=100.0, for_windows=1, clear_windows=1)


def world(*entries: Event) -> Catalogue:
    found: dict[type[Event], dict[str, Event]] = {}
    for one in entries:
        found.setdefault(type(one), {})[key_of(one)] = one
    return Catalogue(found)


def told(outputs: Sequence[Output]) -> list[tuple[str, str, str, str]]:
    """Return rule, verdict, severity and what silences it."""
    return [
        (one.rule, one.verdict, one.severity, one.silenced_by)
        for one in outputs
        if isinstance(one, QualityEvaluated)
    ]


class Played:
    """A processor whose clock is told in ms after START."""

    def __init__(self, *entries: Event, params: QualityParams | None = None) -> None:
        self.processor: Quality = built(params)
        self.catalogue = world(*entries)

    def see(self, at: int, *seen: Observation) -> list[tuple[str, str, str, str]]:
        return told(self.processor.process(columns(seen, START + at, self.catalogue)))

    def wake(self, until: int) -> list[QualityEvaluated]:
        """Fire the timers that are due until an instant."""
        found: list[Output] = []
        while (due := self.processor.wake_at() or START) <= START + until:
            found += self.processor.process(columns((), due, self.catalogue))
        return [one for one in found if isinstance(one, QualityEvaluated)]

    def restart(self) -> None:
        data = self.processor.snapshot()
        self.processor = built()
        self.processor.restore(data)


def latency(value: float, second: int = 1, **scope: Any) -> Observation:
    return observation(value, 1_000 * second, metric="latency", **scope)


def test_a_silenced_verdict_is_told_when_the_silence_ends() -> None:
    played = Played(SLOW, silence(START, START + 60_000, service="a"))
    assert played.see(1_000, latency(200.0, service="a"), latency(200.0, service="b")) == [
        ("slow", "degraded", "warning", "silence upkeep"),
        ("slow", "degraded", "warning", ""),
    ]
    assert played.wake(59_000) == []
    played.restart()
    (again,) = played.wake(66_000)
    assert told([again]) == [("slow", "degraded", "warning", "")]
    assert (again.service, again.causes) == ("a", (again.spell,))
    assert again.event_id != again.spell
    assert START + 60_000 <= again.evaluated_at <= START + 65_000
    assert played.see(67_000, latency(50.0, 2, service="a")) == [("slow", "healthy", "warning", "")]


def test_what_was_never_told_is_withdrawn_in_silence() -> None:
    played = Played(SLOW, silence(START, START + 60_000, rule="slow", service=""))
    played.see(1_000, latency(200.0))
    assert played.see(2_000, latency(50.0, 2)) == [("slow", "healthy", "warning", "silence upkeep")]
    assert played.wake(70_000) == []


def test_a_silence_that_is_withdrawn_ends_at_once() -> None:
    played = Played(SLOW, silence(START, START + 10**9, service=""))
    played.see(1_000, latency(200.0))
    played.catalogue = world(SLOW)
    assert told(played.wake(6_000)) == [("slow", "degraded", "warning", "")]


def test_what_was_told_before_a_silence_is_withdrawn_aloud() -> None:
    worse = replace(SLOW, critical_threshold=300.0)
    played = Played(worse)
    played.see(1_000, latency(200.0))
    played.catalogue = world(worse, silence(START, START + 60_000, service=""))
    assert played.see(2_000, latency(400.0, 2)) == [
        ("slow", "degraded", "critical", "silence upkeep")
    ]
    assert played.see(3_000, latency(50.0, 3)) == [("slow", "healthy", "critical", "")]


def test_a_rule_keeps_those_that_depend_on_it_quiet() -> None:
    child = replace(SLOW, name="child", event_id="child", threshold=50.0, depends_on=("slow",))
    played = Played(SLOW, child)
    assert played.see(1_000, latency(200.0, service="a")) == [
        ("slow", "degraded", "warning", ""),
        ("child", "degraded", "warning", "rule slow"),
    ]
    assert played.see(2_000, latency(70.0, service="b")) == [("child", "degraded", "warning", "")]
    assert played.see(3_000, latency(70.0, 2, service="a")) == [("slow", "healthy", "warning", "")]
    assert told(played.wake(9_000)) == [("child", "degraded", "warning", "")]


def test_a_node_that_is_down_silences_what_runs_on_it_alone() -> None:
    def instance(name: str, service: str, node: str) -> InstanceReported:
        return replace(
            example(InstanceReported),
            instance=name,
            service=service,
            app="digits",
            node=node,
            health="ready",
            expires_at=START,
        )

    up = replace(example(NodeReported), node="up", status="ready", expires_at=START + 10**6)
    down = replace(up, node="down", expires_at=START)
    reported = (instance("1", "a", "down"), instance("2", "b", "down"), instance("3", "b", "up"))
    played = Played(SLOW, up, down, *reported)
    seen = (
        latency(200.0, service="a"),
        latency(200.0, service="b"),
        latency(200.0, service="b", node="down"),
        latency(200.0, node="down"),
        latency(200.0),
    )
    assert [one[-1] for one in played.see(1_000, *seen)] == ["node down", "", "node down", "", ""]
    played.catalogue = world(SLOW, up, replace(down, expires_at=START + 10**6), *reported)
    assert [(one.service, one.node) for one in played.wake(6_000)] == [("a", ""), ("b", "down")]


ABSENT = rule(
    "gone",
    kind="absence",
    metric="latency",
    statistic="",
    operator="",
    span_ms=10_000,
    app="digits",
)


def test_a_series_that_stops_is_told_and_told_when_it_goes_on() -> None:
    played = Played(replace(ABSENT, critical_threshold=30_000.0))
    assert played.see(1_000, latency(1.0)) == []
    assert played.wake(10_999) == []
    (gone,) = played.wake(11_000)
    assert told([gone]) == [("gone", "degraded", "warning", "")]
    assert (gone.since, gone.findings[0].observed) == (START + 1_000, 10_000.0)
    assert gone.causes == (latency(1.0).event_id,)
    played.restart()
    assert told(played.wake(31_000)) == [("gone", "degraded", "critical", "")]
    assert played.see(40_000, latency(1.0, 40)) == [("gone", "healthy", "critical", "")]
    assert [one.window_end for one in played.wake(50_000)] == [START + 40_000]


def test_a_series_that_never_came_is_told_in_one_partition_alone() -> None:
    played = Played(ABSENT)
    (never,) = played.wake(11_000)
    assert (never.app, never.metric, never.verdict) == ("digits", "latency", "degraded")
    assert played.see(12_000, latency(1.0, service="any")) == [("gone", "healthy", "warning", "")]
    assert [one.service for one in played.wake(22_000)] == ["any"]
    assert Played(replace(ABSENT, app="")).wake(60_000) == []
    elsewhere = Played(replace(ABSENT, app="digits 2"))
    assert elsewhere.wake(60_000) == []


def test_a_series_that_came_once_is_forgotten_in_the_end() -> None:
    played = Played(ABSENT, params=QualityParams(forget_ms=60_000))
    played.see(1_000, latency(1.0, service="once"))
    assert [(one.verdict, one.evaluated_at - START) for one in played.wake(200_000)] == [
        ("degraded", 11_000),
        ("healthy", 61_000),
    ]


def test_a_host_that_was_away_takes_its_absence_for_nobody_elses() -> None:
    played = Played(ABSENT)
    played.see(1_000, latency(1.0))
    played.restart()
    late = START + 500_000
    assert list(played.processor.process(columns((), late, played.catalogue))) == []
    assert told(played.wake(509_999)) == []
    assert told(played.wake(510_000)) == [("gone", "degraded", "warning", "")]


def test_a_rule_that_changes_forgets_and_one_that_stays_remembers() -> None:
    played = Played(SLOW, ABSENT)
    played.see(1_000, latency(200.0))
    other = rule("other", metric="latency", operator="<", threshold=0.0)
    played.catalogue = world(SLOW, ABSENT, other)
    assert played.see(2_000, latency(200.0, 2)) == []
    played.catalogue = world(replace(SLOW, threshold=120.0, event_id="slow-2"), ABSENT)
    assert played.see(3_000, latency(200.0, 3)) == [
        ("slow", "healthy", "info", ""),
        ("slow", "degraded", "warning", ""),
    ]


def test_a_silenced_verdict_makes_nobody_select_anew() -> None:
    bad = replace(
        example(QualityEvaluated),
        app="digits",
        service="",
        verdict="degraded",
        severity="critical",
        silenced_by="silence upkeep",
        window_end=START,
    )
    state = AppState(app="digits")
    take(state, bad, 1)
    assert state.trigger is None
    take(state, replace(bad, silenced_by=""), 1)
    assert state.trigger is not None

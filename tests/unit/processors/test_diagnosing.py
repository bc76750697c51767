"""diagnose: who is named as the cause, on what evidence, and when nothing is said."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from processors.diagnosing import spells
from processors.diagnosing.diagnose import spec
from processors.diagnosing.spells import DiagnoseParams
from processors.diagnosing.state import AppState
from processors.errors import InvalidParameters
from schemas.base import Event
from schemas.catalogue import Catalogue
from schemas.codec import unpack_state
from schemas.observing import QualityEvaluated
from schemas.processing import Batch, Record
from schemas.records import KeyValue
from schemas.resources import Link
from schemas.topics import topic_of
from tests.unit.placement import world
from tests.unit.processors import diagnosing_cases as cases

BEGINS, END = 30, 45
Told = list[QualityEvaluated]
Values = Callable[[int], Sequence[Event]]


def noise(window: int, salt: int) -> float:
    """Return a number between -1 and 1 that looks like chance and is none."""
    return ((window * 7919 + salt * 104_729) % 201 - 100) / 100


def usual(window: int, **factors: float) -> list[Event]:
    """Return a window of times that are as ever, but for instances with a factor."""
    events: list[Event] = [
        cases.seen("latency", window, 10.0 * factors.get(n, 1.0) + 0.3 * noise(window, at), name)
        for at, (n, name) in enumerate((n.replace("-", "_"), n) for n in cases.PLACES)
    ]
    whole = max(1.0, *factors.values()) if factors else 1.0
    events.append(cases.seen("response_latency", window, 30 * whole + noise(window, 9)))
    return events


def judged(window: int, *factors: str) -> list[Event]:
    """Return a window; from BEGINS on these instances are three times as slow."""
    slow = {name.replace("-", "_"): 3.0 for name in factors} if window >= BEGINS else {}
    violated = [cases.violation(window, "violated")] if window == BEGINS + 2 else []
    return [*usual(window, **slow), *violated]


def run(
    values: Values,
    catalogue: Callable[[int], Catalogue] = cases.catalogue,
    windows: int = END,
    params: DiagnoseParams | None = None,
) -> Told:
    """Return what is said of so many windows of a second, the timers between them included."""
    processor: Any = spec(params or DiagnoseParams()).build(0)
    told: Told = []
    for window in range(windows):
        now = cases.T0 + (window + 1) * 1_000 + 300
        records = tuple(Record(e, topic_of(e), 0, window, now) for e in values(window))
        told += processor.process(Batch(records, now, catalogue(now)))
    return told


def names(said: QualityEvaluated) -> list[tuple[str, str]]:
    return [(cause.kind, cause.name) for cause in said.root_causes]


def test_a_node_on_which_all_is_slow() -> None:
    told = run(lambda window: judged(window, "a-1", "b-1"))

    best = told[-1].root_causes[0]
    assert (best.kind, best.name) == ("node", "n1")
    assert best.since == cases.T0 + (BEGINS + 1) * 1_000
    assert "latency of instance a-1 went from 10" in best.why
    assert {i.rpartition("-")[0] for i in best.evidence} >= {"latency-a-1-", "latency-b-1-"}
    assert told[-1].causes == (f"in-time-violated-{BEGINS + 2}",)
    assert (told[-1].tier, told[-1].verdict, told[-1].severity) == (
        "diagnosis",
        "degraded",
        "critical",
    )
    scores = [cause.score for cause in told[-1].root_causes]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


def test_an_instance_that_is_slow_by_itself() -> None:
    told = run(lambda window: judged(window, "a-1"))
    assert names(told[-1])[0] == ("instance", "a-1")


def test_a_service_that_is_slow_wherever_it_runs() -> None:
    told = run(lambda window: judged(window, "a-1", "a-2"))
    assert names(told[-1])[0] == ("service", "a")


def wrong(window: int, *services: str) -> list[Event]:
    """Return a window; from BEGINS on these services give wrong answers, so that the app does."""
    worse = 0.3 if window >= BEGINS else 0.0
    events = [
        cases.seen(
            "accuracy",
            window,
            0.9 - worse * (name in services) + 0.02 * noise(window, at),
            service=name,
        )
        for at, name in enumerate("ab")
    ]
    events.append(cases.seen("accuracy", window, 0.9 - worse / 2 + 0.02 * noise(window, 5)))
    violated = [cases.violation(window, "violated")] if window == BEGINS + 2 else []
    return [*events, *violated]


@pytest.mark.parametrize(("at", "first"), [(BEGINS - 1, True), (BEGINS + 9, False)])
def test_a_version_is_to_blame_for_what_follows_it_alone(at: int, *, first: bool) -> None:
    def catalogue(now: int) -> Catalogue:
        changed = cases.T0 + at * 1_000
        new = [cases.service("b", 2, changed)] if now >= changed else []
        return cases.catalogue(now, *new)

    told = run(lambda window: wrong(window, "b"), catalogue)
    assert (names(told[-1])[0] == ("model", "b")) is first
    if first:
        assert "service-b" in told[-1].root_causes[0].evidence
    else:
        assert ("model", "b") not in names(told[-1])


@pytest.mark.parametrize(
    ("new", "first"),
    [
        ({"image": "registry.example/b:2"}, True),
        ({"arguments": ("--threshold", "0.9")}, True),
        ({"environment": (KeyValue(key="THRESHOLD", value="0.9"),)}, True),
        ({"priority": 3}, False),
    ],
)
def test_a_version_is_what_runs_and_how_it_is_started(new: dict[str, Any], *, first: bool) -> None:
    def catalogue(now: int) -> Catalogue:
        changed = cases.T0 + (BEGINS - 1) * 1_000
        other = replace(cases.service("b", 1, changed), **new)
        return cases.catalogue(now, *([other] if now >= changed else []))

    told = run(lambda window: wrong(window, "b"), catalogue)
    assert (names(told[-1])[0] == ("model", "b")) is first


def test_an_input_explains_what_all_get_wrong() -> None:
    def values(window: int) -> list[Event]:
        shifted = 0.4 if window >= BEGINS else 0.0
        light = cases.seen(
            "input.mean", window, 0.5 + shifted + 0.01 * noise(window, 3), service="a"
        )
        return [*wrong(window, "a", "b"), light]

    assert names(run(values)[-1])[0] == ("input", "video")


def test_a_drift_of_the_input_tells_as_much() -> None:
    def values(window: int) -> list[Event]:
        told = [cases.drift(window)] if window == BEGINS + 4 else []
        return [*wrong(window, "a", "b"), *told]

    told = run(values)
    assert names(told[-1])[0] == ("input", "video")
    assert f"drift-a-{BEGINS + 4}" in told[-1].root_causes[0].evidence


def test_a_drift_that_is_explained_is_told_as_what_it_is_and_no_new_reason() -> None:
    params, state, now = DiagnoseParams(), AppState(app=cases.APP), cases.T0 + 50_000
    first = cases.drift(BEGINS, cause="")
    why = replace(
        first, event_id="why", status="explained", cause="sensor-stuck", causes=(first.event_id,)
    )
    spells.drifted(state, first, now, params)
    opened, (symptom,) = state.open, spells.drift_symptoms(state, now, params)
    assert symptom.key == ("service", "a", "truth")

    spells.drifted(state, why, now + 1_000, params)
    (symptom,) = spells.drift_symptoms(state, now, params)
    assert (symptom.key, symptom.evidence) == (("stage", "see", "input"), "why")
    assert state.open == opened


def test_a_link_is_slow_where_no_instance_is() -> None:
    def catalogue(now: int) -> Catalogue:
        window = (now - cases.T0) // 1_000 - 1
        slow = 90.0 if window >= BEGINS else 0.0
        link = Link(node="n2", latency_ms=2.0 + slow + 0.1 * noise(window, 4))
        near = world.node("n1", heartbeat=now, expires_at=now + 5_000, links=(link,))
        return cases.catalogue(now, near)

    def values(window: int) -> list[Event]:
        late = 60.0 if window >= BEGINS else 0.0
        whole = cases.seen("response_latency", window, 30 + late + noise(window, 9))
        violated = [cases.violation(window, "violated")] if window == BEGINS + 2 else []
        return [*usual(window)[:-1], whole, *violated]

    assert names(run(values, catalogue)[-1])[0] == ("link", "n1 - n2")


def silenced(now: int) -> Catalogue:
    """Return a catalogue in which b-1 has fallen silent since BEGINS."""
    return cases.catalogue(now, silent=("b-1",) if now >= cases.T0 + BEGINS * 1_000 else ())


def test_an_instance_that_fell_silent() -> None:
    def values(window: int) -> list[Event]:
        gone = window >= BEGINS
        return [e for e in judged(window, "b-2") if not (gone and "b-1" in e.event_id)]  # type: ignore[attr-defined]

    assert names(run(values, silenced)[-1])[0] == ("instance", "b-1")


def test_instances_that_were_told_to_leave_are_not_lost() -> None:
    def catalogue(now: int) -> Catalogue:
        leaving = replace(cases.instance("b-1", cases.T0), health="draining")
        return cases.catalogue(now, leaving)

    assert "b-1 is lost" not in str(run(lambda window: judged(window, "a-1"), catalogue))


def test_two_faults_at_a_time_are_both_named() -> None:
    def values(window: int) -> list[Event]:
        return [*judged(window, "a-2"), *wrong(window, "b")[:2]]

    def catalogue(now: int) -> Catalogue:
        changed = cases.T0 + (BEGINS - 1) * 1_000
        return cases.catalogue(now, *([cases.service("b", 2, changed)] if now >= changed else []))

    assert set(names(run(values, catalogue)[-1])[:2]) == {("instance", "a-2"), ("model", "b")}


def test_a_spell_is_one_whatever_is_said_and_ends() -> None:
    def values(window: int) -> list[Event]:
        events = judged(window, "a-1", "b-1" if window > BEGINS + 8 else "a-1")
        if window == BEGINS + 20:
            events = [*usual(window), cases.violation(window, "cleared")]
        return events

    told = run(values, windows=BEGINS + 40)
    assert [one.verdict for one in told[-2:]] == ["degraded", "healthy"]
    assert len({one.spell for one in told}) == 1
    assert told[0].spell == told[0].event_id
    assert len({one.event_id for one in told}) == len(told) > 2
    assert told[-1].root_causes == ()
    assert told[-1].evaluated_at >= told[-2].evaluated_at


def test_what_says_nothing_new_is_not_said() -> None:
    told = run(lambda window: judged(window, "a-1", "b-1"), windows=BEGINS + 60)
    assert 1 <= len(told) <= 3


@pytest.mark.parametrize(
    "event",
    [
        replace(cases.verdict(BEGINS + 2, "degraded"), silenced_by="night"),
        cases.verdict(BEGINS + 2, "degraded", tier="diagnosis"),
        cases.verdict(BEGINS + 2, "healthy"),
        cases.violation(BEGINS + 2, "cleared"),
        replace(cases.drift(BEGINS + 2), status="warning"),
        replace(cases.violation(BEGINS + 2, "violated"), app="unheard-of"),
    ],
)
def test_what_is_silenced_our_own_or_well_begins_no_spell(event: Event) -> None:
    def values(window: int) -> list[Event]:
        slow = {"a_1": 3.0} if window >= BEGINS else {}
        return [*usual(window, **slow), *([event] if window == BEGINS + 2 else [])]

    assert run(values) == []


def test_nothing_is_said_while_nothing_explains_it() -> None:
    def values(window: int) -> list[Event]:
        violated = [cases.violation(window, "violated")] if window == BEGINS else []
        return [*usual(window), *violated]

    assert run(values) == []


def test_an_application_that_goes_ends_its_spell() -> None:
    def catalogue(now: int) -> Catalogue:
        return Catalogue() if now > cases.T0 + 42_000 else cases.catalogue(now)

    told = run(lambda window: judged(window, "a-1"), catalogue)
    assert told[-1].verdict == "healthy"


def test_the_past_alone_counts() -> None:
    def later(window: int) -> list[Event]:
        return judged(window, "a-1", "b-1") if window < 40 else judged(window, "a-2", "b-2")

    now = run(lambda window: judged(window, "a-1", "b-1"), windows=40)
    assert run(later, windows=60)[: len(now)] == now


def test_odd_values_are_passed_over() -> None:
    def values(window: int) -> list[Event]:
        events = judged(window, "a-1", "b-1")
        odd = [cases.seen("constant", window, 4.0, "a-2"), cases.seen("nan", window, float("nan"))]
        once = [cases.seen("once", window, 1.0, "b-2")] if window == BEGINS else []
        back = [cases.seen("latency", window - 20, 900.0, "a-2")]
        gap = [] if 10 < window < 14 else events
        return [*gap, *odd, *once, *back]

    assert names(run(values)[-1])[0] == ("node", "n1")


def test_a_node_that_is_gone_explains_its_instances() -> None:
    def catalogue(now: int) -> Catalogue:
        gone = now >= cases.T0 + BEGINS * 1_000
        if not gone:
            return cases.catalogue(now)
        heard = cases.T0 + BEGINS * 1_000
        dead = world.node("n1", heartbeat=heard, expires_at=heard + 100)
        return cases.catalogue(now, dead, silent=("a-1", "b-1"))

    def values(window: int) -> list[Event]:
        events = [e for e in judged(window, "a-2", "b-2") if "-1-" not in e.event_id]  # type: ignore[attr-defined]
        return events if window >= BEGINS else usual(window)

    assert names(run(values, catalogue)[-1])[0] == ("node", "n1")


def test_state_is_bounded_however_many_series_there_are() -> None:
    processor: Any = spec(DiagnoseParams(max_series=20)).build(0)
    for window in range(40):
        now = cases.T0 + (window + 1) * 1_000
        events = [cases.seen(f"m{n}", window, 1.0, "a-1") for n in range(50)]
        records = tuple(Record(e, topic_of(e), 0, window, now) for e in events)
        processor.process(Batch(records, now, cases.catalogue(now)))
    assert len(processor.snapshot()) < 20 * 2_500


def test_partitions_share_states_out_by_application() -> None:
    processor: Any = spec().build(0)
    now = cases.T0 + 1_000
    records = (Record(cases.seen("latency", 0, 1.0, "a-1"), "weir.observations", 0, 0, now),)
    processor.process(Batch(records, now, cases.catalogue(now)))
    made = spec()
    assert made.share is not None
    state = made.state
    assert state is not None
    found: Any = unpack_state(processor.snapshot(), state)
    mine = made.share([found], 3, lambda app: 3 if app == cases.APP else 0)
    other = made.share([found], 1, lambda app: 3 if app == cases.APP else 0)
    assert (len(mine.apps), len(other.apps)) == (1, 0)
    assert {one.app for one in mine.series} == {cases.APP}
    assert other.series == ()


def test_parameters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="look_ms"):
        spec(DiagnoseParams(look_ms=0))

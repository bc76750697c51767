"""Canaries: what the samples say, and the steps that follow over the real path."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.algorithms.chance import mixed
from placement.errors import InvalidParameters
from placement.rollout.canary import Canary, CanaryParams, spec
from placement.rollout.verdict import CanaryPolicy, Sample, Verdict, copies_of_new, judge, wilson
from schemas.base import Event
from schemas.decisions import ActionTaken
from schemas.processing import Batch, Record
from schemas.records import KeyValue
from schemas.registrations import PolicySelected
from schemas.topics import topic_of
from tests.unit.placement import canary_cases as cases
from tests.unit.placement import world

T0 = cases.T0
POLICY = CanaryPolicy()
Z = 2.5758


def sample(results: int, failed: int, mean: float = 20.0, std: float = 4.0) -> Sample:
    return Sample(
        results=results, failed=failed, timed=results, mean=mean, squares=std * std * results
    )


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (sample(99, 0), sample(1_000, 0), Verdict.OPEN),
        (sample(1_000, 0), sample(99, 99), Verdict.OPEN),
        (sample(2_000, 10), sample(2_000, 10), Verdict.AS_GOOD),
        (sample(200, 1), sample(200, 1), Verdict.OPEN),
        (sample(2_000, 10), sample(2_000, 200), Verdict.WORSE),
        (sample(2_000, 200), sample(2_000, 10), Verdict.AS_GOOD),
        (sample(2_000, 0), sample(2_000, 0, mean=21.0), Verdict.AS_GOOD),
        (sample(2_000, 0), sample(2_000, 0, mean=30.0), Verdict.WORSE),
        (sample(2_000, 0), sample(2_000, 0, mean=22.0), Verdict.OPEN),
        (sample(2_000, 0), sample(2_000, 0, mean=5.0), Verdict.AS_GOOD),
        (sample(2_000, 0), Sample(results=2_000, failed=0), Verdict.OPEN),
    ],
)
def test_worse_and_as_good_need_their_whole_interval(
    old: Sample, new: Sample, verdict: Verdict
) -> None:
    assert judge(old, new, POLICY, Z)[0] is verdict


def test_wilson_is_as_published() -> None:
    low, high = wilson(sample(10, 1), 1.96)

    assert (round(low, 4), round(high, 4)) == (0.0179, 0.4042)
    assert wilson(sample(50, 0), 1.96)[0] == 0.0


def test_equal_versions_are_seldom_called_worse() -> None:
    drawn = mixed(7, 0, 400 * 600).reshape(400, 2, 300) < 0.05
    found = [
        judge(sample(300, int(old.sum())), sample(300, int(new.sum())), POLICY, Z)[0]
        for old, new in drawn
    ]

    assert found.count(Verdict.WORSE) <= 4


@given(st.lists(st.lists(st.floats(0, 1e3), min_size=1, max_size=5), min_size=1, max_size=5))
@settings(max_examples=50)
def test_windows_add_up_to_what_they_hold(windows: list[list[float]]) -> None:
    known = Sample()
    for window in windows:
        known = known.with_latencies(len(window), fmean(window), pstdev(window))
    every = [value for window in windows for value in window]

    assert known.timed == len(every)
    assert known.mean == pytest.approx(fmean(every), abs=1e-6)
    assert known.squares == pytest.approx(pstdev(every) ** 2 * len(every), abs=1e-3)
    assert known.with_latencies(3, float("nan"), 1.0) == known


@given(st.integers(0, 50), st.floats(0, 1))
def test_both_versions_have_a_copy_while_both_are_to_serve(replicas: int, share: float) -> None:
    new = copies_of_new(replicas, share)

    assert 0 <= new <= replicas
    if 0.0 < share < 1.0 and replicas >= 2:
        assert 1 <= new < replicas
    assert copies_of_new(replicas, 0.0) == 0
    assert copies_of_new(replicas, 1.0) == replicas


class World:
    """Service `s` with a policy for its new version."""

    def __init__(self, *events: Event) -> None:
        self.canary = Canary(0, CanaryParams())
        self.catalogue = world.catalogue_of(events)
        self.now = 0

    def at(self, now: int, seen: Iterable[Event] = (), *has: Event) -> list[Event]:
        """Feed observations and catalogue entries; return what is said then, and heed it."""
        self.catalogue = world.catalogue_of(has, self.catalogue)
        records = tuple(Record(e, topic_of(e), 0, now, T0 + now) for e in seen)
        out = [*self.canary.process(Batch(records, T0 + now, self.catalogue))]
        out += self.canary.process(Batch((), T0 + now + 1_000, self.catalogue))
        policies = [event for event in out if isinstance(event, PolicySelected)]
        self.catalogue = world.catalogue_of(policies, self.catalogue)
        return out


def told(events: list[Event]) -> tuple[str, str, str]:
    """Return the deed, the share that the policy gives, and the reason."""
    policy, deed = events
    assert isinstance(policy, PolicySelected)
    assert isinstance(deed, ActionTaken)
    share = {p.key: p.value for p in policy.parameters}
    assert policy.scope == "share/s"
    assert share["variant"] == "v2"
    return deed.kind, share["share"], deed.reason


def test_a_version_that_is_as_good_comes_in_by_steps() -> None:
    there = World(cases.service(), cases.wanted(first="0.25", growth="2"), cases.placed("1111"))
    begun = told(there.at(0))
    assert begun == ("canary.step", "0.25", "v2 of s: it begins")

    steps = []
    for number, runs in enumerate(("2111", "2211"), 1):
        at = number * 100_000
        there.at(at, (), cases.placed(runs, number + 1, at))
        windows = [w for node in "abcd" for w in cases.results(node, at + 10_000, count=2_000)]
        steps.append(told(there.at(at + 10_000, windows)))

    assert [step[:2] for step in steps] == [("canary.step", "0.5"), ("canary.promoted", "1.0")]
    assert "it is as good: errors 0.0000 against 0.0000" in steps[0][2]
    assert there.at(400_000, cases.results("a", 390_000, 1.0)) == []


def test_a_version_that_is_worse_is_taken_back() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    there.at(0)
    there.at(1_000, (), cases.placed("21", 2, 1_000))
    bad = (*cases.results("a", 10_000, failed=0.4), *cases.results("b", 10_000, count=900))

    kind, share, why = told(there.at(10_000, bad))

    assert (kind, share) == ("canary.rolled-back", "0.0")
    assert "it does worse: errors 0.4000 against 0.0000" in why
    assert there.at(20_000, bad) == []


def test_what_was_before_it_had_settled_is_not_counted() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    there.at(0)
    there.at(8_000, (), cases.placed("21", 2, 8_000))
    bad = (*cases.results("a", 14_000, failed=1.0), *cases.results("b", 14_000))

    assert there.at(14_000, bad) == []


def test_windows_that_overlap_count_once() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    there.at(0)
    there.at(1_000, (), cases.placed("21", 2, 1_000))
    again = [w for end in (9_000, 10_000, 10_500) for w in cases.results("a", end, 1.0, count=50)]

    assert there.at(11_000, [*again, *cases.results("b", 9_000)]) == []
    more = cases.results("a", 11_000, 1.0, count=50)
    assert told(there.at(12_000, more))[0] == "canary.rolled-back"


def test_what_nobody_can_tell_is_taken_back_after_patience() -> None:
    there = World(cases.service(), cases.wanted(patience_ms="60000"), cases.placed("11"))
    there.at(0)
    there.at(1_000, (), cases.placed("21", 2, 1_000))

    assert there.at(50_000, cases.results("b", 49_000)) == []
    kind, share, why = told(there.at(60_000))
    assert (kind, share) == ("canary.rolled-back", "0.0")
    assert "after 60 s nobody can tell: 0 results of the new, 100 of the old version" in why


def frozen(at: int, state: str, scope: str = "freeze") -> PolicySelected:
    return replace(
        world.policy(scope, "act"),
        parameters=(KeyValue(key="state", value=state),),
        selected_at=T0 + at,
    )


@pytest.mark.parametrize("scope", ["freeze", f"freeze/{cases.APP}"])
def test_patience_does_not_run_out_in_a_freeze(scope: str) -> None:
    there = World(cases.service(), cases.wanted(patience_ms="60000"), cases.placed("11"))
    there.at(0)
    there.at(1_000, (), cases.placed("21", 2, 1_000))

    assert there.at(50_000, cases.results("b", 49_000), frozen(50_000, "on", scope)) == []
    assert there.at(90_000) == []
    assert there.at(100_000, (), frozen(100_000, "off", scope)) == []
    assert there.at(158_000) == []
    assert told(there.at(160_000))[0] == "canary.rolled-back"


def test_a_freeze_lets_no_rollout_begin() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    assert there.at(0, (), frozen(0, "on")) == []
    assert told(there.at(2_000, (), frozen(2_000, "off")))[0] == "canary.step"


def test_an_open_verdict_waits_for_twice_as_many() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    there.at(0)
    there.at(1_000, (), cases.placed("21", 2, 1_000))
    some = (*cases.results("a", 10_000, 0.02), *cases.results("b", 10_000, 0.02))
    assert there.at(10_000, some) == []
    worse = cases.results("a", 12_000, 1.0, count=90)
    assert there.at(12_000, worse) == []

    assert told(there.at(14_000, cases.results("a", 14_000, 1.0, count=20)))[0] == (
        "canary.rolled-back"
    )


def test_a_policy_that_is_removed_on_the_way_takes_the_version_back() -> None:
    policy = cases.wanted()
    there = World(cases.service(), policy, cases.placed("11"))
    there.at(0)
    there.catalogue = world.without(there.catalogue, policy)

    assert told(there.at(5_000))[:2] == ("canary.rolled-back", "0.0")
    assert there.at(9_000) == []


def test_who_lost_its_state_goes_on_from_what_was_said() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    there.at(0)
    there.canary = Canary(0, CanaryParams())

    assert there.at(5_000) == []
    there.at(6_000, (), cases.placed("21", 2, 6_000))
    bad = (*cases.results("a", 20_000, 0.5), *cases.results("b", 20_000))
    assert told(there.at(20_000, bad))[0] == "canary.rolled-back"


@pytest.mark.parametrize(
    ("service", "policy", "copies", "why"),
    [
        (cases.service(), cases.wanted("v9"), "11", "'v9' is no variant of s; there are: v1, v2"),
        (cases.service(), cases.wanted(""), "11", "'' is no variant of s"),
        (cases.service("v2"), cases.wanted(), "11", "v2 is the only variant of s"),
        (cases.service(), cases.wanted(first="2"), "11", "it must be from 0.01 to 1"),
        (cases.service(), cases.wanted(speed="2"), "11", "canary.speed is no parameter"),
    ],
)
def test_what_cannot_be_is_refused_once(
    service: Event, policy: Event, copies: str, why: str
) -> None:
    there = World(service, policy, cases.placed(copies))

    (refusal,) = there.at(0)

    assert isinstance(refusal, ActionTaken)
    assert (refusal.kind, refusal.status) == ("canary.refused", "refused")
    assert why in refusal.reason
    assert there.at(5_000) == []


def test_a_single_copy_waits_for_a_second_one() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("1"))

    (waits,) = there.at(0)
    assert isinstance(waits, ActionTaken)
    assert (waits.kind, waits.reason) == ("canary.waiting", "v2 of s: to compare takes 2 copies")
    assert there.at(5_000) == []
    assert told(there.at(9_000, (), cases.placed("11", 2)))[:2] == ("canary.step", "0.1")


def test_nothing_is_done_where_only_to_observe_is_allowed() -> None:
    there = World(cases.service(), cases.wanted(mode="observe"), cases.placed("11"))

    assert there.at(0) == []


def test_a_share_that_is_none_is_not_gone_on_from() -> None:
    there = World(cases.service(), cases.wanted(), cases.placed("11"))
    (said, _) = there.at(0)
    assert isinstance(said, PolicySelected)
    broken = replace(said, parameters=said.parameters[:1])
    there.canary = Canary(0, CanaryParams())

    assert told(there.at(5_000, (), broken))[:2] == ("canary.step", "0.1")


def test_a_look_needs_a_time() -> None:
    with pytest.raises(InvalidParameters, match="look_ms is 0"):
        spec(CanaryParams(look_ms=0))

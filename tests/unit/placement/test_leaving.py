"""Make before break, and the rules for moves that nobody forces."""

from hypothesis import given
from hypothesis import strategies as st

from placement.control.leaving import must_stay
from placement.control.moving import Budget, MovePolicy
from placement.policies import settings_of
from schemas.decisions import Assignment
from schemas.records import KeyValue


def on(*nodes: str) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(node=n, instance=f"s.{n}", variant="", cpu_milli=1, memory_mib=1) for n in nodes
    )


def stays(before: str, after: str, serving: str, least: int) -> str:
    ready = {f"s.{node}" for node in serving}
    return "".join(one.node for one in must_stay(on(*before), on(*after), ready, least))


def test_who_leaves_stays_until_enough_serve_elsewhere() -> None:
    assert stays("ab", "bc", "ab", least=2) == "a"
    assert stays("ab", "bc", "abc", least=2) == ""
    assert stays("ab", "bc", "ab", least=1) == ""
    assert stays("ab", "cd", "ab", least=2) == "ab"
    assert stays("ab", "cd", "abc", least=2) == "a"


def test_who_does_not_serve_is_not_kept() -> None:
    assert stays("ab", "cd", "b", least=2) == "b"
    assert stays("", "cd", "", least=2) == ""


@given(
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
    st.integers(0, 6),
)
def test_no_more_stay_than_are_lacking(
    before: set[str], after: set[str], serving: set[str], least: int
) -> None:
    kept = set(stays("".join(before), "".join(after), "".join(serving), least))

    assert kept <= (before - after) & serving
    available = len((after | kept) & serving)
    assert available == len((after | before) & serving) or available >= least
    assert not kept or available <= least


def test_a_budget_counts_the_moves_of_its_interval() -> None:
    policy, budget = MovePolicy(budget=3, interval_ms=100), Budget()

    budget.spend(2, policy, 1_000)
    assert budget.left(policy, 1_050) == 1
    budget.spend(1, policy, 1_050)
    assert budget.left(policy, 1_099) == 0
    assert budget.left(policy, 1_100) == 2
    budget.spend(1, policy, 1_160)
    assert budget.moves == (1_160,)


def test_a_move_must_gain_more_than_it_costs_and_the_service_rest() -> None:
    policy = MovePolicy(cost=0.2, min_gain=0.1, cooldown_ms=50)

    assert policy.pays(0.31)
    assert not policy.pays(0.3)
    assert policy.rested(0, 10)
    assert not policy.rested(1_000, 1_049)
    assert policy.rested(1_000, 1_050)


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=5))
def test_whatever_stands_in_a_policy_settings_are_within_their_limits(
    given: list[tuple[str, str]],
) -> None:
    own = [KeyValue(key=f"move.{name}", value=value) for name, value in given]
    numbers = [KeyValue(key="move.budget", value=value) for _, value in given]

    made, wrong = settings_of(MovePolicy, [*own, *numbers])

    assert len(wrong) <= 8
    for name, (least, most) in MovePolicy.LIMITS.items():
        assert least <= getattr(made, name) <= most


def test_a_wrong_parameter_is_told_and_the_default_holds() -> None:
    parameters = [
        KeyValue(key="move.budget", value="2.5"),
        KeyValue(key="move.cost", value="0.5"),
        KeyValue(key="move.speed", value="1"),
        KeyValue(key="scale.speed", value="1"),
    ]

    made, wrong = settings_of(MovePolicy, parameters)

    assert made == MovePolicy(cost=0.5)
    assert wrong[0] == "move.budget is '2.5'; it must be from 0 to 1000"
    assert wrong[1].startswith("move.speed is no parameter; known: budget, cooldown_ms")
    assert len(wrong) == 2
